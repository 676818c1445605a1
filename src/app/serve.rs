//! `serve`: a daemon from the command line, until a signal or a lost store ends it.

use switchyard_actors::ports::StoreError;
use switchyard_actors::tree::RootError;

use super::signals::{Asked, Signals};
use super::way_out::WayOut;
use super::{App, StartError, Started};
use crate::cli::{Console, ExitCode, PairReport, SandboxReport, ServeArgs, StartupReport};
use crate::config::{Config, SandboxMode, Sources};
use crate::services::sandbox::{AttachError, SandboxSeed};
use crate::store::{LockError, OpenError};
use crate::telemetry;

/// The environment variable that arms failpoints. It has no section: it is no configuration.
const FAILPOINTS: &str = "SWITCHYARD_FAILPOINTS";

/// Runs the daemon.
pub(super) async fn run(args: &ServeArgs, console: &mut Console) -> ExitCode {
    let data_dir = args.base.data.data_dir.clone();
    let sources = Sources::from_process(args.base.config.clone(), args.flags(), data_dir);
    let config = match Config::load(&sources) {
        Ok(config) => config,
        Err(error) => {
            console.complain(error);
            return ExitCode::Config;
        }
    };
    telemetry::install(&config.log);
    let failpoints = sources.environment.get(FAILPOINTS).cloned().unwrap_or_default();
    let attached = matches!(config.sandbox.mode, SandboxMode::Attached(_));
    let heard =
        Signals::new().and_then(|signals| Ok((signals, WayOut::watch(config.supervision.drain_deadline)?)));
    let (mut signals, way_out) = match heard {
        Ok(heard) => heard,
        Err(error) => {
            console.complain(format!("signals cannot be waited for: {error}"));
            return ExitCode::Software;
        }
    };
    let started = tokio::select! {
        started = App::start(config, &failpoints) => started,
        () = signals.stop() => return ExitCode::Ok,
    };
    let app = match started {
        Ok(app) => app,
        Err(error) => {
            console.complain(&error);
            return exit_code(&error, attached);
        }
    };
    way_out.knows(app.root.tree());
    let stopped = tokio::select! {
        () = app.settle() => false,
        () = signals.stop() => true,
    };
    if stopped {
        return end(app, None, &mut signals, console).await;
    }
    console.say(report(app.started(), &args.base.data.data_dir).render());
    let lost = until_ended(&app, &sources, &mut signals).await;
    way_out.drain_begins();
    end(app, lost, &mut signals, console).await
}

/// Waits for a signal, or a lost store and its error. At SIGHUP it reads the configuration again.
async fn until_ended(app: &App, sources: &Sources, signals: &mut Signals) -> Option<String> {
    let store_lost = app.store_lost();
    tokio::pin!(store_lost);
    loop {
        tokio::select! {
            error = &mut store_lost => return Some(error),
            asked = signals.next() => match asked {
                Asked::Stop => return None,
                Asked::Reload => reload(app, sources).await,
            },
        }
    }
}

/// Takes what may change while the daemon runs; of a configuration that is not sound, nothing.
async fn reload(app: &App, sources: &Sources) {
    let sources = sources.clone();
    let read = tokio::task::spawn_blocking(move || Config::load(&sources)).await;
    let taken = match read {
        Ok(Ok(config)) => app.supervise(&config).map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match taken {
        Ok(()) => tracing::info!("the limits of section supervision were read again and are in force"),
        Err(error) => tracing::error!(error, "the configuration is not taken, what was in force stays"),
    }
}

/// Drains. A second signal ends everything at once.
async fn end(app: App, lost: Option<String>, signals: &mut Signals, console: &mut Console) -> ExitCode {
    if let Some(error) = &lost {
        console.complain(format!("the store is lost, draining: {error}"));
    } else {
        tracing::info!("stopping in good order; a second signal stops at once");
    }
    let ended = {
        let stop = app.stop();
        tokio::pin!(stop);
        tokio::select! {
            ended = &mut stop => ended,
            () = signals.stop() => {
                app.kill();
                stop.await
            }
        }
    };
    app.close().await;
    if lost.is_some() {
        return ExitCode::Io;
    }
    if ended.unfinished.is_empty() {
        return ExitCode::Ok;
    }
    let unfinished: Vec<String> = ended.unfinished.iter().map(ToString::to_string).collect();
    console.complain(format!(
        "the drain was cut short; their work waits in the store: {}",
        unfinished.join(", ")
    ));
    ExitCode::Software
}

fn report(started: &Started, data_dir: &std::path::Path) -> StartupReport {
    let sandbox = started.sandbox.as_ref().map(sandbox_report);
    StartupReport { listen: started.listen, metrics: started.metrics, data_dir: data_dir.to_owned(), sandbox }
}

pub(super) fn sandbox_report(seed: &SandboxSeed) -> SandboxReport {
    SandboxReport {
        control: seed.control.clone(),
        telegram: seed.telegram.address.clone(),
        discord: seed.discord.api_base.clone(),
        limits: seed.limits.clone(),
        accounts: seed.accounts.len(),
        pairs: seed
            .pairs
            .iter()
            .map(|pair| PairReport {
                id: pair.id,
                source: (pair.source.platform, pair.source.chat.to_string()),
                target: (pair.target.platform, pair.target.chat.to_string()),
            })
            .collect(),
    }
}

fn exit_code(error: &StartError, attached: bool) -> ExitCode {
    match error {
        StartError::Attach(AttachError::Store(error)) => store_exit_code(error),
        StartError::Listen { .. } | StartError::Attach(_) | StartError::Discord(_) => ExitCode::Unavailable,
        StartError::DataDir(LockError::Held { .. }) => ExitCode::TryAgain,
        StartError::DataDir(LockError::DiskFull { .. } | LockError::Io { .. }) => ExitCode::Io,
        StartError::Open(error) => open_exit_code(error),
        StartError::Keyring(_)
        | StartError::MasterKey(_)
        | StartError::Tls(_)
        | StartError::Owner(_)
        | StartError::Failpoints(_)
        | StartError::FailpointsOutsideSandbox
        | StartError::NoSandbox
        | StartError::Plans(_) => ExitCode::Config,
        #[cfg(feature = "sandbox")]
        StartError::Sandbox(error) => super::standalone::exit_code(error),
        StartError::Io { .. } if attached => ExitCode::Unavailable,
        StartError::Store(error) | StartError::Root(RootError::Store(error)) => store_exit_code(error),
        StartError::Io { .. } => ExitCode::Io,
        StartError::Root(_) => ExitCode::Software,
    }
}

fn store_exit_code(error: &StoreError) -> ExitCode {
    match error {
        StoreError::Unavailable(_) | StoreError::Fenced(_) => ExitCode::TryAgain,
        _ => ExitCode::Io,
    }
}

/// The exit code of a store that cannot be opened or migrated.
pub(super) fn open_exit_code(error: &OpenError) -> ExitCode {
    match error {
        OpenError::Config(_) | OpenError::NewerSchema(_) => ExitCode::Config,
        OpenError::Locked(_) => ExitCode::TryAgain,
        OpenError::Unreachable(_) => ExitCode::Unavailable,
        OpenError::DiskFull(_) | OpenError::Corrupt(_) | OpenError::Access { .. } | OpenError::Failed(_) => {
            ExitCode::Io
        }
    }
}
