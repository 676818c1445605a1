//! A forwarding pair: one source chat to one target chat.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AccountId, PairId, Place, UserId};

/// Why a pair is paused. Causes are a set: lifting one never lifts another (feature A7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
