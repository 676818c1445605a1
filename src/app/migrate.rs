//! `migrate`: applies pending schema changes to the store of a daemon that does not run.

use std::sync::Arc;

use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Rng};

use super::serve::open_exit_code;
use super::settings;
use crate::cli::{ConfigArgs, Console, ExitCode};
use crate::clock::SystemClock;
use crate::config::{Config, SandboxMode, Sources};
use crate::crypto::{SANDBOX_KEYRING, SystemRng, Vault};
use crate::store::{DataDir, LockError, Store, StoreParts};
use crate::telemetry;

/// Runs the verb.
pub(super) async fn run(args: &ConfigArgs, console: &mut Console) -> ExitCode {
    let sources = Sources::from_process(args.config.clone(), Vec::new(), args.data.data_dir.clone());
    let mut config = match Config::load(&sources) {
        Ok(config) => config,
        Err(error) => return refuse(console, error, ExitCode::Config),
    };
    telemetry::install(&config.log);
    if config.sandbox.mode == SandboxMode::Off && config.data_dir.join(SANDBOX_KEYRING).exists() {
        // The sandbox's store is migrated under the sandbox's key; nothing of it is read.
        config.sandbox.mode = SandboxMode::Embedded;
    }
    let keyring = match settings::keys(&config, &config.data_dir).load() {
        Ok(keyring) => keyring,
        Err(error) => return refuse(console, error, ExitCode::Config),
    };
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let ids = IdSource::new(Arc::clone(&clock), rng);
    let data_dir = match DataDir::lock(&config.data_dir, &ids) {
        Ok(data_dir) => data_dir,
        Err(error @ LockError::Held { .. }) => return refuse(console, error, ExitCode::TryAgain),
        Err(error) => return refuse(console, error, ExitCode::Io),
    };
    let vault = Arc::new(Vault::new(keyring, config.vault.data_keys_cached.get()));
    let parts = StoreParts { vault, clock, ids, node: data_dir.node() };
    let store = match Store::open(settings::store(&config), parts).await {
        Ok(store) => store,
        Err(error) => return refuse(console, &error, open_exit_code(&error)),
    };
    let pending = match store.pending_migrations().await {
        Ok(pending) => pending,
        Err(error) => return refuse(console, &error, open_exit_code(&error)),
    };
    if let Err(error) = store.migrate().await {
        return refuse(console, &error, open_exit_code(&error));
    }
    store.shut_down().await;
    match pending.len() {
        0 => console.say("the store is up to date"),
        count => console.say(format!("applied {count} schema changes: {}", pending.join(", "))),
    }
    ExitCode::Ok
}

fn refuse(console: &mut Console, error: impl std::fmt::Display, code: ExitCode) -> ExitCode {
    console.complain(error);
    code
}
