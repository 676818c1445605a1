//! What a source tells: a message is new, changed or gone.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Message, MessageId, Place};

/// An event of a source chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SourceEvent {
    /// A message was written.
    New(Message),
    /// A message was changed; the whole new state.
    Edited(Message),
    /// A message was deleted.
    Deleted {
        /// Where it stood.
        place: Place,
        /// Which one.
        id: MessageId,
    },
}

/// The kind alone, for columns and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// [`SourceEvent::New`].
    New,
    /// [`SourceEvent::Edited`].
    Edited,
    /// [`SourceEvent::Deleted`].
    Deleted,
}

impl EventKind {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
        }
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::New, Self::Edited, Self::Deleted]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown event kind {text:?}"))
    }
}

impl SourceEvent {
    /// The chat that the event is about.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::New(message) | Self::Edited(message) => message.place,
            Self::Deleted { place, .. } => *place,
        }
    }

    /// The message that the event is about.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        match self {
            Self::New(message) | Self::Edited(message) => message.id,
            Self::Deleted { id, .. } => *id,
        }
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::New(_) => EventKind::New,
            Self::Edited(_) => EventKind::Edited,
            Self::Deleted { .. } => EventKind::Deleted,
        }
    }

    /// Tells apart two states of one message: the edit time in milliseconds, 0 for a new message, -1 for a deletion.
    /// With account, chat, message and kind it is the key under which intake accepts an event once.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::New(_) => 0,
            Self::Edited(message) => message.edited_at.map_or(1, |at| at.timestamp_millis()),
            Self::Deleted { .. } => -1,
        }
    }
}
