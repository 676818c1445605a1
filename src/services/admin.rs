//! What an operator can ask of a running daemon: look at the tree, restart an actor, reconnect a session.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AccountId;
use switchyard_actors::supervision::{ChildPath, NodeView, Page, PageQuery, Verdict};
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
    /// The root supervisor is up or coming up, and nothing blocks its thread.
    pub live: bool,
    /// It takes and forwards messages.
    pub ready: bool,
    /// How well the tree of actors is: red when a branch, or a direct child of the root, is out of service.
    pub verdict: Verdict,
    /// Why it is not live, not ready or not green, a sentence each, the gravest first; each names the branch it is about.
    pub reasons: Vec<String>,
}

/// An operator's way into the daemon.
#[async_trait]
pub trait Admin: Send + Sync {
    /// One page of the tree, the root first, then in order of paths.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when nothing stands at the prefix.
    async fn supervision(&self, query: &PageQuery) -> Result<Page, AdminError>;

    /// One actor.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when nothing stands there.
    async fn actor(&self, path: &ChildPath) -> Result<NodeView, AdminError>;

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
