//! Closed vocabularies: how a send ended, why a message was skipped, why a delivery died.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MessageId, Restriction};

/// Why a pair does not send a message. Kept in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", content = "detail", rename_all = "snake_case")]
pub enum SkipReason {
    /// It must never be forwarded (feature F12).
    Restricted(Restriction),
    /// It was written by this system: forwarding it would loop.
    Loop,
    /// The same message was already routed through this pair.
    Duplicate,
    /// Nothing that the target can show remains.
    Empty,
    /// This kind of content is not forwarded (yet): media.
    Unsupported,
    /// The message that was changed or deleted has no copy: it was skipped, given up, or is older than the pair.
    NotForwarded,
    /// The edited text needs more messages than its copy has: nothing can be put between what stands there.
    EditTooLong,
    /// The pair failed on it more often than the bound allows.
    Poison,
}

/// Why a delivery was given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reason", content = "detail", rename_all = "snake_case")]
pub enum DeadReason {
    /// The platform refuses this message for good; its error name or code.
    Refused(String),
    /// Retries are used up; the last error.
    Exhausted(String),
    /// Older than the pair's age limit.
    Expired,
    /// The platform never told the id of the copy that was to be changed or deleted.
    CopyUnknown,
}

/// What a wait applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldScope {
    /// The destination chat only: slow mode, a shared or per-channel limit.
    Chat,
    /// Everything that the account sends.
    Account,
    /// Everything from this network address.
    Egress,
}

/// How one try to send a part ended: the classes of one table per platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// At the target. The id is unknown when the platform says "already sent" without naming it.
    Delivered {
        /// The id at the target.
        message: Option<MessageId>,
    },
    /// The platform asks to wait; does not count as a try.
    RetryAfter {
        /// How long, as the platform says.
        wait: Duration,
        /// For whom.
        scope: HoldScope,
    },
    /// A passing fault (5xx, overload): exponential backoff; counts as a try.
    Backoff {
        /// The platform's error.
        error: String,
    },
    /// No answer, or the connection broke: the message may have arrived. Retried with the same key.
    Unclear {
        /// What happened.
        error: String,
    },
    /// The account has no connection at the moment; nothing was sent and no try is counted.
    Offline {
        /// Why.
        error: String,
    },
    /// The target refuses this pair (kicked, read-only, gone): the pair pauses.
    PausePair {
        /// The platform's error.
        error: String,
    },
    /// The account may not send at all for now (`PEER_FLOOD`, frozen): all its sends stop until an operator resumes.
    Quarantine {
        /// The platform's error.
        error: String,
    },
    /// The session is over: only a new login helps.
    SessionDead {
        /// The platform's error.
        error: String,
    },
    /// This message is refused for good; the next one goes on.
    Refused {
        /// The platform's error.
        error: String,
    },
}

impl SendOutcome {
    /// Whether the platform refused, or was never asked: the message certainly is not at the target by this try. A fault of
    /// the server says nothing of that.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::RetryAfter { .. }
            | Self::Offline { .. }
            | Self::PausePair { .. }
            | Self::Quarantine { .. }
            | Self::SessionDead { .. }
            | Self::Refused { .. } => true,
            Self::Delivered { .. } | Self::Backoff { .. } | Self::Unclear { .. } => false,
        }
    }
}
