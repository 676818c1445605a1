//! What a source tells: a message is new, changed or gone.

use std::str::FromStr;

use schemars::JsonSchema;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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

    /// Tells apart two states of one message: 0 for a new message, -1 for a deletion, for an edit a positive number
    /// made of its time and its content. The time alone would not do: Telegram tells it in whole seconds, and two edits
    /// within one second are two events. The same edit read again has the same number; numbers say nothing of order.
    /// With account, chat, message and kind it is the key under which intake accepts an event once.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::New(_) => 0,
            Self::Edited(message) => edit_revision(message),
            Self::Deleted { .. } => -1,
        }
    }
}

/// FNV-1a over the edit time and what readers see: text, entities and media. Names of people and the like may be told
/// differently by a second reading and are left out.
fn edit_revision(message: &Message) -> i64 {
    let time = message.edited_at.map_or(0, |at| at.timestamp_micros());
    let mut hash = Fnv::new();
    hash.write(&time.to_le_bytes());
    // Values of these types always have a JSON form; without one the time alone counts.
    hash.write(&serde_json::to_vec(&message.text).unwrap_or_default());
    hash.write(&serde_json::to_vec(&message.attachments).unwrap_or_default());
    i64::from_ne_bytes((hash.0 >> 1).max(1).to_ne_bytes())
}

/// The FNV-1a hash, 64 bits (RFC 9923): the same on every machine and in every version.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChatId, Entity, EntityKind, Platform, RichText, Sender, SenderKind};
    use chrono::DateTime;

    fn message(text: RichText, edited: i64) -> Message {
        let place = Place { platform: Platform::Telegram, chat: ChatId::new(-100).unwrap(), thread: None };
        Message {
            place,
            id: MessageId::new(7).unwrap(),
            sender: None,
            sent_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            edited_at: DateTime::from_timestamp(edited, 0),
            text,
            reply_to: None,
            album: None,
            attachments: Vec::new(),
            restrictions: Vec::new(),
            own: false,
        }
    }

    fn revision(text: RichText, edited: i64) -> i64 {
        SourceEvent::Edited(message(text, edited)).revision()
    }

    #[test]
    fn two_edits_within_one_second_are_two_and_one_read_twice_is_one() {
        let bold = Entity { offset: 0, length: 1, kind: EntityKind::Bold };
        let formatted = RichText::new("one", vec![bold]).unwrap();
        let states = [
            (RichText::plain("one"), 5),
            (RichText::plain("two"), 5),
            (formatted, 5),
            (RichText::plain("one"), 6),
        ];
        let revisions: Vec<i64> = states.iter().map(|(text, at)| revision(text.clone(), *at)).collect();
        for (index, one) in revisions.iter().enumerate() {
            assert!(*one > 0, "new messages and deletions have numbers of their own");
            assert!(revisions.iter().skip(index + 1).all(|other| other != one), "{revisions:?}");
        }
        let mut again = message(RichText::plain("one"), 5);
        again.sender = Some(Sender { id: 1, name: "Ada".to_owned(), kind: SenderKind::Person });
        assert_eq!(
            Some(&SourceEvent::Edited(again).revision()),
            revisions.first(),
            "who reads does not matter"
        );
        assert_eq!(SourceEvent::New(message(RichText::plain("one"), 5)).revision(), 0);
    }

    #[test]
    fn a_revision_never_changes_between_versions() {
        let mut hash = Fnv::new();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8, "the test vector of FNV-1a's authors");
        assert_eq!(revision(RichText::plain("one"), 5), 2_569_906_031_752_714_636);
    }
}
