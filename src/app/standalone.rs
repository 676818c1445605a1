//! `sandbox`: the sandbox alone, in a process of its own.

use switchyard_sandbox::journal::JournalError;
use switchyard_sandbox::telegram::TelegramError;
use switchyard_sandbox::{Limits, PairCounts, Sandbox, SandboxConfig, SandboxError, SeedShape};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Console, ExitCode, SandboxArgs};
use crate::config::{Config, SandboxLimits, SandboxSettings, Sources};
use crate::services::sandbox::fetch_seed;
use crate::telemetry;

/// Runs the verb until a signal.
pub(super) async fn run(args: &SandboxArgs, console: &mut Console) -> ExitCode {
    let sources = Sources::from_process(args.config.clone(), args.flags(), std::path::PathBuf::new());
    let config = match Config::load(&sources) {
        Ok(config) => config,
        Err(error) => return refuse(console, error, ExitCode::Config),
    };
    telemetry::install(&config.log);
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => return refuse(console, error, ExitCode::Software),
        };
    let sandbox = match Sandbox::start(settings(&config.sandbox, args)).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let code = exit_code(&error);
            return refuse(console, error, code);
        }
    };
    match fetch_seed(&sandbox.control_url(), super::ATTACH_TIMEOUT).await {
        Ok(seed) => console.say(super::serve::sandbox_report(&seed).render()),
        Err(error) => return refuse(console, error, ExitCode::Software),
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    ExitCode::Ok
}

/// A sandbox of its own keeps its world in the folder it is given, in plain text: it has no keyring.
fn settings(given: &SandboxSettings, args: &SandboxArgs) -> SandboxConfig {
    SandboxConfig { data_dir: args.data_dir.clone(), ..config(given) }
}

fn refuse(console: &mut Console, error: impl std::fmt::Display, code: ExitCode) -> ExitCode {
    console.complain(error);
    code
}

/// A world that another seed or key made is a mistake of the configuration, not of the disk.
pub(super) fn exit_code(error: &SandboxError) -> ExitCode {
    match error {
        SandboxError::Listen { .. } | SandboxError::NotLoopback(_) => ExitCode::Unavailable,
        SandboxError::Shape(_) => ExitCode::Config,
        SandboxError::Journal(error) | SandboxError::Telegram(TelegramError::Journal(error)) => match error {
            JournalError::Foreign { .. } => ExitCode::Config,
            JournalError::InUse { .. } => ExitCode::TryAgain,
            _ => ExitCode::Io,
        },
        _ => ExitCode::Io,
    }
}

/// What both an embedded sandbox and one of its own are started with.
pub(super) fn config(given: &SandboxSettings) -> SandboxConfig {
    let limits = match given.limits {
        SandboxLimits::None => Limits::None,
        SandboxLimits::Published => Limits::Published,
    };
    let shape = SeedShape {
        telegram_users: given.telegram_users.get(),
        telegram_bots: given.telegram_bots,
        discord_bots: given.discord_bots.get(),
        webhooks: given.webhooks,
        pairs: PairCounts {
            telegram_to_discord: given.pairs.telegram_to_discord,
            telegram_to_telegram: given.pairs.telegram_to_telegram,
            discord_to_telegram: given.pairs.discord_to_telegram,
            discord_to_discord: given.pairs.discord_to_discord,
        },
    };
    SandboxConfig {
        control_listen: given.control_listen,
        telegram_listen: given.telegram_listen,
        discord_listen: given.discord_listen,
        bot_listen: given.bot_listen,
        seed: given.seed,
        limits,
        shape,
        ..SandboxConfig::default()
    }
}
