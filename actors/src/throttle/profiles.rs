//! Profiles: which budgets an identity of each kind keeps, with the source of every number.

use std::time::Duration;

use thiserror::Error;

use super::ids::Lane;
use crate::model::AccountKind;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every send of the identity.
    Account,
    /// Sends to one chat.
    Chat,
    /// Sends to one group or channel, not to private chats.
    Group,
}

/// At most `limit` in any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
    pub(super) limit: u32,
    pub(super) window: Duration,
    /// Whether the platform's rate-limit headers speak of this budget.
    pub(super) headers: bool,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const fn account(name: &'static str, limit: u32, window: Duration) -> Budget {
    Budget { name, scope: Scope::Account, limit, window, headers: false }
}

const fn chat(name: &'static str, limit: u32, window: Duration) -> Budget {
    Budget { name, scope: Scope::Chat, limit, window, headers: false }
}

const fn group(name: &'static str, limit: u32, window: Duration) -> Budget {
    Budget { name, scope: Scope::Group, limit, window, headers: false }
}

/// Telegram bots, core.telegram.org/bots/faq: about 30 messages a second in bulk, one a second in one chat, 20 a
/// minute in one group. Channels have no figure of their own; edits count like sends (github.com/tdlib/td issue 2592).
const TELEGRAM_BOT: [Budget; 3] =
    [account("account", 30, SECOND), chat("chat", 1, SECOND), group("group", 20, MINUTE)];

/// A Telegram user's single chats. Telegram publishes no number for users; these two are the defaults that
/// telethon-floodgate runs in production (pypi.org/project/telethon-floodgate).
const TELEGRAM_USER_CHATS: [Budget; 2] =
    [chat("chat", 1, Duration::from_millis(1_100)), group("group", 16, MINUTE)];

/// A Telegram user, ordinary. Our choice, well under every ceiling that users report.
const TELEGRAM_USER_NORMAL: [Budget; 4] = [
    account("account_minute", 20, MINUTE),
    account("account_ten_minutes", 100, Duration::from_secs(600)),
    account("account_hour", 400, HOUR),
    account("account_day", 2_000, DAY),
];

/// A Telegram user that is new here or was warned. Our choice.
const TELEGRAM_USER_CAUTIOUS: [Budget; 3] = [
    account("account_minute", 8, MINUTE),
    account("account_hour", 60, HOUR),
    account("account_day", 300, DAY),
];

/// A Telegram user whose operator takes the risk. Our choice, under the ceilings that users report.
const TELEGRAM_USER_FAST: [Budget; 4] = [
    account("account_minute", 30, MINUTE),
    account("account_ten_minutes", 250, Duration::from_secs(600)),
    account("account_hour", 1_200, HOUR),
    account("account_day", 10_000, DAY),
];

/// A Discord bot: 50 requests a second (discord.com/developers/docs/topics/rate-limits); messages to one channel 5 in
/// 5 s until the headers say otherwise (unpublished, stable for years: javacord.org/wiki/advanced-topics/ratelimits).
const DISCORD_BOT: [Budget; 2] =
    [account("account", 50, SECOND), Budget { headers: true, ..chat("channel", 5, Duration::from_secs(5)) }];

/// A Discord webhook: 5 in 2 s, as its headers say, and 30 a minute for all hooks of its channel, which they do not
/// (github.com/discord/discord-api-docs issue 367). Another hook of the same channel is another identity and is not
/// counted here.
const DISCORD_WEBHOOK: [Budget; 2] = [
    Budget { headers: true, ..chat("webhook", 5, Duration::from_secs(2)) },
    chat("channel_minute", 30, MINUTE),
];

/// Which budgets an identity keeps and which chats share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    kind: AccountKind,
    budgets: Vec<Budget>,
}

/// No profile of that name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown throttle profile {name:?}: expected one of {}", NAMES.join(", "))]
pub struct UnknownProfile {
    /// What was given.
    pub name: String,
}

/// Every profile, in the order in which they are told.
const NAMES: [&str; 5] = ["cautious", "normal", "fast", "sandbox", "sandbox-published"];

impl Profile {
    /// The profile of that name for that kind of account.
    ///
    /// `cautious`, `normal` and `fast` differ for Telegram users only: where a platform publishes its limits, all three
    /// keep to them. `sandbox` has no budgets, because a sandbox announces none; lanes, order, holds and headers are
    /// in force. `sandbox-published` is what the platforms publish, for a sandbox that enforces it; a user's account has
    /// the figures of a bot there, because Telegram publishes no others.
    ///
    /// # Errors
    /// [`UnknownProfile`], which names those that exist.
    pub fn named(kind: AccountKind, name: &str) -> Result<Self, UnknownProfile> {
        let unknown = || UnknownProfile { name: name.to_owned() };
        let name = NAMES.into_iter().find(|known| *known == name).ok_or_else(unknown)?;
        let budgets = match (kind, name) {
            (_, "sandbox") => Vec::new(),
            (AccountKind::TelegramUser, "cautious") => {
                [&TELEGRAM_USER_CHATS[..], &TELEGRAM_USER_CAUTIOUS[..]].concat()
            }
            (AccountKind::TelegramUser, "fast") => {
                [&TELEGRAM_USER_CHATS[..], &TELEGRAM_USER_FAST[..]].concat()
            }
            (AccountKind::TelegramUser, "normal") => {
                [&TELEGRAM_USER_CHATS[..], &TELEGRAM_USER_NORMAL[..]].concat()
            }
            (AccountKind::TelegramBot | AccountKind::TelegramUser, _) => TELEGRAM_BOT.to_vec(),
            (AccountKind::DiscordBot, _) => DISCORD_BOT.to_vec(),
            (AccountKind::DiscordWebhook, _) => DISCORD_WEBHOOK.to_vec(),
        };
        Ok(Self { name, kind, budgets })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    #[cfg(test)]
    pub(super) const fn custom(kind: AccountKind, budgets: Vec<Budget>) -> Self {
        Self { name: "custom", kind, budgets }
    }

    /// The budgets of all sends of the identity.
    pub(super) fn account_budgets(&self) -> impl Iterator<Item = Budget> {
        self.budgets.iter().copied().filter(|budget| budget.scope == Scope::Account)
    }

    /// The budgets of sends to one chat.
    pub(super) fn chat_budgets(&self, chat: ChatKey) -> impl Iterator<Item = Budget> {
        let group = self.kind.platform() == crate::model::Platform::Telegram && chat.0 < 0;
        self.budgets.iter().copied().filter(move |budget| match budget.scope {
            Scope::Account => false,
            Scope::Chat => true,
            Scope::Group => group,
        })
    }

    /// All budgets.
    pub(super) fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// Whether answers carry rate-limit headers, so that the first request of a chat goes alone.
    pub(super) const fn has_headers(&self) -> bool {
        matches!(self.kind, AccountKind::DiscordBot | AccountKind::DiscordWebhook)
    }

    /// The chat whose budgets a lane uses up. A Discord thread is a channel with limits of its own for a bot; a
    /// webhook posts into threads under the limits of the hook; Telegram's topics share those of their chat.
    pub(super) fn chat_of(&self, lane: Lane) -> ChatKey {
        let place = lane.place();
        match (self.kind, place.thread) {
            (AccountKind::DiscordBot, Some(thread)) => ChatKey(thread.get()),
            _ => ChatKey(place.chat.get()),
        }
    }
}

/// A chat as far as limits are concerned: its id, or the thread's where threads are channels of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChatKey(pub(super) i64);
