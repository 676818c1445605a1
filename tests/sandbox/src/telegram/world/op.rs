//! What can happen in the world. The journal holds these; the world is their fold.

use serde::{Deserialize, Serialize};

use crate::messages::TextEntity;

/// A conversation, named without a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Chat {
    /// A channel or supergroup by its bare id.
    Channel(i64),
    /// The private conversation with a user.
    User(i64),
}

/// What a user may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Made the channel.
    Creator,
    /// May post in a broadcast channel, edit its posts and delete everybody's messages.
    Admin,
    /// Reads, and writes where everybody may.
    Member,
    /// Reads only.
    Restricted,
}

/// The kind of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Posts come from the channel itself.
    Broadcast,
    /// A supergroup: everybody writes.
    Megagroup,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) first_name: String,
    pub(crate) last_name: Option<String>,
    pub(crate) username: Option<String>,
    /// Digits only.
    pub(crate) phone: Option<String>,
    /// Whether it is a program: it signs in with a token, and part of the API is closed to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) bot: bool,
}

/// A channel as it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewChannel {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) username: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) noforwards: bool,
    pub(crate) creator: i64,
    /// Unix seconds.
    pub(crate) at: i64,
}

/// A message that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) chat: Chat,
    /// Who writes.
    pub(crate) by: i64,
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entities: Vec<TextEntity>,
    /// Id of the message answered, as the writer sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<i32>,
    /// The client's own id for the send, remembered against repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) random_id: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) silent: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) noforwards: bool,
}

/// A message that is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) chat: Chat,
    /// Whose view names the message: in private conversations every side has its own ids.
    pub(crate) by: i64,
    pub(crate) id: i32,
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entities: Vec<TextEntity>,
}

/// Messages that are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delete {
    /// `None` names messages of any private conversation of `by`.
    pub(crate) channel: Option<i64>,
    pub(crate) by: i64,
    pub(crate) ids: Vec<i32>,
    /// In private conversations: for the other side too.
    pub(crate) revoke: bool,
}

/// Everything that can happen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    /// A user comes to be, or changes.
    User(User),
    /// A channel is made; its creator is its first member.
    Channel(NewChannel),
    /// A user's place in a channel changes; `None` leaves it.
    Member { channel: i64, user: i64, role: Option<Role>, at: i64 },
    /// An authorization key becomes known; hex of its 256 bytes.
    Key { key: String },
    /// A client on this key said which layer it speaks.
    Layer { key: i64, layer: i32 },
    /// A key signs in.
    SignIn { key: i64, user: i64 },
    /// A key signs itself out.
    SignOut { key: i64 },
    /// A key is signed out by another session of its user.
    Revoke { key: i64 },
    /// A key is dead: it is not known any more.
    Forget { key: i64 },
    /// A message is written.
    Post(Post),
    /// A message is changed.
    Edit(Edit),
    /// Messages are deleted.
    Delete(Delete),
    /// A user has read a conversation up to a message.
    Read { user: i64, chat: Chat, max_id: i32 },
}

impl std::fmt::Debug for Op {
    /// The kind only: operations hold keys and message texts.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User(_) => "User",
            Self::Channel(_) => "Channel",
            Self::Member { .. } => "Member",
            Self::Key { .. } => "Key",
            Self::Layer { .. } => "Layer",
            Self::SignIn { .. } => "SignIn",
            Self::SignOut { .. } => "SignOut",
            Self::Revoke { .. } => "Revoke",
            Self::Forget { .. } => "Forget",
            Self::Post(_) => "Post",
            Self::Edit(_) => "Edit",
            Self::Delete(_) => "Delete",
            Self::Read { .. } => "Read",
        })
    }
}
