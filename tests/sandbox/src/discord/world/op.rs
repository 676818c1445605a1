//! What changes in the Discord world: one journal line each, and the things that the lines hold.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The nonce of a message, kept in the JSON type in which it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Nonce {
    Number(i64),
    Text(String),
}

/// A message in a channel or thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) channel: u64,
    /// A person, a bot, or the webhook that wrote it.
    pub(crate) author: u64,
    pub(crate) content: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) edited_at: Option<DateTime<Utc>>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) reply_to: Option<u64>,
    /// Users whom the message pings.
    pub(crate) mentions: Vec<u64>,
    pub(crate) mention_everyone: bool,
    pub(crate) flags: u64,
    /// How the author is shown, where a webhook is the author.
    #[serde(default)]
    pub(crate) persona: Option<Persona>,
}

/// The name and face under which a webhook writes one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Persona {
    pub(crate) name: String,
    /// The address that was given for the picture.
    pub(crate) avatar_url: Option<String>,
    /// The application of the bot that made the webhook.
    pub(crate) application: Option<u64>,
}

/// What an edit changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) content: String,
    pub(crate) mentions: Vec<u64>,
    pub(crate) mention_everyone: bool,
    pub(crate) flags: u64,
    pub(crate) at: DateTime<Utc>,
}

/// The secret part of a webhook's address. Debug hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebhookToken(pub(crate) String);

impl fmt::Debug for WebhookToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookToken(..)")
    }
}

/// A webhook that a bot made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewWebhook {
    pub(crate) id: u64,
    pub(crate) channel: u64,
    pub(crate) name: String,
    pub(crate) token: WebhookToken,
    /// The bot that made it.
    pub(crate) creator: u64,
}

/// A thread that a bot opened in a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewThread {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) name: String,
    pub(crate) owner: u64,
    pub(crate) at: DateTime<Utc>,
}

/// What a bot is allowed beyond what every member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rights {
    /// Privileged intents, as bits of the gateway's intents.
    pub(crate) intents: u64,
    /// Permissions that its role adds (discord.com/developers/docs/topics/permissions).
    pub(crate) permissions: u64,
}

/// What changes in the world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Op {
    Created(Message),
    Edited {
        channel: u64,
        id: u64,
        change: Change,
    },
    Deleted {
        channel: u64,
        id: u64,
    },
    BulkDeleted {
        channel: u64,
        ids: Vec<u64>,
    },
    WebhookMade(NewWebhook),
    WebhookGone {
        id: u64,
        channel: u64,
    },
    /// A bot was given or refused rights.
    RightsSet {
        bot: u64,
        rights: Rights,
    },
    /// Everyone may, or may no longer, write in a channel.
    WritableSet {
        channel: u64,
        writable: bool,
    },
    ThreadMade(NewThread),
    ThreadSet {
        id: u64,
        archived: bool,
        locked: bool,
        at: DateTime<Utc>,
    },
}
