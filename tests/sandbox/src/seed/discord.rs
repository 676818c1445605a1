//! The Discord side of a seed: bots with tokens, a guild for each, channels, and the people who write in them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Person;
use super::derive::{Derive, EPOCH_MS};
use crate::config::SeedShape;

/// 2015-01-01T00:00:00Z, from which snowflakes count (discord.com/developers/docs/reference#snowflakes).
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;
const NAMES: [&str; 6] = ["gail", "hasan", "ines", "jonas", "keiko", "lars"];

/// A bot's token. Debug hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct BotToken(String);

impl BotToken {
    /// The token as it stands behind `Authorization: Bot `.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotToken(..)")
    }
}

/// A Discord bot that is an account of the customer.
#[derive(Clone, Debug)]
pub struct DiscordBot {
    /// Id under which the daemon stores the account.
    pub account: Uuid,
    /// Discord's id of the bot's user, and of its application.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Token.
    pub token: BotToken,
    /// The one guild that the bot is a member of.
    pub guild: u64,
}

/// A text channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscordChannel {
    /// Snowflake.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Whether bots may write in it.
    pub writable: bool,
    /// Number of the pair whose target it is.
    pub pair: Option<u16>,
}

/// A guild with one bot and all seeded persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscordGuild {
    /// Snowflake.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Channels, the targets of pairs first, then one in which bots may only read.
    pub channels: Vec<DiscordChannel>,
}

/// Everything that the Discord server starts with.
#[derive(Clone, Debug)]
pub struct DiscordSeed {
    /// The customer's accounts.
    pub bots: Vec<DiscordBot>,
    /// Other people; the first one writes when nobody is named.
    pub persons: Vec<Person>,
    /// One guild per bot, in the order of the bots.
    pub guilds: Vec<DiscordGuild>,
}

impl DiscordSeed {
    pub(super) fn new(derive: &Derive, shape: SeedShape) -> Self {
        let guilds: Vec<_> = (0..shape.discord_bots).map(|index| guild(derive, shape, index)).collect();
        let bots = guilds.iter().zip(0..).map(|(guild, index)| bot(derive, index, guild.id));
        let persons = NAMES.iter().map(|name| Person {
            id: snowflake(derive, &format!("discord person {name}")),
            name: (*name).to_owned(),
        });
        Self { bots: bots.collect(), persons: persons.collect(), guilds }
    }
}

fn bot(derive: &Derive, index: u16, guild: u64) -> DiscordBot {
    let id = snowflake(derive, &format!("discord bot {index}"));
    let secret = derive.bytes(&format!("discord token {index}"));
    let (stamp, rest) = secret.split_at_checked(4).unwrap_or_default();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    DiscordBot {
        account: derive.uuid(&format!("discord account {index}")),
        id,
        name: format!("switchyard-{}", index.saturating_add(1)),
        token: BotToken(format!("{}.{}.{}", encode(id.to_string().as_bytes()), encode(stamp), encode(rest))),
        guild,
    }
}

/// The guild of a bot holds the targets of every pair that falls to the bot.
fn guild(derive: &Derive, shape: SeedShape, index: u16) -> DiscordGuild {
    let pairs = (0..shape.pairs).filter(|pair| pair % shape.discord_bots.max(1) == index);
    let mut channels: Vec<_> = pairs
        .map(|pair| DiscordChannel {
            id: snowflake(derive, &format!("discord target {pair}")),
            name: format!("target-{}", pair.saturating_add(1)),
            writable: true,
            pair: Some(pair),
        })
        .collect();
    channels.push(DiscordChannel {
        id: snowflake(derive, &format!("discord read-only {index}")),
        name: "read-only".to_owned(),
        writable: false,
        pair: None,
    });
    DiscordGuild {
        id: snowflake(derive, &format!("discord guild {index}")),
        name: format!("Guild {}", index.saturating_add(1)),
        channels,
    }
}

/// A snowflake from the hour before the seeded moment: older than every message.
fn snowflake(derive: &Derive, label: &str) -> u64 {
    let number = derive.number(label);
    let back_ms = number % 3_600_000;
    let at = EPOCH_MS.saturating_sub(DISCORD_EPOCH_MS).saturating_sub(back_ms);
    (at << 22) | ((number >> 32) & 0x3f_ffff)
}
