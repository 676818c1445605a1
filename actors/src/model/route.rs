//! What one pair does with one event.

use serde::{Deserialize, Serialize};

use super::{EventId, NewDelivery, RouteId, SkipReason, SourceEvent};

/// An event that waits for a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRoute {
    /// Its id.
    pub id: RouteId,
    /// The event.
    pub event_id: EventId,
    /// Position in the order of acceptance; the pair handles its routes by it.
    pub seq: i64,
    /// How often the pair has failed on it; a poison event is skipped after a bound.
    pub attempts: u32,
    /// The event's content.
    pub event: SourceEvent,
}

/// What the pipeline decided for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteVerdict {
    /// Send it.
    Deliver(NewDelivery),
    /// Do not send it, for a reason that the ledger keeps.
    Skip(SkipReason),
}

/// Whether this system wrote a message that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody else did.
    Foreign,
    /// It is a copy: forwarding it would loop.
    Copy,
    /// It may be a copy whose send has not been answered yet: the answer decides.
    Undecided,
}
