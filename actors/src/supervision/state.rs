//! States of children, and how many are in which.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State of a child as everybody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Loading, or waiting for its turn to start; its mailbox fills.
    Starting,
    /// Up.
    Running,
    /// Failed; waits before its next start; its mailbox fills.
    Backoff,
    /// Out of service until an admin or a probe starts it; its mailbox refuses.
    Parked,
    /// Up but held: handles nothing, its mailbox fills.
    Suspended,
    /// Finishing its queue before it ends; its mailbox refuses.
    Draining,
    /// Down; its mailbox refuses.
    Stopped,
}

impl NodeState {
    /// All states, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Parked,
        Self::Suspended,
        Self::Draining,
        Self::Stopped,
    ];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Running => 1,
            Self::Backoff => 2,
            Self::Parked => 3,
            Self::Suspended => 4,
            Self::Draining => 5,
            Self::Stopped => 6,
        }
    }

    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Stopped)
    }

    /// True when nothing but an order or a probe brings it back: it has nothing to finish.
    pub(crate) const fn is_out_of_service(self) -> bool {
        matches!(self, Self::Parked | Self::Stopped)
    }

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::Suspended => "suspended",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    /// Why a mailbox in this state refuses a message; `None` when it takes one.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Starting | Self::Running | Self::Backoff | Self::Suspended => None,
            Self::Parked => Some(Refusal::Parked),
            Self::Draining => Some(Refusal::Draining),
            Self::Stopped => Some(Refusal::Stopped),
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no state: it must be one of starting, running, backoff, parked, suspended, draining, stopped"
)]
pub struct UnknownState(String);

impl FromStr for NodeState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let longest = 40;
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.chars().take(longest).collect()))
    }
}

/// Why a mailbox refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// It holds as many messages as it may.
    #[error("mailbox is full")]
    Full,
    /// The child is parked.
    #[error("child is parked")]
    Parked,
    /// The child is finishing its queue and will end.
    #[error("child is draining")]
    Draining,
    /// The child is down.
    #[error("child is stopped")]
    Stopped,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::Parked, Self::Draining, Self::Stopped];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Parked => "parked",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }

    /// Its place in [`Refusal::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Full => 0,
            Self::Parked => 1,
            Self::Draining => 2,
            Self::Stopped => 3,
        }
    }
}

/// How many children are in which state; kept incrementally.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicUsize; 7]);

impl Counts {
    fn cell(&self, state: NodeState) -> Option<&AtomicUsize> {
        self.0.get(usize::from(state.code()))
    }

    pub(crate) fn enter(&self, state: NodeState) {
        if let Some(cell) = self.cell(state) {
            cell.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn leave(&self, state: NodeState) {
        if let Some(cell) = self.cell(state) {
            cell.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn of(&self, state: NodeState) -> usize {
        self.cell(state).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    pub(crate) fn any(&self, state: NodeState) -> bool {
        self.of(state) > 0
    }

    pub(crate) fn by_state(&self) -> BTreeMap<NodeState, usize> {
        NodeState::ALL.into_iter().map(|state| (state, self.of(state))).collect()
    }
}
