//! The command line of `keys` and `secrets`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};

use super::args::DataDir;
use crate::services::keys::KeyName;
use crate::services::secrets::SecretName;
use crate::store::ProviderSecret;

/// `keys`
#[derive(Args, Clone, Debug)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: KeysVerb,
}

/// The verbs of `keys`.
#[derive(Subcommand, Clone, Debug)]
pub enum KeysVerb {
    /// List master keys, what each wraps, and the last rotation.
    List(KeysListArgs),
    /// Make a master key and put it first into the keyring's file.
    Add(KeysListArgs),
    /// Wrap every user's data key by another master key, while messages flow.
    Rotate(RotateArgs),
    /// Give a master key up that wraps nothing any more.
    Retire(RetireArgs),
}

/// `keys list`, `keys add`, `secrets list`
#[derive(Args, Clone, Debug)]
pub struct KeysListArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `keys rotate`
#[derive(Args, Clone, Debug)]
pub struct RotateArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The master key to rotate to, as `keys list` shows it; without it, the first of the keyring.
    #[arg(long, value_name = "KEY")]
    pub to: Option<KeyName>,
    /// Give every user a new data key too and seal every row anew.
    #[arg(long, conflicts_with = "to")]
    pub deep: bool,
    /// Wait for the end and show how it goes.
    #[arg(long)]
    pub wait: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `keys retire`
#[derive(Args, Clone, Debug)]
pub struct RetireArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The master key, as `keys list` shows it.
    #[arg(value_name = "KEY")]
    pub key: KeyName,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `secrets`
#[derive(Args, Clone, Debug)]
pub struct SecretsArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: SecretsVerb,
}

/// The verbs of `secrets`.
#[derive(Subcommand, Clone, Debug)]
pub enum SecretsVerb {
    /// List the secrets that are set, never their values.
    List(KeysListArgs),
    /// Set a secret. Its value comes from standard input or from a file, never from the command line.
    Set(SetSecretArgs),
    /// Remove a secret.
    Remove(RemoveSecretArgs),
}

fn names() -> impl TypedValueParser<Value = SecretName> {
    PossibleValuesParser::new(ProviderSecret::ALL.map(ProviderSecret::as_str))
        .try_map(|text| text.parse::<SecretName>())
}

/// `secrets set`
#[derive(Args, Clone, Debug)]
pub struct SetSecretArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Which secret.
    #[arg(value_name = "NAME", value_parser = names())]
    pub name: SecretName,
    /// File that holds the value; without it the value is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `secrets remove`
#[derive(Args, Clone, Debug)]
pub struct RemoveSecretArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Which secret.
    #[arg(value_name = "NAME", value_parser = names())]
    pub name: SecretName,
}
