//! What a supervisor remembers about one child.

use std::time::Duration;

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

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) policy: SlotPolicy,
    pub(super) status: Status,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) window: SlidingWindow,
    /// Started by a probe and not yet up for long enough: its next failure parks it again.
    pub(super) half_open: bool,
    /// The probe's start is under way.
    pub(super) probing: bool,
    /// Interval before the next probe.
    pub(super) probe_next: Option<Duration>,
    /// Its spec is to be forgotten once it ended.
    pub(super) removing: bool,
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
    pub(super) fn new(policy: SlotPolicy) -> Self {
        Self {
            policy,
            status: Status::Held,
            failures: 0,
            window: SlidingWindow::new(policy.intensity),
            half_open: false,
            probing: false,
            probe_next: policy.probe.map(|probe| probe.interval),
            removing: false,
        }
    }

    /// Goes by another policy from its next decision on.
    pub(super) fn reconfigure(&mut self, policy: SlotPolicy) {
        if self.policy.probe != policy.probe {
            self.probe_next = policy.probe.map(|probe| probe.interval);
        }
        self.window.set_intensity(policy.intensity);
        self.policy = policy;
    }

    /// Forgets its failures.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.window.clear();
        self.half_open = false;
        self.probing = false;
        self.probe_next = self.policy.probe.map(|probe| probe.interval);
    }

    /// The time until its next probe; the one after will take twice as long, up to the cap.
    pub(super) fn next_probe(&mut self) -> Option<Duration> {
        let probe = self.policy.probe?;
        let interval = self.probe_next.unwrap_or(probe.interval);
        self.probe_next = Some(interval.saturating_mul(2).min(probe.cap));
        Some(interval)
    }

    pub(super) fn view(&self, now: Moment) -> SlotView {
        SlotView { restarts_in_window: self.window.count(now), failures_in_row: self.failures }
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
