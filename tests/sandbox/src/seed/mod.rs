//! The seeded world: one customer, their accounts, the chats they are in, other people, and pairs between chats.
//!
//! Everything is derived from the seed's number and shape, so that a daemon that comes back finds the same ids.

mod bot;
mod derive;
mod discord;
mod secret;
mod slot;
mod telegram;

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::config::{PairCounts, SeedShape};
use crate::platform::Platform;
pub use bot::NoticeBot;
use derive::Derive;
pub use discord::{DiscordBot, DiscordChannel, DiscordGuild, DiscordSeed, DiscordWebhook};
pub use secret::Secret;
pub use slot::{Direction, End, Slot};
pub use telegram::{TelegramBot, TelegramChannel, TelegramSeed, TelegramUser};

/// The shape of a seed cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Pairs need an account on either side.
    #[error("a seed needs at least one Telegram user and one Discord bot")]
    NoAccount,
}

/// A person who is not the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Platform id.
    pub id: u64,
    /// Name as the platform shows it.
    pub name: String,
}

/// The customer of whom all seeded accounts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedUser {
    /// Id under which the daemon stores the user.
    pub id: Uuid,
    /// Name.
    pub name: String,
}

/// One end of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairEnd {
    /// The chat's platform.
    pub platform: Platform,
    /// The chat's id, as in [`TelegramChannel::dialog_id`] or a channel snowflake.
    pub chat: String,
    /// The account that reads or writes there.
    pub account: Uuid,
}

/// A source chat joined to a target chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedPair {
    /// Id under which the daemon stores the pair.
    pub id: Uuid,
    /// From where to where it goes.
    pub direction: Direction,
    /// Where messages come from.
    pub source: PairEnd,
    /// Where they go.
    pub target: PairEnd,
}

/// Everything that a seed makes.
#[derive(Clone, Debug)]
pub struct Seed {
    value: u64,
    shape: SeedShape,
    derive: Derive,
    /// The customer.
    pub user: SeedUser,
    /// The Telegram side.
    pub telegram: TelegramSeed,
    /// The Discord side.
    pub discord: DiscordSeed,
    /// The bot through which the daemon writes to people.
    pub bot: NoticeBot,
    /// The pairs; sources and targets are all different chats.
    pub pairs: Vec<SeedPair>,
}

impl Seed {
    /// Grows the world of a seed.
    ///
    /// # Errors
    /// [`ShapeError`] if a pair would have no account.
    pub fn new(value: u64, shape: SeedShape) -> Result<Self, ShapeError> {
        if shape.telegram_users == 0 || shape.discord_bots == 0 {
            return Err(ShapeError::NoAccount);
        }
        let derive = Derive::new(value);
        let telegram = TelegramSeed::new(&derive, shape);
        let discord = DiscordSeed::new(&derive, shape);
        let bot = NoticeBot::new(&derive);
        let user = SeedUser { id: derive.uuid("user"), name: "Sandbox User".to_owned() };
        let pairs = pairs(&derive, &telegram, &discord);
        Ok(Self { value, shape, derive, user, telegram, discord, bot, pairs })
    }

    /// The number that everything is derived from.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }

    /// 32 bytes for a label: the same for the same seed, unrelated for another label.
    #[must_use]
    pub fn bytes(&self, label: &str) -> [u8; 32] {
        self.derive.bytes(label)
    }

    /// A number for a label.
    #[must_use]
    pub fn number(&self, label: &str) -> u64 {
        self.derive.number(label)
    }

    /// Names what the world grew from, so that a journal of another seed is refused.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let SeedShape { telegram_users, telegram_bots, discord_bots, webhooks, pairs } = self.shape;
        let PairCounts { telegram_to_discord, telegram_to_telegram, discord_to_telegram, discord_to_discord } =
            pairs;
        format!(
            "seed {} users {telegram_users}+{telegram_bots} bots {discord_bots}+{webhooks} pairs \
             {telegram_to_discord}+{telegram_to_telegram}+{discord_to_telegram}+{discord_to_discord}",
            self.value
        )
    }

    /// Whether an id names one of the seeded accounts.
    #[must_use]
    pub fn has_account(&self, account: Uuid) -> bool {
        self.telegram.users.iter().any(|user| user.account == account)
            || self.telegram.bots.iter().any(|bot| bot.account == account)
            || self.discord.bots.iter().any(|bot| bot.account == account)
            || self.discord.webhooks.iter().any(|webhook| webhook.account == account)
    }
}

/// Joins the two ends of every pair.
fn pairs(derive: &Derive, telegram: &TelegramSeed, discord: &DiscordSeed) -> Vec<SeedPair> {
    let channels = telegram.channels.iter().map(|channel| {
        let chat = channel.dialog_id().to_string();
        (channel.slot, PairEnd { platform: Platform::Telegram, chat, account: channel.account })
    });
    let guilds = discord.bots.iter().flat_map(|bot| {
        let guild = discord.guilds.iter().find(|guild| guild.id == bot.guild);
        let channels = guild.map(|guild| guild.channels.as_slice()).unwrap_or_default();
        channels.iter().filter_map(move |channel| {
            let chat = channel.id.to_string();
            Some((channel.slot?, PairEnd { platform: Platform::Discord, chat, account: bot.account }))
        })
    });
    let ends: BTreeMap<Slot, PairEnd> = channels.chain(guilds).collect();
    let sources = ends.iter().filter(|(slot, _)| slot.end == End::Source);
    let joined = sources.filter_map(|(&slot, source)| {
        let Slot { direction, index, .. } = slot;
        Some(SeedPair {
            id: derive.uuid(&format!("{} {index}", direction.label())),
            direction,
            source: source.clone(),
            target: ends.get(&Slot { end: End::Target, ..slot })?.clone(),
        })
    });
    joined.collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
