//! Section `sandbox`: servers on loopback that speak the platforms' own protocols.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use reqwest::Url;
use serde::{Deserialize, Deserializer, de};

use super::check::Check;

/// Whether the daemon works against a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// Against the real platforms.
    Off,
    /// Against a sandbox inside the daemon.
    Embedded,
    /// Against one that runs elsewhere; the base of its control API, without a slash at the end.
    Attached(String),
}

/// Which of the platforms' published limits the sandbox enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxLimits {
    /// None.
    None,
    /// Those the platforms publish.
    Published,
}

/// The sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSettings {
    /// Whether there is one, and where.
    pub mode: SandboxMode,
    /// Address of the control API.
    pub control_listen: SocketAddr,
    /// Address of the Telegram data centre.
    pub telegram_listen: SocketAddr,
    /// Address of Discord's API and gateway.
    pub discord_listen: SocketAddr,
    /// Address of the Bot API.
    pub bot_listen: SocketAddr,
    /// Every id, token and code is derived from it.
    pub seed: u64,
    /// Limits that are enforced.
    pub limits: SandboxLimits,
    /// Seeded Telegram user accounts. Every second one has a password.
    pub telegram_users: NonZeroU16,
    /// Seeded Telegram bots.
    pub telegram_bots: u16,
    /// Seeded Discord bots.
    pub discord_bots: NonZeroU16,
    /// Seeded Discord webhooks, each with a channel of its own.
    pub webhooks: u16,
    /// Seeded pairs.
    pub pairs: SandboxPairs,
}

/// Seeded pairs in every direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxPairs {
    /// From Telegram to Discord.
    pub telegram_to_discord: u16,
    /// From Telegram to Telegram.
    pub telegram_to_telegram: u16,
    /// From Discord to Telegram.
    pub discord_to_telegram: u16,
    /// From Discord to Discord.
    pub discord_to_discord: u16,
}

impl SandboxSettings {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        for (key, address) in [
            ("sandbox.control_listen", self.control_listen),
            ("sandbox.telegram_listen", self.telegram_listen),
            ("sandbox.discord_listen", self.discord_listen),
            ("sandbox.bot_listen", self.bot_listen),
        ] {
            check.refuse_if(!address.ip().is_loopback(), key, "the sandbox listens on loopback only");
        }
    }
}

impl<'de> Deserialize<'de> for SandboxMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = "\"off\", \"embedded\" or the http:// address of a sandbox's control API";
        match text.as_str() {
            "off" => Ok(Self::Off),
            "embedded" => Ok(Self::Embedded),
            address => match Url::parse(address) {
                Ok(url) if url.scheme() == "http" => {
                    Ok(Self::Attached(url.as_str().trim_end_matches('/').to_owned()))
                }
                _ => Err(de::Error::invalid_value(de::Unexpected::Str(&text), &expected)),
            },
        }
    }
}
