//! How far a source has been read. Cursors live only in the store and never run ahead of their events.

use serde::{Deserialize, Serialize};

use super::ChatId;

/// Which stream of an account a cursor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "stream", rename_all = "snake_case")]
pub enum CursorKey {
    /// Telegram's account-wide state: private chats and basic groups.
    TelegramCommon,
    /// Telegram's state of one channel or supergroup.
    TelegramChannel {
        /// The bare channel id, without the `-100` prefix.
        channel: i64,
    },
    /// The last message seen in one Telegram chat: from there history is read when the server answers that a
    /// difference is too long to be told (core.telegram.org/constructor/updates.channelDifferenceTooLong).
    TelegramChat {
        /// The chat.
        chat: ChatId,
    },
    /// The last message seen in a Discord channel.
    DiscordChannel {
        /// The channel.
        chat: ChatId,
    },
}

/// A position in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CursorValue {
    /// core.telegram.org/api/updates: the common state.
    TelegramCommon {
        /// Message box position.
        pts: i32,
        /// Secret and bot box position.
        qts: i32,
        /// Sequence number of update containers.
        seq: i32,
        /// Server time of the state, Unix seconds.
        date: i32,
    },
    /// A channel's own message box position.
    TelegramChannel {
        /// Message box position.
        pts: i32,
    },
    /// The id of the last message.
    LastMessage {
        /// Message id; the next read asks for what comes after it.
        id: i64,
    },
}

/// A stream and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which stream.
    pub key: CursorKey,
    /// How far it has been read.
    pub value: CursorValue,
}
