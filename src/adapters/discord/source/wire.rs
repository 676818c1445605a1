//! Discord's objects as far as reading needs them, tolerant of everything else
//! (discord.com/developers/docs/resources/message, …/resources/channel, …/resources/user).

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use switchyard_actors::model::{ChatId, MessageId};

/// A message, whole as REST and MESSAGE_CREATE show it, or in part as MESSAGE_UPDATE may.
#[derive(Debug, Deserialize)]
pub(super) struct RawMessage {
    pub(super) id: MessageId,
    pub(super) channel_id: ChatId,
    #[serde(default)]
    pub(super) author: Option<RawUser>,
    /// The author as a member of the guild: only the gateway shows it.
    #[serde(default)]
    pub(super) member: Option<RawMember>,
    #[serde(default)]
    pub(super) webhook_id: Option<String>,
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) timestamp: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) edited_timestamp: Option<DateTime<Utc>>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<u64>,
    #[serde(default)]
    pub(super) flags: Option<u64>,
    #[serde(default, deserialize_with = "list")]
    pub(super) mentions: Vec<RawUser>,
    #[serde(default, deserialize_with = "list")]
    pub(super) attachments: Vec<RawAttachment>,
    #[serde(default, deserialize_with = "list")]
    pub(super) embeds: Vec<IgnoredAny>,
    #[serde(default, deserialize_with = "list")]
    pub(super) components: Vec<IgnoredAny>,
    #[serde(default, deserialize_with = "list")]
    pub(super) sticker_items: Vec<RawSticker>,
    #[serde(default)]
    pub(super) poll: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) message_reference: Option<RawReference>,
    #[serde(default, deserialize_with = "list")]
    pub(super) message_snapshots: Vec<RawForward>,
}

/// A person, a bot, or what a webhook calls itself.
#[derive(Debug, Deserialize)]
pub(super) struct RawUser {
    pub(super) id: String,
    pub(super) username: String,
    #[serde(default)]
    pub(super) global_name: Option<String>,
    #[serde(default)]
    pub(super) bot: Option<bool>,
    #[serde(default)]
    pub(super) system: Option<bool>,
    /// The user as a member of the guild: only mentions at the gateway show it.
    #[serde(default)]
    pub(super) member: Option<RawMember>,
}

/// A membership in a guild.
#[derive(Debug, Deserialize)]
pub(super) struct RawMember {
    #[serde(default)]
    pub(super) nick: Option<String>,
}

/// A file.
#[derive(Debug, Deserialize)]
pub(super) struct RawAttachment {
    #[serde(default)]
    pub(super) filename: Option<String>,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) content_type: Option<String>,
}

/// A sticker.
#[derive(Debug, Deserialize)]
pub(super) struct RawSticker {
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// What a message refers to.
#[derive(Debug, Deserialize)]
pub(super) struct RawReference {
    /// 0: a reply and the like; 1: a forwarded message.
    #[serde(default, rename = "type")]
    pub(super) kind: Option<u64>,
    #[serde(default)]
    pub(super) message_id: Option<MessageId>,
    #[serde(default)]
    pub(super) channel_id: Option<ChatId>,
}

/// A forwarded message. Discord wraps its copy in `message`; what serenity hands on has no wrapper.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawForward {
    Wrapped { message: RawSnapshot },
    Bare(RawSnapshot),
}

impl RawForward {
    pub(super) const fn snapshot(&self) -> &RawSnapshot {
        match self {
            Self::Wrapped { message } | Self::Bare(message) => message,
        }
    }
}

/// The copy of a message that was forwarded: without its author.
#[derive(Debug, Deserialize)]
pub(super) struct RawSnapshot {
    pub(super) content: String,
    #[serde(default, deserialize_with = "list")]
    pub(super) mentions: Vec<RawUser>,
    #[serde(default, deserialize_with = "list")]
    pub(super) attachments: Vec<RawAttachment>,
    #[serde(default, deserialize_with = "list")]
    pub(super) sticker_items: Vec<RawSticker>,
    #[serde(default, deserialize_with = "list")]
    pub(super) embeds: Vec<IgnoredAny>,
    #[serde(default, deserialize_with = "list")]
    pub(super) components: Vec<IgnoredAny>,
}

/// A channel or thread.
#[derive(Debug, Deserialize)]
pub(super) struct RawChannel {
    #[serde(rename = "type")]
    pub(super) kind: u8,
    #[serde(default)]
    pub(super) guild_id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) last_message_id: Option<MessageId>,
}

/// A list that may be absent or null.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
