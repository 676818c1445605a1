//! `doctor`: looks at everything that a daemon needs, whether one runs or not. It changes nothing that
//! lasts: the probe write matches no row, and where no daemon runs the folder's lock is held meanwhile.

mod accounts;
mod place;
mod platforms;
mod vault;

use std::sync::Arc;

use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Rng, StoreError};

use super::settings;
use crate::cli::{Client, Console, DoctorArgs, ExitCode};
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, SandboxMode, Sources};
use crate::crypto::{Keyring, SANDBOX_KEYRING, SystemRng, Vault};
use crate::services::doctor::{Check, Class, Report};
use crate::store::{OpenError, Store, StoreOwner, StoreParts, StoreTarget};

use place::Place;

/// What every check is given.
struct Round {
    config: Config,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    report: Report,
}

/// Runs the verb.
pub(super) async fn run(args: &DoctorArgs, console: &mut Console) -> ExitCode {
    let data_dir = args.base.data.data_dir.clone();
    let sources = Sources::from_process(args.base.config.clone(), args.flags(), data_dir);
    let report = match Config::load(&sources) {
        Ok(config) => Box::pin(examine(config)).await,
        Err(error) => refused(&error),
    };
    let code = ExitCode::from(report.gravest());
    if args.json {
        console.say(report.to_json(code.code()))
    } else {
        console.say(report.render())
    }
    code
}

fn refused(error: &ConfigError) -> Report {
    let mut report = Report::default();
    let advice = "correct it; config.toml of the source says what each key means";
    if error.faults().is_empty() {
        report.push(Check::fail("config", Class::Config, error, advice));
    }
    for fault in error.faults() {
        report.push(Check::fail("config", Class::Config, fault, advice));
    }
    report
}

async fn examine(mut config: Config) -> Report {
    if config.sandbox.mode == SandboxMode::Off && config.data_dir.join(SANDBOX_KEYRING).exists() {
        // The folder of a daemon with a sandbox, whose keyring lies in it.
        config.sandbox.mode = SandboxMode::Embedded;
    }
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let mut round = Round { config, clock, rng, report: Report::default() };
    round.report.push(Check::ok("config", "the configuration is valid"));
    let ids = IdSource::new(Arc::clone(&round.clock), Arc::clone(&round.rng));
    let place = place::look(&mut round, &ids);
    let keyring = vault::keyring(&mut round);
    let daemon = place.daemon(&mut round).await;
    let store = store(&mut round, &place, keyring, ids).await;
    let platforms = platforms::look(&mut round).await;
    if let Some(store) = store {
        accounts::look(&mut round, &store, &place, daemon.as_ref(), platforms).await;
        store.shut_down().await;
    }
    round.report
}

/// Opens the store as far as somebody else's daemon allows, and looks at it; none if accounts cannot be read from it.
async fn store(round: &mut Round, place: &Place, keyring: Option<Keyring>, ids: IdSource) -> Option<Store> {
    let settings = settings::store(&round.config);
    match settings.target() {
        Ok(StoreTarget::Sqlite(file)) if !file.exists() => {
            let found = format!("{} is not there yet", file.display());
            round.report.push(Check::warn("store", found, "`switchyard serve` makes it at its first start"));
            return None;
        }
        Ok(_) => {}
        Err(error) => return closed(round, &error),
    }
    // Without a keyring nothing sealed is read; the rest is worth a look all the same.
    let sealed = keyring.is_none();
    let keyring = match keyring.map_or_else(vault::nothing, Ok) {
        Ok(keyring) => keyring,
        Err(error) => {
            round.report.push(Check::fail("vault", Class::Config, error, "start it again"));
            return None;
        }
    };
    let vault = Arc::new(Vault::new(keyring, round.config.vault.data_keys_cached.get()));
    let node = place.node(&ids);
    let parts = StoreParts { vault, clock: Arc::clone(&round.clock), ids, node };
    let opened = if place.is_ours() {
        Store::open(settings, parts).await
    } else {
        Store::open_read_only(settings, parts).await
    };
    let store = match opened {
        Ok(store) => store,
        Err(error) => return closed(round, &error),
    };
    let usable = match inspect(round, &store, place).await {
        Ok(usable) => usable,
        Err(error) => {
            round.report.push(failed("store", &error));
            false
        }
    };
    if !usable || sealed {
        store.shut_down().await;
        return None;
    }
    if let Err(error) = vault::data_keys(round, &store).await {
        round.report.push(failed("vault", &error));
    }
    Some(store)
}

/// Whether accounts can be read from it.
async fn inspect(round: &mut Round, store: &Store, place: &Place) -> Result<bool, StoreError> {
    let seen = store.inspect().await?;
    if let Some(clock) = seen.clock {
        let skew = clock.saturating_sub(round.clock.now().timestamp_millis());
        platforms::skew(round, "store.clock", "the database server's", skew);
    }
    let pending = match store.pending_migrations().await {
        Ok(pending) => pending,
        Err(error) => {
            closed(round, &error);
            return Ok(false);
        }
    };
    let (version, target) = (&seen.version, settings::store(&round.config).target());
    let place_of = target.map(|target| target.to_string()).unwrap_or_default();
    if !pending.is_empty() {
        round.report.push(Check::ok("store", format!("{version}, {place_of}")));
        let found = format!("{} schema changes are pending: {}", pending.len(), pending.join(", "));
        let advice = "`switchyard serve` applies them at its start, `switchyard migrate` now";
        round.report.push(Check::warn("store.schema", found, advice));
        return Ok(false);
    }
    let how = if place.is_ours() {
        store.try_write().await?;
        "takes reads and writes"
    } else {
        "takes reads; writes are the daemon's"
    };
    round.report.push(Check::ok("store", format!("{version}, {place_of}, {how}")));
    round.report.push(Check::ok("store.schema", "no schema change is pending"));
    let sandbox = round.config.sandbox.mode != SandboxMode::Off;
    match store.owner().await? {
        Some(StoreOwner::Sandbox) if !sandbox => {
            let found = "the store was made by the sandbox";
            round.report.push(Check::fail("store.owner", Class::Config, found, "use another data folder"));
        }
        Some(StoreOwner::Real) if sandbox => {
            let found = "the store holds real accounts, and a sandbox is configured";
            round.report.push(Check::fail("store.owner", Class::Config, found, "use another data folder"));
        }
        Some(_) | None => {}
    }
    Ok(true)
}

fn closed(round: &mut Round, error: &OpenError) -> Option<Store> {
    let (class, advice) = match error {
        OpenError::Config(_) => (Class::Config, "correct store.url"),
        OpenError::NewerSchema(_) => (Class::Config, "run the version that wrote it, or a newer one"),
        OpenError::Locked(_) => (Class::Locked, "end the other process, or wait for it"),
        OpenError::Unreachable(_) => (Class::Store, "start the database server, or correct store.url"),
        OpenError::DiskFull(_) => (Class::Store, "make room"),
        OpenError::Corrupt(_) => (Class::Store, "restore a backup"),
        OpenError::Access { .. } | OpenError::Failed(_) => {
            (Class::Store, "let this user read and write the database")
        }
    };
    round.report.push(Check::fail("store", class, error, advice));
    None
}

fn failed(name: &'static str, error: &StoreError) -> Check {
    match error {
        StoreError::Unavailable(_) => {
            Check::fail(name, Class::Locked, error, "end what holds the database, or wait for it")
        }
        _ => Check::fail(name, Class::Store, error, "look at the database and its disk"),
    }
}

/// The daemon that works on the folder.
struct Daemon {
    client: Client,
}
