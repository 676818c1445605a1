//! What an operator can ask of a running daemon: look at the tree, restart an actor, reconnect a session.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AccountId;
use switchyard_actors::supervision::{ChildPath, NodeView};
use thiserror::Error;

/// Why an order was not carried out. Texts are for people and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdminError {
    /// There is no such actor or account.
    #[error("{0} not found")]
    NotFound(String),
    /// It cannot be done in the present state, and why.
    #[error("{0}")]
    Conflict(String),
    /// The platform ended the session: only a new login helps.
    #[error("account {0} needs login: the platform ended its session")]
    NeedsLogin(AccountId),
    /// The platform asked to wait; an order never shortens that.
    #[error("platform asked to wait until {}", .0.to_rfc3339())]
    PlatformWait(DateTime<Utc>),
    /// The daemon cannot do it now: the store or the tree does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// How well the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The process and its root supervisor work.
    pub live: bool,
    /// It takes and forwards messages.
    pub ready: bool,
    /// Why it is not live or not ready, a sentence each; also what is parked though it is ready.
    pub reasons: Vec<String>,
}

/// An operator's way into the daemon.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Every actor at or below `prefix`, the root first, then in order of paths.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when nothing stands there.
    async fn supervision(&self, prefix: &ChildPath) -> Result<Vec<NodeView>, AdminError>;

    /// Restarts an actor, or starts it when it is parked or waits; its queue is kept.
    ///
    /// # Errors
    /// [`AdminError`]
    async fn restart(&self, path: &ChildPath) -> Result<(), AdminError>;

    /// Closes an account's connection and makes a new one. Never shortens a platform's wait.
    ///
    /// # Errors
    /// [`AdminError`]
    async fn reconnect(&self, account: AccountId) -> Result<(), AdminError>;

    /// How well the daemon is, from memory alone.
    fn health(&self) -> Health;
}
