//! A platform-neutral message, as intake stores it and the pipeline reads it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MessageId, Place, RichText};

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The platform's id of the person, bot or channel.
    pub id: i64,
    /// The name shown to readers.
    pub name: String,
    /// What kind of author it is.
    pub kind: SenderKind,
}

/// What kind of author wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderKind {
    /// A human account.
    Person,
    /// A bot account.
    Bot,
    /// A channel or group that posts under its own name.
    Channel,
    /// A webhook.
    Webhook,
    /// The platform itself, such as Telegram's 777000.
    Service,
}

/// A reason why a message must never be forwarded, whatever the settings (feature F12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restriction {
    /// The chat or the message forbids forwarding and saving (`noforwards`).
    Protected,
    /// Media that may be seen once.
    ViewOnce,
    /// A message or media that deletes itself.
    SelfDestructing,
    /// An end-to-end encrypted chat.
    SecretChat,
    /// Content that was paid for.
    Paid,
    /// A platform's own service message: sign-in codes, security notices, membership changes.
    Service,
}

/// The kind of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum AttachmentKind {
    Photo,
    Video,
    Audio,
    Voice,
    VideoNote,
    Animation,
    Sticker,
    Document,
    Poll,
    Location,
    Contact,
    Other,
}

/// Media that came with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// Its file name, where it has one.
    pub name: Option<String>,
    /// Size in bytes, where known.
    pub size: Option<u64>,
    /// MIME type, where known.
    pub mime: Option<String>,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The chat (and thread) in which it stands.
    pub place: Place,
    /// Its id there.
    pub id: MessageId,
    /// Its author, where the platform names one.
    pub sender: Option<Sender>,
    /// When it was written.
    pub sent_at: DateTime<Utc>,
    /// When it was last edited.
    pub edited_at: Option<DateTime<Utc>>,
    /// Text or caption.
    pub text: RichText,
    /// The message it answers, in the same chat.
    pub reply_to: Option<MessageId>,
    /// Messages of one album share this number.
    pub album: Option<i64>,
    /// Media.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Why it must never be forwarded; empty for an ordinary message.
    #[serde(default)]
    pub restrictions: Vec<Restriction>,
    /// Written by an account of this system: the loop guard's mark.
    #[serde(default)]
    pub own: bool,
}
