//! The Discord side of a seed: bots with tokens, a guild for each, channels, webhooks, and the people in them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Person;
use super::derive::{Derive, EPOCH_MS};
use super::secret::Secret;
use super::slot::{Direction, End, Slot, slots};
use crate::config::SeedShape;
use crate::platform::Platform;

/// 2015-01-01T00:00:00Z, from which snowflakes count (discord.com/developers/docs/reference#snowflakes).
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;
const NAMES: [&str; 6] = ["gail", "hasan", "ines", "jonas", "keiko", "lars"];

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
    pub token: Secret,
    /// The one guild that the bot is a member of.
    pub guild: u64,
}

/// A webhook that is an account of the customer.
#[derive(Clone, Debug)]
pub struct DiscordWebhook {
    /// Id under which the daemon stores the account.
    pub account: Uuid,
    /// Discord's id of the webhook.
    pub id: u64,
    /// Name under which it writes unless a message names another.
    pub name: String,
    /// Token: the last part of the webhook's address.
    pub token: Secret,
    /// The guild of its channel.
    pub guild: u64,
    /// The one channel in which it writes.
    pub channel: u64,
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
    /// The end of a pair that it is.
    pub slot: Option<Slot>,
}

/// A guild with one bot and all seeded persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscordGuild {
    /// Snowflake.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Channels: the ends of pairs first, those of webhooks, then one in which bots may only read.
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
    /// Webhooks, spread over the guilds in turn.
    pub webhooks: Vec<DiscordWebhook>,
}

impl DiscordSeed {
    pub(super) fn new(derive: &Derive, shape: SeedShape) -> Self {
        let guilds: Vec<_> = (0..shape.discord_bots).map(|index| guild(derive, shape, index)).collect();
        let bots = guilds.iter().zip(0..).map(|(guild, index)| bot(derive, index, guild.id));
        let persons = NAMES.iter().map(|name| Person {
            id: snowflake(derive, &format!("discord person {name}")),
            name: (*name).to_owned(),
        });
        let webhooks = guilds.iter().cycle().zip(0..shape.webhooks);
        let webhooks = webhooks.map(|(guild, index)| webhook(derive, index, guild.id)).collect();
        Self { bots: bots.collect(), persons: persons.collect(), guilds, webhooks }
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
        token: Secret::new(format!(
            "{}.{}.{}",
            encode(id.to_string().as_bytes()),
            encode(stamp),
            encode(rest)
        )),
        guild,
    }
}

fn webhook(derive: &Derive, index: u16, guild: u64) -> DiscordWebhook {
    let secrets = ["a", "b"].map(|half| derive.bytes(&format!("discord webhook token {index} {half}")));
    // 51 bytes are the 68 characters of a real webhook's token.
    let secret: Vec<u8> = secrets.into_iter().flatten().take(51).collect();
    DiscordWebhook {
        account: derive.uuid(&format!("discord webhook account {index}")),
        id: snowflake(derive, &format!("discord webhook {index}")),
        name: format!("Webhook {}", index.saturating_add(1)),
        token: Secret::new(URL_SAFE_NO_PAD.encode(secret)),
        guild,
        channel: webhook_channel(derive, index),
    }
}

fn webhook_channel(derive: &Derive, index: u16) -> u64 {
    snowflake(derive, &format!("discord webhook channel {index}"))
}

/// The guild of a bot holds the ends of pairs and the webhooks that fall to the bot.
fn guild(derive: &Derive, shape: SeedShape, index: u16) -> DiscordGuild {
    let bots = shape.discord_bots.max(1);
    let ends = slots(Platform::Discord, shape.pairs).filter(|slot| bot_of(*slot, bots) == index);
    let mut channels: Vec<_> = ends.map(|slot| end_of_pair(derive, slot)).collect();
    let webhooks = (0..shape.webhooks).filter(|webhook| webhook % bots == index);
    channels.extend(webhooks.map(|webhook| DiscordChannel {
        id: webhook_channel(derive, webhook),
        name: format!("webhook-{}", webhook.saturating_add(1)),
        writable: true,
        slot: None,
    }));
    channels.push(DiscordChannel {
        id: snowflake(derive, &format!("discord read-only {index}")),
        name: "read-only".to_owned(),
        writable: false,
        slot: None,
    });
    DiscordGuild {
        id: snowflake(derive, &format!("discord guild {index}")),
        name: format!("Guild {}", index.saturating_add(1)),
        channels,
    }
}

/// Which bot reads or writes an end: they take turns, and a pair within Discord goes to the next bot.
const fn bot_of(slot: Slot, bots: u16) -> u16 {
    let turn = slot.index % bots;
    match (slot.direction, slot.end) {
        (Direction::DiscordToDiscord, End::Target) => turn.saturating_add(1) % bots,
        _ => turn,
    }
}

fn end_of_pair(derive: &Derive, slot: Slot) -> DiscordChannel {
    let (label, name) = match (slot.direction, slot.end) {
        (Direction::DiscordToDiscord, End::Source) => ("discord relay source", "relay-source"),
        (Direction::DiscordToDiscord, End::Target) => ("discord relay target", "relay-target"),
        (_, End::Source) => ("discord source", "source"),
        (_, End::Target) => ("discord target", "target"),
    };
    DiscordChannel {
        id: snowflake(derive, &format!("{label} {}", slot.index)),
        name: format!("{name}-{}", slot.index.saturating_add(1)),
        writable: true,
        slot: Some(slot),
    }
}

/// A snowflake from the hour before the seeded moment: older than every message.
fn snowflake(derive: &Derive, label: &str) -> u64 {
    let number = derive.number(label);
    let back_ms = number % 3_600_000;
    let at = EPOCH_MS.saturating_sub(DISCORD_EPOCH_MS).saturating_sub(back_ms);
    (at << 22) | ((number >> 32) & 0x3f_ffff)
}
