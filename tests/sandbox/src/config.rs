//! What a sandbox is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bot::BotConfig;
use crate::clock::ClockMode;
use crate::discord::DiscordConfig;
use crate::telegram::TelegramConfig;

/// Which of the platforms' published limits the servers enforce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// None: for crash, storm and speed tests.
    #[default]
    None,
    /// The limits that the platforms publish; exceeding one is refused and counted as a violation.
    Published,
}

/// How many accounts and pairs the seed makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedShape {
    /// Telegram users that are accounts of the seeded customer (at least 1). Every second one has a 2FA password.
    pub telegram_users: u16,
    /// Telegram bots that are accounts of the seeded customer.
    pub telegram_bots: u16,
    /// Discord bots that are accounts of the seeded customer (at least 1).
    pub discord_bots: u16,
    /// Discord webhooks that are accounts of the seeded customer, each in a channel of its own and in no pair.
    pub webhooks: u16,
    /// Pairs in every direction.
    pub pairs: PairCounts,
}

impl Default for SeedShape {
    fn default() -> Self {
        let pairs = PairCounts {
            telegram_to_discord: 1,
            telegram_to_telegram: 1,
            discord_to_telegram: 1,
            discord_to_discord: 1,
        };
        Self { telegram_users: 1, telegram_bots: 1, discord_bots: 1, webhooks: 1, pairs }
    }
}

/// Pairs in every direction, each with a source chat and a target chat of its own, spread over the accounts in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PairCounts {
    /// From chats of Telegram users to channels of Discord bots.
    pub telegram_to_discord: u16,
    /// From chats of Telegram users to chats of Telegram bots (even pairs, when there is a bot) and users.
    pub telegram_to_telegram: u16,
    /// From channels of Discord bots to chats of Telegram bots (even pairs, when there is a bot) and users.
    pub discord_to_telegram: u16,
    /// From channels of Discord bots to channels of the next Discord bot.
    pub discord_to_discord: u16,
}

/// The key under which the worlds' journals are encrypted (AES-256).
#[derive(Clone, PartialEq, Eq)]
pub struct WorldKey([u8; 32]);

impl WorldKey {
    /// Takes the 32 bytes of the key.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for WorldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldKey(..)")
    }
}

/// Configuration of one sandbox. Port 0 picks a free port.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Address of the control API. Loopback only.
    pub control_listen: SocketAddr,
    /// Address of the Telegram data centre. Loopback only.
    pub telegram_listen: SocketAddr,
    /// Address of Discord's REST API and gateway. Loopback only.
    pub discord_listen: SocketAddr,
    /// Address of the Bot API. Loopback only.
    pub bot_listen: SocketAddr,
    /// Folder of the journals; the world lives in memory only when this is `None`.
    pub data_dir: Option<PathBuf>,
    /// Encrypts the journals when given. They hold message texts, tokens and authorisation keys.
    pub world_key: Option<WorldKey>,
    /// Every id, token and code is derived from this number.
    pub seed: u64,
    /// Published limits or none.
    pub limits: Limits,
    /// What moves the clock.
    pub clock: ClockMode,
    /// How much the seed makes.
    pub shape: SeedShape,
    /// Bounds and times of the Discord server.
    pub discord: DiscordConfig,
    /// Bounds of the Telegram data centre.
    pub telegram: TelegramConfig,
    /// Bounds of the Bot API server.
    pub bot: BotConfig,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            control_listen: any,
            telegram_listen: any,
            discord_listen: any,
            bot_listen: any,
            data_dir: None,
            world_key: None,
            seed: 1,
            limits: Limits::None,
            clock: ClockMode::Real,
            shape: SeedShape::default(),
            discord: DiscordConfig::default(),
            telegram: TelegramConfig::default(),
            bot: BotConfig::default(),
        }
    }
}
