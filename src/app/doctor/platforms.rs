//! The platforms: does each answer at the configured address, and what time is it there.

use std::net::SocketAddr;

use super::Round;
use crate::adapters::discord::probe::DiscordProbe;
use crate::adapters::telegram::probe::{self, Greeting};
use crate::app::ATTACH_TIMEOUT;
use crate::config::{DiscordConfig, SandboxMode, TelegramConfig};
use crate::services::doctor::{Check, Class};
use crate::services::operator::OperatorAccess;
use crate::services::sandbox::fetch_seed;

const TELEGRAM: &str = "telegram";
const DISCORD: &str = "discord";
const SANDBOX: &str = "sandbox";

/// Where the platforms are, as the daemon would use them.
pub(super) struct Platforms {
    pub(super) telegram: TelegramConfig,
    /// None when it does not answer: then its accounts are not asked for.
    pub(super) discord: Option<DiscordProbe>,
    pub(super) telegram_answers: bool,
}

/// Looks at both platforms; none when it is not known where they are.
pub(super) async fn look(round: &mut Round) -> Option<Platforms> {
    let (telegram, discord) = addresses(round).await?;
    let telegram_answers = ask_telegram(round, &telegram).await;
    let discord = ask_discord(round, discord).await;
    Some(Platforms { telegram, discord, telegram_answers })
}

/// Where the platforms are: beside a sandbox its own, unless the configuration names others.
async fn addresses(round: &mut Round) -> Option<(TelegramConfig, DiscordConfig)> {
    let (mut telegram, mut discord) = (round.config.telegram.clone(), round.config.discord.clone());
    telegram.connect_timeout = telegram.connect_timeout.min(round.config.doctor.answer_timeout);
    telegram.request_timeout = telegram.request_timeout.min(round.config.doctor.answer_timeout);
    discord.connect_timeout = discord.connect_timeout.min(round.config.doctor.answer_timeout);
    discord.request_timeout = discord.request_timeout.min(round.config.doctor.answer_timeout);
    let control = match &round.config.sandbox.mode {
        SandboxMode::Off => return Some((telegram, discord)),
        SandboxMode::Attached(url) => Some(url.clone()),
        SandboxMode::Embedded => OperatorAccess::sandbox(&round.config.data_dir),
    };
    let Some(control) = control else {
        let advice = "start the daemon, or name a sandbox by --sandbox=URL";
        round.report.push(Check::warn(SANDBOX, "the sandbox runs inside the daemon, and none runs", advice));
        return None;
    };
    match fetch_seed(&control, ATTACH_TIMEOUT).await {
        Ok(seed) => {
            round.report.push(Check::ok(SANDBOX, format!("{control} answers")));
            if let Ok(address) = seed.telegram.address.parse() {
                telegram.use_sandbox(address, seed.telegram.api_id, &seed.telegram.api_hash);
            }
            discord.use_sandbox(&seed.discord.api_base);
            Some((telegram, discord))
        }
        Err(error) => {
            round.report.push(Check::fail(SANDBOX, Class::Platform, error, "start the sandbox"));
            None
        }
    }
}

async fn ask_telegram(round: &mut Round, config: &TelegramConfig) -> bool {
    let Some(address) = config.address.or_else(probe::first_address) else { return false };
    let mut nonce = [0_u8; 16];
    round.rng.fill(&mut nonce);
    let now = round.clock.now().timestamp();
    let greeting = probe::greet(address, now, nonce, round.config.doctor.answer_timeout).await;
    let sandbox = round.config.sandbox.mode != SandboxMode::Off;
    match greeting {
        Ok(Greeting::Answered(server)) => {
            round.report.push(Check::ok(TELEGRAM, format!("{address} answers")));
            let ms = server.saturating_mul(1_000).saturating_sub(round.clock.now().timestamp_millis());
            skew(round, "telegram.clock", "Telegram's", ms);
            true
        }
        Ok(Greeting::HungUp) if sandbox => {
            round.report.push(Check::ok(TELEGRAM, format!("{address} takes connections, as a sandbox does")));
            true
        }
        Ok(Greeting::HungUp) => unreachable(round, address, "it hangs up"),
        Err(error) => unreachable(round, address, &error),
    }
}

fn unreachable(round: &mut Round, address: SocketAddr, error: &str) -> bool {
    let found = format!("{address}: {error}");
    let advice = "let the machine reach it, or correct telegram.address";
    round.report.push(Check::fail(TELEGRAM, Class::Platform, found, advice));
    false
}

async fn ask_discord(round: &mut Round, config: DiscordConfig) -> Option<DiscordProbe> {
    let base = config.api_base.clone();
    let advice = "let the machine reach it, or correct discord.api_base";
    let probe = match DiscordProbe::new(config) {
        Ok(probe) => probe,
        Err(error) => {
            round.report.push(Check::fail(DISCORD, Class::Platform, error, advice));
            return None;
        }
    };
    match probe.gateway().await {
        Ok(date) => {
            round.report.push(Check::ok(DISCORD, format!("{base} answers")));
            if let Some(date) = date {
                let ms = date.signed_duration_since(round.clock.now()).num_milliseconds();
                skew(round, "discord.clock", "Discord's", ms);
            }
            Some(probe)
        }
        Err(error) => {
            round.report.push(Check::fail(DISCORD, Class::Platform, format!("{base}: {error}"), advice));
            None
        }
    }
}

/// Compares a clock with ours: it is `ms` milliseconds ahead.
pub(super) fn skew(round: &mut Round, name: &'static str, whose: &str, ms: i64) {
    let limits = &round.config.doctor;
    let apart = std::time::Duration::from_millis(ms.unsigned_abs());
    let found = format!("{whose} clock and ours are {:.1} s apart", apart.as_secs_f64());
    let advice = "let a time service set this machine's clock";
    round.report.push(if apart >= limits.clock_skew_fail {
        Check::fail(name, Class::Platform, found, advice)
    } else if apart >= limits.clock_skew_warn {
        Check::warn(name, found, advice)
    } else {
        Check::ok(name, found)
    });
}
