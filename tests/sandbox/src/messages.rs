//! Messages as the control API shows them: the same shape on every platform.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest text that any platform takes, in UTF-16 code units (Telegram: 4,096). Platforms check their own.
pub const MAX_TEXT_UNITS: usize = 4096;

/// The kind of a text entity, named as in Telegram's Bot API (core.telegram.org/bots/api#messageentity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// `@username`
    Mention,
    /// `#tag`
    Hashtag,
    /// `$USD`
    Cashtag,
    /// `/start`
    BotCommand,
    /// A bare address.
    Url,
    /// An e-mail address.
    Email,
    /// A telephone number.
    PhoneNumber,
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strikethrough,
    /// Hidden until touched.
    Spoiler,
    /// A quotation.
    Blockquote,
    /// A quotation that is shown folded.
    ExpandableBlockquote,
    /// Monospaced text.
    Code,
    /// A monospaced block, with an optional language.
    Pre,
    /// Text that carries an address.
    TextLink,
    /// A user without a username, named by [`TextEntity::user`].
    TextMention,
    /// An emoji of a custom set; the text holds the plain one.
    CustomEmoji,
}

/// A stretch of a text with a meaning. Offsets count UTF-16 code units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEntity {
    /// What the stretch is.
    #[serde(rename = "type")]
    pub kind: EntityKind,
    /// Where it begins, in UTF-16 code units.
    pub offset: u32,
    /// How long it is, in UTF-16 code units.
    pub length: u32,
    /// The address of a [`EntityKind::TextLink`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The language of a [`EntityKind::Pre`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The user of a [`EntityKind::TextMention`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<MentionedUser>,
    /// The document of a [`EntityKind::CustomEmoji`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_emoji_id: Option<String>,
}

/// A user named by a text mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionedUser {
    /// Telegram's id of the user.
    pub id: i64,
}

/// A message that a person is to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Platform id or name of the person; without it a seeded person other than the customer's own accounts.
    pub from: Option<String>,
    /// The text; on Discord raw markdown.
    pub text: String,
    /// Telegram only.
    pub entities: Vec<TextEntity>,
    /// Id of the message that this one answers.
    pub reply_to: Option<String>,
}

/// What a person changes a message to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedMessage {
    /// The new text.
    pub text: String,
    /// Telegram only.
    pub entities: Vec<TextEntity>,
}

/// A message as it stands in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageItem {
    /// Platform id of the message.
    pub id: String,
    /// Platform id of its author.
    pub from: String,
    /// Its text.
    pub text: String,
    /// Its entities; always empty on Discord.
    pub entities: Vec<TextEntity>,
    /// Always null until the sandbox takes media.
    pub media: Option<()>,
    /// Always empty until the sandbox takes albums.
    pub album: Vec<String>,
    /// Id of the message that it answers.
    pub reply_to: Option<String>,
    /// When it was last edited.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// Why a world refuses what the control API asks of it.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such chat on this platform.
    #[error("there is no chat {0}")]
    UnknownChat(String),
    /// No such message in this chat.
    #[error("there is no message {0} in this chat")]
    UnknownMessage(String),
    /// A field has a value that the platform would refuse.
    #[error("{field}: {detail}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The journal refused, so nothing happened.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
}
