//! What the domain asks of a platform: connect an account, read its events, carry out operations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::{ChatDirectory, IntakeUnit, StoreError};
use crate::model::{Account, Cursor, Fence, IdempotencyKey, MessageId, PartBody, Place, SendOutcome};

/// What a platform said about its limits with one answer (Discord's `X-RateLimit-*`; Telegram says nothing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitHint {
    /// Requests per window.
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// Until the window resets.
    pub reset_after: Duration,
}

/// What is done at a target. Edits and deletions may be repeated without harm; a new message carries the request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes a message.
    Send {
        /// What it says.
        body: PartBody,
        /// The message at the target that it answers; when that is gone, the message is written without it.
        reply_to: Option<MessageId>,
    },
    /// Gives a message that this account wrote another content. One that says so already counts as done.
    Edit {
        /// Which message.
        message: MessageId,
        /// What it says from now on.
        body: PartBody,
    },
    /// Deletes a message that this account wrote. One that is gone already counts as done.
    Delete {
        /// Which message.
        message: MessageId,
    },
}

/// One part to be brought to its target.
#[derive(Clone, Debug)]
pub struct SendRequest {
    /// Where to.
    pub target: Place,
    /// What is done there.
    pub operation: Operation,
    /// The key under which the platform accepts a new message once.
    pub key: IdempotencyKey,
    /// When it was handed to the platform before and no answer came, Unix milliseconds: an adapter whose key has
    /// a limited life looks at the channel first. Only for [`Operation::Send`].
    pub unclear_since: Option<i64>,
    /// Messages at the target that are known as copies of others; filled when `unclear_since` is.
    pub known: Vec<MessageId>,
}

/// How a send ended, and what the answer said of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendReport {
    /// How it ended.
    pub outcome: SendOutcome,
    /// What the platform said of its limits.
    pub hint: Option<RateLimitHint>,
}

/// Why a connection could not be made, or ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConnectionError {
    /// The platform ended the session or refused the credential: only a new login helps.
    #[error("session is over: {0}")]
    NeedsLogin(String),
    /// The credential must not be used (a Discord user token, a frozen account).
    #[error("credential is refused: {0}")]
    Refused(String),
    /// The platform asks to wait before connecting again.
    #[error("platform asks to wait {} s: {reason}", .wait.as_secs())]
    Wait {
        /// How long.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// A Discord bot may not read what is written: its owner has to switch the message content intent on, then it
    /// connects by itself.
    #[error("message content intent is off: {reason}")]
    ContentIntentOff {
        /// Until it is looked at again.
        wait: Duration,
        /// What its owner has to do.
        reason: String,
    },
    /// Network, timeout, 5xx, a proxy that does not answer: try again after a backoff.
    #[error("platform is unreachable: {0}")]
    Unreachable(String),
    /// Store or vault failed under the connection.
    #[error(transparent)]
    Store(Arc<StoreErrorText>),
}

/// A store error in text form, so that connection errors can be copied.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct StoreErrorText(pub String);

impl From<StoreError> for ConnectionError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(StoreErrorText(error.to_string())))
    }
}

/// What a pair needs of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To read it.
    Read,
    /// To write in it.
    Write,
}

/// What a look at a chat came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The account may.
    Allowed,
    /// The platform says that it may not; why, in words.
    Refused(String),
    /// It cannot be told now; why, in words.
    Unknown(String),
}

/// Sends through a connected account. Every call ends within the adapter's own timeout.
#[async_trait]
pub trait MessageSender: Send + Sync {
    /// Sends one part.
    async fn send(&self, request: SendRequest) -> SendReport;

    /// Whether a repeated new message is known by its key, or looked for: where not, one whose first outcome is unknown
    /// may stand at the target twice.
    fn knows_repeats(&self) -> bool {
        true
    }

    /// Whether the account may read or write a chat, as the platform says now.
    async fn look(&self, _place: Place, _need: Need) -> Look {
        Look::Unknown("this kind of account is not asked".to_owned())
    }
}

/// Reads a connected account's events.
#[async_trait]
pub trait EventSource: Send {
    /// The next unit of intake; waits until there is one. The unit must be recorded before the next call.
    ///
    /// # Errors
    /// [`ConnectionError`]; the connection is over.
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError>;

    /// Source places that cannot be read just now, with the reason in words for people. A change is followed by a unit,
    /// which may be empty.
    fn troubles(&self) -> Vec<(Place, String)> {
        Vec::new()
    }

    /// Whether it still reads what was written before it connected.
    fn catching_up(&self) -> bool {
        false
    }

    /// How the live connection is told of other chats; `None` when it must be made anew for them.
    fn steering(&self) -> Option<Arc<dyn Steering>> {
        None
    }
}

/// Changes what a live connection works for.
pub trait Steering: Send + Sync {
    /// The account reads and writes these chats from now on. Whether the connection does so already, or will without
    /// being made anew; what is written in `sources` after the answer is seen.
    fn steer(&self, sources: &[Place], targets: &[Place]) -> bool;
}

/// A connected account. Dropping it closes the connection.
pub struct Connection {
    /// Its events; `None` for an account that only sends.
    pub source: Option<Box<dyn EventSource>>,
    /// Its sender; `None` for an account that only reads.
    pub sender: Option<Arc<dyn MessageSender>>,
    /// The chats that it knows; `None` for an account that has no choice.
    pub chats: Option<Arc<dyn ChatDirectory>>,
    /// The platform's id of the account, as it says itself.
    pub platform_id: i64,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("platform_id", &self.platform_id)
            .field("reads", &self.source.is_some())
            .field("sends", &self.sender.is_some())
            .finish()
    }
}

/// What a connector needs to know of the account's role.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// The account.
    pub account: Account,
    /// Under which assignment.
    pub fence: Fence,
    /// The chats that pairs read through it; empty for an account that only sends.
    pub sources: Vec<Place>,
    /// The chats that pairs write to through it; empty for an account that only reads.
    pub targets: Vec<Place>,
    /// How far its streams have been read.
    pub cursors: Vec<Cursor>,
}

/// Connects accounts of every kind to their platforms.
#[async_trait]
pub trait PlatformConnector: Send + Sync {
    /// Connects and signs in. Ends within the adapter's own timeout.
    ///
    /// # Errors
    /// [`ConnectionError`].
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError>;
}
