//! The promises that every run must keep, and how a broken one is told.

use std::fmt;

/// A promise of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Everything that was written ends at every target, or in the ledger with a reason that is true.
    NoneLost,
    /// Nothing stands at a target twice, unless the platform takes no key and nobody heard how the first try ended.
    NoneTwice,
    /// Messages of a pair arrive in the order in which they were written, and their parts in order.
    InOrder,
    /// What arrives is what was written.
    Faithful,
    /// Edits and deletions arrive, and the last one counts.
    LastWord,
    /// Nothing is sent while a wait runs that the platform asked for.
    WaitsKept,
    /// No more arrives in any window than the platform publishes as its limit, but for what was on its way 2 s after its
    /// sender ended.
    LimitsKept,
    /// A node without a lease sends nothing.
    LeaseHeld,
    /// Two nodes never work for one account at once.
    OneOwner,
    /// Nothing is sent for a pair, a queue or a user once their pause was answered.
    PausesKept,
    /// A sick pair, chat, account or user delays nobody else.
    Bulkheads,
    /// Every mailbox and queue keeps its bound.
    Bounds,
    /// In the end every child runs, or is out of service for a reason that is true.
    Upright,
    /// In the end a drain leaves nothing unfinished.
    CleanDrain,
    /// Nothing outlives its node: no actor, no task, nothing pending in the store.
    NothingLeft,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How.
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.how)
    }
}
