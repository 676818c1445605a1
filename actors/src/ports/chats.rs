//! Which chats an account knows: what its owner chooses sources and targets from.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConnectionError;
use crate::model::ChatId;

/// What kind of chat it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// A conversation with one person or bot.
    Private,
    /// A group in which members write.
    Group,
    /// A channel in which few write and many read.
    Channel,
}

/// A chat as one account sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownChat {
    /// Its id, as pairs name it.
    pub chat: ChatId,
    /// Its title, or the other side's name.
    pub title: String,
    /// Where it is, where the platform groups chats: the name of a Discord server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What kind of chat it is.
    pub kind: ChatKind,
    /// Whether the account can read it, as far as the platform says.
    pub can_read: bool,
    /// Whether the account can write in it, as far as the platform says.
    pub can_write: bool,
}

/// Names the chats that a connected account knows. Every call ends within the adapter's own timeouts and bounds.
#[async_trait]
pub trait ChatDirectory: Send + Sync {
    /// Every chat that the account knows, at most as many as are asked of the platform, in the platform's order.
    ///
    /// # Errors
    /// [`ConnectionError`].
    async fn chats(&self) -> Result<std::sync::Arc<Vec<KnownChat>>, ConnectionError>;
}
