//! An entry of the alert stream: what operators and users are told when something breaks or heals.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlertId, UserId};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Something healed or changed.
    Info,
    /// Something restarts or waits by itself.
    Warning,
    /// Somebody must act.
    Critical,
}

impl AlertSeverity {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One alert. Its text carries no secret and no message content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// When it was raised.
    pub at: DateTime<Utc>,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// A stable name of the kind, such as `actor.parked`.
    pub kind: String,
    /// What it is about: an actor's path, an account, a pair.
    pub subject: String,
    /// The user concerned, if one is.
    pub user: Option<UserId>,
    /// A sentence for people.
    pub text: String,
}
