//! What a supervisor remembers about one child.

use std::{sync::Arc, time::Duration};

use super::{Key, Moment, SlotPolicy};
use crate::supervision::window::SlidingWindow;

/// What follows once a child's instance was halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It waits for its branch.
    Hold,
    /// It is started again.
    Start,
    /// It stays down, spec kept.
    Rest,
}

/// What the child is doing, as far as decisions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not started, or halted with its branch or its group.
    Held,
    Starting,
    Up {
        since: Moment,
    },
    /// In backoff; it says when that is over.
    Waiting,
    Parked,
    Halting {
        then: Then,
    },
    /// Ended and stays down, spec kept.
    Resting,
    /// Stopping for good.
    Stopping,
    Ended,
}

/// Small, for there may be a hundred thousand: what children have in common is shared, and what only a child has that
/// failed is apart.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) policy: Arc<SlotPolicy>,
    /// The one part of the policy that no two children share.
    pub(super) jitter_key: u64,
    pub(super) status: Status,
    trouble: Option<Box<Trouble>>,
    /// Its spec is to be forgotten once it ended.
    pub(super) removing: bool,
}

/// What is remembered of failures.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// In a row.
    pub(super) failures: u32,
    pub(super) window: SlidingWindow,
    /// Started by a probe and not yet up for long enough: its next failure parks it again.
    pub(super) half_open: bool,
    /// The probe's start is under way.
    pub(super) probing: bool,
    /// A probe was due while its branch was down: it is made when the branch is up again.
    pub(super) owed: bool,
    /// When its branch may start it for a probe that is due.
    pub(super) place: Option<Moment>,
    /// Interval before the next probe, after one that failed.
    pub(super) probe_next: Option<Duration>,
}

impl Trouble {
    fn new(policy: &SlotPolicy) -> Self {
        Self {
            failures: 0,
            window: SlidingWindow::new(policy.intensity),
            half_open: false,
            probing: false,
            owed: false,
            place: None,
            probe_next: None,
        }
    }
}

/// Policies of children, each kept once while children that have the same are added one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies(Option<Arc<SlotPolicy>>);

impl Policies {
    /// The shared part, and the key of the jitter, which is the child's own.
    pub(super) fn share(&mut self, policy: SlotPolicy) -> (Arc<SlotPolicy>, u64) {
        let shared = SlotPolicy { jitter_key: 0, ..policy };
        let shared = match &self.0 {
            Some(before) if **before == shared => Arc::clone(before),
            _ => Arc::clone(self.0.insert(Arc::new(shared))),
        };
        (shared, policy.jitter_key)
    }
}

/// What is known about a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// Restarts inside its window.
    pub restarts_in_window: u32,
    /// Failures in a row.
    pub failures_in_row: u32,
}

impl Slot {
    pub(super) fn new((policy, jitter_key): (Arc<SlotPolicy>, u64)) -> Self {
        Self { policy, jitter_key, status: Status::Held, trouble: None, removing: false }
    }

    /// Goes by another policy from its next decision on.
    pub(super) fn reconfigure(&mut self, (policy, jitter_key): (Arc<SlotPolicy>, u64)) {
        if let Some(trouble) = &mut self.trouble {
            trouble.window.set_intensity(policy.intensity);
            if self.policy.probe != policy.probe {
                trouble.probe_next = None;
            }
        }
        (self.policy, self.jitter_key) = (policy, jitter_key);
    }

    /// What is remembered of its failures, from now on if nothing was.
    pub(super) fn trouble(&mut self) -> &mut Trouble {
        let policy = &self.policy;
        self.trouble.get_or_insert_with(|| Box::new(Trouble::new(policy)))
    }

    /// Forgets its failures.
    pub(super) fn forgive(&mut self) {
        self.trouble = None;
    }

    /// Started by a probe and not yet up for long enough.
    pub(super) fn is_half_open(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.half_open)
    }

    /// The start of a probe is no longer under way. Answers whether it was.
    pub(super) fn probed(&mut self) -> bool {
        self.trouble.as_mut().is_some_and(|trouble| std::mem::take(&mut trouble.probing))
    }

    /// A probe was due while its branch was down. Answers whether it was, and forgets it.
    pub(super) fn take_owed(&mut self) -> bool {
        self.trouble.as_mut().is_some_and(|trouble| std::mem::take(&mut trouble.owed))
    }

    /// Failures in a row are over.
    pub(super) fn forget_failures(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.failures = 0;
        }
    }

    /// The time until its next probe; the one after will take twice as long, up to the cap.
    pub(super) fn next_probe(&mut self) -> Option<Duration> {
        let probe = self.policy.probe?;
        let trouble = self.trouble();
        let interval = trouble.probe_next.unwrap_or(probe.interval);
        trouble.probe_next = Some(interval.saturating_mul(2).min(probe.cap));
        Some(interval)
    }

    pub(super) fn view(&self, now: Moment) -> SlotView {
        let trouble = self.trouble.as_ref();
        SlotView {
            restarts_in_window: trouble.map_or(0, |trouble| trouble.window.count(now)),
            failures_in_row: trouble.map_or(0, |trouble| trouble.failures),
        }
    }

    /// True when an instance exists or will come by itself.
    pub(super) const fn is_active(&self) -> bool {
        matches!(self.status, Status::Starting | Status::Up { .. } | Status::Waiting | Status::Halting { .. })
    }

    pub(super) const fn is_halting(&self) -> bool {
        matches!(self.status, Status::Halting { .. })
    }

    /// True when it has not ended for good: it runs, will run, or could be brought back by a probe or an admin.
    pub(super) const fn is_there(&self) -> bool {
        !matches!(self.status, Status::Resting | Status::Stopping | Status::Ended)
    }
}

/// Keys of the slots for which `keep` holds, in order.
pub(super) fn keys<'a>(
    slots: impl Iterator<Item = (&'a Key, &'a Slot)>,
    keep: impl Fn(&Slot) -> bool,
) -> impl Iterator<Item = Key> {
    slots.filter(move |(_, slot)| keep(slot)).map(|(key, _)| *key)
}
