//! How a session stands.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How a session stands, in words that operators and users see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "connection", rename_all = "snake_case")]
pub(super) enum Standing {
    Connecting,
    Connected {
        since: DateTime<Utc>,
    },
    WaitingToRetry {
        until: DateTime<Utc>,
        error: String,
    },
    WaitingForPlatform {
        until: DateTime<Utc>,
        error: String,
    },
    ContentIntentOff {
        until: DateTime<Utc>,
        error: String,
    },
    Suspended {
        /// What the platform asked for before goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_before: Option<DateTime<Utc>>,
    },
}

impl Standing {
    /// Why nothing can be asked of the platform now; none while it can.
    pub(super) fn why_not(&self) -> Option<String> {
        match self {
            Self::Connected { .. } => None,
            Self::Connecting => Some("session is connecting".to_owned()),
            Self::Suspended { .. } => Some("user is suspended".to_owned()),
            Self::WaitingToRetry { error, .. }
            | Self::WaitingForPlatform { error, .. }
            | Self::ContentIntentOff { error, .. } => Some(error.clone()),
        }
    }
}
