//! The bot that writes to people: what is sent through it, what comes back, and where both are kept.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::StoreError;
use crate::model::ChatId;

/// Who the bot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotIdentity {
    /// Telegram's id of it.
    pub id: i64,
    /// Its public name, without `@`.
    pub username: String,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotOutcome {
    /// It stands in the chat.
    Sent {
        /// Its id there.
        message: i64,
    },
    /// The platform asks to wait; it was not sent.
    RetryAfter {
        /// How long.
        wait: Duration,
    },
    /// It did not reach the platform.
    NotSent {
        /// What went wrong.
        error: String,
    },
    /// It may or may not have been sent: the Bot API has no key to find out.
    Unclear {
        /// What went wrong.
        error: String,
    },
    /// The chat cannot be written to: blocked, left, gone.
    Unreachable {
        /// The platform's words.
        error: String,
    },
    /// The group became a supergroup; it was not sent.
    Moved {
        /// The new chat.
        to: ChatId,
    },
    /// The platform does not take this text.
    Refused {
        /// The platform's words.
        error: String,
    },
    /// The platform does not know the bot's token (any more); it was not sent.
    TokenRefused {
        /// The platform's words.
        error: String,
    },
}

/// Why the bot's platform gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BotFault {
    /// It asks to wait.
    #[error("platform asks the bot to wait {} s", .0.as_secs())]
    Wait(Duration),
    /// Somebody else takes the same bot's updates.
    #[error("somebody else takes the bot's updates: {0}")]
    Conflict(String),
    /// The token is not (or no longer) valid.
    #[error("the bot's token is refused: {0}")]
    TokenRefused(String),
    /// No usable answer.
    #[error("the bot's platform cannot be reached: {0}")]
    Unreachable(String),
}

/// What a chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotChatKind {
    /// With one person.
    Private,
    /// A group or supergroup.
    Group,
    /// A channel.
    Channel,
}

/// Something that happened to the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotEvent {
    /// Somebody wrote to it.
    Message {
        /// Where.
        chat: ChatId,
        /// What that is.
        kind: BotChatKind,
        /// What.
        text: String,
    },
    /// Its place in a chat changed.
    Role {
        /// Where.
        chat: ChatId,
        /// What that is.
        kind: BotChatKind,
        /// The chat's title.
        title: String,
        /// Telegram's id of who changed it; the same as the private chat with them.
        by: i64,
        /// Whether it may write there now.
        writes: bool,
    },
    /// Nothing that concerns us.
    Other,
}

/// An update: each is told until a higher one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotUpdate {
    /// Its number; they grow.
    pub id: i64,
    /// What it is.
    pub event: BotEvent,
}

/// The bot's platform.
#[async_trait]
pub trait BotChannel: Send + Sync {
    /// Who the bot is.
    ///
    /// # Errors
    /// [`BotFault`].
    async fn me(&self) -> Result<BotIdentity, BotFault>;

    /// Writes a message in HTML as Telegram takes it.
    async fn send(&self, chat: ChatId, html: &str) -> BotOutcome;

    /// Updates from a number on, which confirms those below; waits for the first at most `wait`.
    ///
    /// # Errors
    /// [`BotFault`].
    async fn updates(&self, from: i64, wait: Duration) -> Result<Vec<BotUpdate>, BotFault>;
}

/// A message in the bot's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(i64);

impl NoticeId {
    /// Wraps a stored number.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The stored number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A message that is the next one of its chat, and due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueNotice {
    /// Which.
    pub id: NoticeId,
    /// For whom.
    pub chat: ChatId,
}

/// What happens after an outcome that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It is not repeated: announcements.
    AtMostOnce,
    /// It is repeated, and may stand twice: answers and alerts.
    AtLeastOnce,
}

/// A message that is about to be sent, and is known as such in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedNotice {
    /// For whom.
    pub chat: ChatId,
    /// The text, in HTML.
    pub html: String,
    /// What happens after an outcome that is not known.
    pub promise: Promise,
    /// Tries before this one that count.
    pub tries: u32,
}

/// What becomes of a claimed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeVerdict {
    /// It stands in the chat.
    Sent {
        /// Its id there.
        message: i64,
    },
    /// It is tried again.
    Again {
        /// Not before.
        at: DateTime<Utc>,
        /// Whether this try counts.
        counts: bool,
        /// Why.
        error: String,
    },
    /// It is given up.
    Failed {
        /// Why.
        error: String,
    },
    /// It is given up, and so is the chat until somebody writes from there.
    Unreachable {
        /// Why.
        error: String,
    },
    /// It may have been sent, and is not repeated.
    Uncertain {
        /// Why.
        error: String,
    },
    /// It goes to the chat that this one became.
    Moved {
        /// The new chat.
        to: ChatId,
    },
}

/// The bot's outbox, and who of several nodes works on it.
#[async_trait]
pub trait NoticeBox: Send + Sync {
    /// Takes or renews the right to send and to take updates; answers the first update that is not known yet. `None`:
    /// another node has it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn hold_bot(&self, ttl: Duration) -> Result<Option<i64>, StoreError>;

    /// Gives the right up, so that another node need not wait.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release_bot(&self) -> Result<(), StoreError>;

    /// What was claimed before this process and never settled: at most once becomes uncertain, at least once waits again.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn recover_notices(&self) -> Result<u64, StoreError>;

    /// Chats that were written to lately, and how long ago, so that limits hold across restarts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sent_lately(&self, within: Duration) -> Result<Vec<(ChatId, Duration)>, StoreError>;

    /// The due heads: of each chat the oldest that waits, answers before announcements.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn due_notices(&self, limit: u32) -> Result<Vec<DueNotice>, StoreError>;

    /// Marks a message durably as being sent, after looking whether it still may be: an announcement that was cancelled, a
    /// user who opted out, has another plan, or heard enough promotions, a chat that was unlinked. `None`: not (or not
    /// any more) to be sent.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_notice(&self, id: NoticeId) -> Result<Option<ClaimedNotice>, StoreError>;

    /// Records what became of a claimed message.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle_notice(&self, id: NoticeId, verdict: &NoticeVerdict) -> Result<(), StoreError>;

    /// Begins announcements whose time came, writes down at most `limit` more recipients, ends those that are through.
    /// Whether there is more to do at once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn advance_announcements(&self, limit: u32) -> Result<bool, StoreError>;

    /// Deletes settled messages that are older and belong to no announcement.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn purge_notices(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}

/// What to do with what people write to the bot.
#[async_trait]
pub trait BotInbox: Send + Sync {
    /// Acts on an update and queues the answers, in one transaction that also moves past it; one that was seen before
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn receive(&self, update: &BotUpdate) -> Result<(), StoreError>;
}
