//! A forwarding pair: one source chat to one target chat.

use std::collections::BTreeSet;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountId, PairId, Place, UserId};

/// Why a pair is paused. Causes are a set: lifting one never lifts another (feature A7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// Its owner.
    User,
    /// An operator.
    Admin,
    /// The owner's plan.
    Plan,
    /// The platform refuses: kicked, read-only, chat gone.
    Permission,
    /// The owner is suspended.
    Suspension,
    /// Restored from a backup and not yet confirmed.
    Restored,
}

impl PauseCause {
    /// Every cause.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Admin, Self::Plan, Self::Permission, Self::Suspension, Self::Restored];

    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Plan => "plan",
            Self::Permission => "permission",
            Self::Suspension => "suspension",
            Self::Restored => "restored",
        }
    }
}

impl FromStr for PauseCause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| format!("unknown pause cause {text:?}"))
    }
}

/// One source chat to one target chat; many to many is many pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Its id.
    pub id: PairId,
    /// Its owner.
    pub user: UserId,
    /// The account that reads.
    pub source_account: AccountId,
    /// The chat that is read.
    pub source: Place,
    /// The account that writes.
    pub target_account: AccountId,
    /// The chat that is written to.
    pub target: Place,
    /// Why it is paused; empty while it runs.
    pub paused: BTreeSet<PauseCause>,
}
