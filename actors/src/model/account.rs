//! A connected platform account.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountId, Platform, UserId};

/// What kind of account it is, and so which client speaks for it. Discord user tokens have no kind: they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum AccountKind {
    TelegramUser,
    TelegramBot,
    DiscordBot,
    DiscordWebhook,
}

impl AccountKind {
    /// The platform it lives on.
    #[must_use]
    pub const fn platform(self) -> Platform {
        match self {
            Self::TelegramUser | Self::TelegramBot => Platform::Telegram,
            Self::DiscordBot | Self::DiscordWebhook => Platform::Discord,
        }
    }

    /// Whether the stored credential begins a new session without a person when the platform ended the old one: a bot's
    /// token does (core.telegram.org/method/auth.importBotAuthorization). On Discord the token is the session.
    #[must_use]
    pub const fn signs_in_by_itself(self) -> bool {
        matches!(self, Self::TelegramBot)
    }

    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TelegramUser => "telegram_user",
            Self::TelegramBot => "telegram_bot",
            Self::DiscordBot => "discord_bot",
            Self::DiscordWebhook => "discord_webhook",
        }
    }
}

impl FromStr for AccountKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::TelegramUser, Self::TelegramBot, Self::DiscordBot, Self::DiscordWebhook]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown account kind {text:?}"))
    }
}

/// What is known of an account between two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// May be connected.
    Active,
    /// The platform ended the session: only a new login helps.
    NeedsLogin,
    /// Too many refusals: sends are stopped until an operator resumes them.
    Quarantined,
}

impl AccountState {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsLogin => "needs_login",
            Self::Quarantined => "quarantined",
        }
    }
}

impl FromStr for AccountState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Active, Self::NeedsLogin, Self::Quarantined]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown account state {text:?}"))
    }
}

/// A connected account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id, also that of its session and queue.
    pub id: AccountId,
    /// Its owner.
    pub user: UserId,
    /// Its kind.
    pub kind: AccountKind,
    /// The platform's id of it; one platform account is connected once.
    pub platform_id: i64,
    /// A name for people.
    pub name: String,
    /// Throttle profile (`sandbox`, `cautious`, `normal`, `fast`).
    pub profile: String,
    /// What is known of it.
    pub state: AccountState,
}
