//! `keys` and `secrets`: orders to the running daemon, whose answers are shown.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;

use super::client::{Client, ClientError};
use super::console::Console;
use super::keys_args::{
    KeysArgs, KeysListArgs, KeysVerb, RotateArgs, SecretsArgs, SecretsVerb, SetSecretArgs,
};
use super::secret_input;
use super::table;
use crate::services::keys::{KeyListing, KeyName, MasterKeyItem, RetiredKey, RotateOrder, RotationView};
use crate::services::secrets::{SecretItem, SecretListing, SecretName, SecretOrder};

const KEYS: &str = "/api/v1/admin/keys";
const SECRETS: &str = "/api/v1/admin/secrets";

/// Between two looks at a rotation that is waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

impl Client {
    async fn keys(&self) -> Result<KeyListing, ClientError> {
        self.call(Method::GET, KEYS, &[], None::<&()>).await
    }

    async fn add_key(&self) -> Result<MasterKeyItem, ClientError> {
        self.call(Method::POST, KEYS, &[], None::<&()>).await
    }

    async fn rotate_keys(&self, order: &RotateOrder) -> Result<RotationView, ClientError> {
        self.call(Method::POST, &format!("{KEYS}/rotate"), &[], Some(order)).await
    }

    async fn key_rotation(&self, id: uuid::Uuid) -> Result<RotationView, ClientError> {
        self.call(Method::GET, &format!("{KEYS}/rotations/{id}"), &[], None::<&()>).await
    }

    async fn retire_key(&self, id: KeyName) -> Result<RetiredKey, ClientError> {
        self.call(Method::DELETE, &format!("{KEYS}/{id}"), &[], None::<&()>).await
    }

    async fn secrets(&self) -> Result<SecretListing, ClientError> {
        self.call(Method::GET, SECRETS, &[], None::<&()>).await
    }

    async fn set_secret(&self, name: SecretName, order: &SecretOrder) -> Result<SecretItem, ClientError> {
        self.call(Method::PUT, &format!("{SECRETS}/{}", name.0), &[], Some(order)).await
    }

    async fn remove_secret(&self, name: SecretName) -> Result<SecretItem, ClientError> {
        self.call(Method::DELETE, &format!("{SECRETS}/{}", name.0), &[], None::<&()>).await
    }
}

pub(super) async fn keys(args: &KeysArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        KeysVerb::List(args) => list(args, console).await,
        KeysVerb::Add(args) => {
            let key = Client::open(&args.data.data_dir)?.add_key().await?;
            if args.json {
                return json(&key, console);
            }
            console
                .say(format_args!("master key {} stands first on the keyring and wraps nothing yet", key.id));
            console.say("next: put it on every other node's keyring too, then `switchyard keys rotate`");
            Ok(())
        }
        KeysVerb::Rotate(args) => rotate(args, console).await,
        KeysVerb::Retire(args) => {
            let retired = Client::open(&args.data.data_dir)?.retire_key(args.key).await?;
            if args.json {
                return json(&retired, console);
            }
            match retired.file {
                Some(file) => {
                    console.say(format_args!("master key {} is retired and out of {file}", retired.id));
                }
                None => console.say(format_args!(
                    "master key {} is retired: take it out of the environment or the credential",
                    retired.id
                )),
            }
            Ok(())
        }
    }
}

async fn list(args: &KeysListArgs, console: &mut Console) -> Result<(), ClientError> {
    let listing = Client::open(&args.data.data_dir)?.keys().await?;
    if args.json {
        return json(&listing, console);
    }
    let row = |key: &MasterKeyItem| {
        let here = if key.here { "yes" } else { "no" };
        [key.id.to_string(), key.state.clone(), key.wraps.to_string(), here.to_owned(), key.nodes.to_string()]
    };
    let rows: Vec<_> = listing.keys.iter().map(row).collect();
    console.say(table::render(["KEY", "STATE", "WRAPS", "HERE", "NODES"], &rows));
    if let Some(rotation) = &listing.rotation {
        console.say(progress(rotation));
    }
    Ok(())
}

async fn rotate(args: &RotateArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let order = RotateOrder { to: args.to, deep: args.deep };
    let mut rotation = client.rotate_keys(&order).await?;
    let mut shown = String::new();
    while args.wait && rotation.finished_at.is_none() {
        let line = progress(&rotation);
        if !args.json && line != shown {
            console.say(&line);
            shown = line;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        rotation = client.key_rotation(rotation.id).await?;
    }
    if args.json {
        return json(&rotation, console);
    }
    console.say(progress(&rotation));
    Ok(())
}

/// How a rotation stands, in a line.
fn progress(rotation: &RotationView) -> String {
    let RotationView { id, kind, to, phase, done, total, rate, .. } = rotation;
    let what = format!("rotation {id} ({kind} to {to}): {phase}, {done} of {total}");
    match (&rotation.error, rotation.wait_until) {
        (Some(error), _) => format!("{what}; {error}"),
        (None, Some(until)) => format!("{what}; other nodes have until {}", until.to_rfc3339()),
        (None, None) => format!("{what}, {rate} a second"),
    }
}

pub(super) async fn secrets(args: &SecretsArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        SecretsVerb::List(args) => list_secrets(args, console).await,
        SecretsVerb::Set(args) => set_secret(args, console).await,
        SecretsVerb::Remove(args) => {
            let removed = Client::open(&args.data.data_dir)?.remove_secret(args.name).await?;
            console.say(format_args!("secret {} is removed", removed.name.0));
            Ok(())
        }
    }
}

async fn list_secrets(args: &KeysListArgs, console: &mut Console) -> Result<(), ClientError> {
    let listing = Client::open(&args.data.data_dir)?.secrets().await?;
    if args.json {
        return json(&listing, console);
    }
    if listing.items.is_empty() {
        console.say("no secret is set: set one with `switchyard secrets set NAME`");
        return Ok(());
    }
    let row =
        |item: &SecretItem| [item.name.0.as_str().to_owned(), item.set_at.to_rfc3339(), item.key.clone()];
    let rows: Vec<_> = listing.items.iter().map(row).collect();
    console.say(table::render(["NAME", "SET", "KEY"], &rows));
    Ok(())
}

async fn set_secret(args: &SetSecretArgs, console: &mut Console) -> Result<(), ClientError> {
    // Before the value is asked for: without a daemon there is nothing to set it in.
    let client = Client::open(&args.data.data_dir)?;
    let value = secret_input::secret("value", args.file.as_deref(), console)?;
    let set = client.set_secret(args.name, &SecretOrder { value }).await?;
    console.say(format_args!("secret {} is set and used from now on", set.name.0));
    Ok(())
}

fn json(value: &impl Serialize, console: &mut Console) -> Result<(), ClientError> {
    console.say(serde_json::to_string_pretty(value).unwrap_or_default());
    Ok(())
}
