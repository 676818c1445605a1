//! Section `bot`: the bot that writes to people.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::discord::web_address;
use super::secret::{self, Secret};
use super::units;

/// The bot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BotConfig {
    /// Its token; without one there is no bot.
    #[serde(deserialize_with = "secret::maybe")]
    pub token: Option<Secret>,
    /// File that holds the token.
    #[serde(deserialize_with = "units::path")]
    pub token_file: Option<PathBuf>,
    /// Base of the Bot API.
    pub api_base: String,
    /// The page on which users manage what they hear; the only address that an announcement may hold.
    #[serde(deserialize_with = "units::text")]
    pub account_page: Option<String>,
    /// Longest time to connect.
    #[serde(deserialize_with = "units::positive")]
    pub connect_timeout: Duration,
    /// Longest time for the answer to a request.
    #[serde(deserialize_with = "units::positive")]
    pub request_timeout: Duration,
    /// How long a question for updates waits for one.
    #[serde(deserialize_with = "units::positive")]
    pub poll_wait: Duration,
    /// Messages in a second, all chats together.
    pub messages_per_second: NonZeroUsize,
    /// Messages in a minute to one group or channel.
    pub group_messages_per_minute: NonZeroUsize,
    /// Least time between two messages to one chat.
    #[serde(deserialize_with = "units::positive")]
    pub chat_interval: Duration,
    /// Messages on their way at once.
    pub sends_max: NonZeroUsize,
    /// Chats whose next message is read ahead.
    pub lookahead: NonZeroU32,
    /// Recipients of an announcement that are written down in one transaction.
    pub recipients_chunk: NonZeroU32,
    /// Tries of one message that count.
    pub tries_max: NonZeroU32,
    /// How long a node keeps the right to work with the bot without renewing it.
    #[serde(deserialize_with = "units::positive")]
    pub lease_ttl: Duration,
    /// How long a code that links a chat is good.
    #[serde(deserialize_with = "units::positive")]
    pub link_code_life: Duration,
    /// Least time between two promotions to one chat.
    #[serde(deserialize_with = "units::positive")]
    pub promotion_interval: Duration,
}

/// Telegram's own address: what config.toml names.
const PUBLIC: &str = "https://api.telegram.org";
/// The longest that Telegram waits.
const POLL_MAX: Duration = Duration::from_secs(50);

impl BotConfig {
    /// Points at a sandbox's bot, unless another base is configured.
    pub fn use_sandbox(&mut self, api_base: &str, token: &str) {
        if self.api_base == PUBLIC {
            api_base.clone_into(&mut self.api_base);
            self.token = Secret::new(token);
        }
    }

    pub(super) fn check(&mut self, check: &mut Check<'_>) {
        check.secret("bot.token", &mut self.token, self.token_file.as_ref());
        if let Err(reason) = web_address(&self.api_base) {
            check.refuse("bot.api_base", reason);
        }
        if let Some(Err(reason)) = self.account_page.as_deref().map(web_address) {
            check.refuse("bot.account_page", reason);
        }
        let wrong = self.poll_wait > POLL_MAX;
        check.refuse_if(wrong, "bot.poll_wait", "it must be at most \"50s\": Telegram waits no longer");
        let wrong = self.lease_ttl <= self.request_timeout;
        check.refuse_if(wrong, "bot.lease_ttl", "it must be longer than bot.request_timeout");
    }
}
