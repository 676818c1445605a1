//! A lane: the reservations of one destination, in order, at most one of them in flight.

use std::collections::VecDeque;
use std::time::Duration;

use super::class::Class;
use super::ids::TicketId;

/// A lane that has been idle this long sends its next message as a lone one.
pub(super) const LONE_IDLE: Duration = Duration::from_secs(5);

/// A reservation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) id: TicketId,
    pub(super) cost: u32,
    pub(super) class: Class,
    /// The lane was idle when it came.
    pub(super) lone: bool,
}

/// What a lane does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneStatus {
    /// Nothing; remembered for a while.
    Idle {
        /// Since when.
        since: Duration,
    },
    /// Its head waits in its chat.
    Waiting,
    /// Its head stands for its chat among the ready ones.
    Candidate,
    /// Its last head is in flight.
    Busy,
}

/// A lane and what waits in it.
#[derive(Clone, Debug)]
pub(super) struct LaneState {
    pub(super) queue: VecDeque<Ticket>,
    pub(super) status: LaneStatus,
}

impl LaneState {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), status: LaneStatus::Idle { since: Duration::ZERO } }
    }

    /// Whether it has been idle for so long that the limiter need not know it any more.
    pub(super) fn is_forgotten(&self, now: Duration) -> bool {
        matches!(self.status, LaneStatus::Idle { since } if since.saturating_add(LONE_IDLE) <= now)
    }
}
