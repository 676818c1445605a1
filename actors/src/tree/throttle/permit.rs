//! The right to send, and what comes back of it: shared by all instances of a throttle, so that none of it is lost with one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Returned, ThrottleActor};
use crate::model::{HoldScope, SendOutcome};
use crate::ports::SendReport;
use crate::supervision::ChildRef;
use crate::throttle::{Answer, Done, GrantId, Lane};

/// A grant that came back.
pub(super) struct Settled {
    /// The limiter that made it.
    pub(super) round: u64,
    pub(super) grant: GrantId,
    pub(super) lane: Lane,
    pub(super) cost: u32,
    pub(super) done: Done,
}

/// What a limiter granted.
#[derive(Clone, Copy)]
pub(super) struct Granted {
    /// The limiter that made it.
    pub(super) round: u64,
    pub(super) grant: GrantId,
    pub(super) lane: Lane,
    pub(super) cost: u32,
}

/// Grants that came back and wait to be told to the limiter, and the waits that platforms asked for with them. Bounded by
/// the grants outstanding.
#[derive(Clone, Default)]
pub(super) struct Tray(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    settled: Vec<Settled>,
    /// Until when nothing goes: to a lane, or at all.
    waits: HashMap<Option<Lane>, Instant>,
    /// Limiters that were made so far.
    rounds: u64,
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came back since the last time.
    pub(super) fn take(&self) -> Vec<Settled> {
        std::mem::take(&mut self.lock().settled)
    }

    /// The number of another limiter; none is used twice.
    pub(super) fn next_round(&self) -> u64 {
        let rounds = &mut self.lock().rounds;
        *rounds = rounds.saturating_add(1);
        *rounds
    }

    /// The waits that run: of a lane or of all, and how long still.
    pub(super) fn running(&self) -> Vec<(Option<Lane>, Duration)> {
        let now = Instant::now();
        let left = |(lane, until): (&Option<Lane>, &Instant)| (*lane, until.saturating_duration_since(now));
        self.lock().waits.iter().map(left).filter(|(_, left)| !left.is_zero()).collect()
    }

    fn put(&self, settled: Settled) {
        let now = Instant::now();
        let mut contents = self.lock();
        contents.waits.retain(|_, until| *until > now);
        if let Some((scope, wait)) = settled.done.hold {
            let whom = (scope == HoldScope::Chat).then_some(settled.lane);
            let until = now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(86_400));
            let known = contents.waits.entry(whom).or_insert(until);
            *known = until.max(*known);
        }
        contents.settled.push(settled);
    }

    fn waits(&self, lane: Lane) -> bool {
        let now = Instant::now();
        let contents = self.lock();
        [None, Some(lane)].iter().any(|whom| contents.waits.get(whom).is_some_and(|until| *until > now))
    }

    /// Whether the limiter of that number still counts.
    fn is_current(&self, round: u64) -> bool {
        self.lock().rounds == round
    }
}

/// The right to hand one part to the platform. Dropped unused it gives its slot back; dropped after
/// [`Permit::sending`] without [`Permit::done`] it counts as a send whose answer never came.
pub struct Permit {
    granted: Granted,
    tray: Tray,
    throttle: ChildRef<ThrottleActor>,
    /// Of a network address: only what the platform says of the address concerns it.
    egress: bool,
    sent_at: Option<Instant>,
    settled: bool,
}

impl Permit {
    /// A permit that this instance of a throttle grants.
    pub(super) const fn new(
        granted: Granted,
        tray: Tray,
        throttle: ChildRef<ThrottleActor>,
        egress: bool,
    ) -> Self {
        Self { granted, tray, throttle, egress, sent_at: None, settled: false }
    }

    /// Whether it still holds: since it was granted, the platform may have asked to wait, or another limiter may have
    /// begun, which knows nothing of it and would not count the send.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.tray.is_current(self.granted.round) && !self.tray.waits(self.granted.lane)
    }

    /// The part is about to be handed over: from here on the slot is used.
    #[must_use]
    pub fn sending(mut self) -> Self {
        self.sent_at = Some(Instant::now());
        self
    }

    /// The answer came, or was given up.
    pub fn done(mut self, report: &SendReport) {
        let rtt = self.sent_at.map(|at| at.elapsed()).unwrap_or_default();
        let answer = match &report.outcome {
            SendOutcome::Unclear { .. } => Answer::GaveUp,
            SendOutcome::Offline { .. } => Answer::NotSent,
            _ => Answer::Answered { rtt },
        };
        let hold = match &report.outcome {
            SendOutcome::RetryAfter { wait, scope } if (*scope == HoldScope::Egress) == self.egress => {
                Some((*scope, *wait))
            }
            _ => None,
        };
        let hint = if self.egress { None } else { report.hint.clone() };
        self.settle(Done { answer, hint, hold });
    }

    fn settle(&mut self, done: Done) {
        if self.settled {
            return;
        }
        self.settled = true;
        let Granted { round, grant, lane, cost } = self.granted;
        self.tray.put(Settled { round, grant, lane, cost, done });
        // A full mailbox is fine: whatever is in it empties the tray as well.
        let _ = self.throttle.tell(Returned);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let answer = if self.sent_at.is_some() { Answer::Abandoned } else { Answer::NotSent };
        self.settle(Done { answer, hint: None, hold: None });
    }
}
