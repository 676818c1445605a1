//! The decisions of a supervisor, as a pure state machine: `step(event, now) -> actions`.
//!
//! It knows children by key only, reads no clock and does nothing by itself, so that it can be replayed, tested by
//! properties and compared with another implementation.

mod ending;
mod event;
mod slot;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use event::{Action, EndHow, Event, Exit, Key, Moment};
use slot::{Slot, Status};
pub use slot::{SlotPolicy, SlotView};

use super::{
    event::Unparker,
    spec::Order,
    window::{Intensity, SlidingWindow},
};

/// What the branch as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Idle,
    Starting,
    Running,
    Ending { how: EndHow, deadline: Option<Moment>, culprit: Option<Key> },
    Shelved,
    Ended,
}

/// How a supervisor is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorePolicy {
    /// Order of start and stop.
    pub order: Order,
    /// Restarts of all children together before it escalates.
    pub intensity: Option<Intensity>,
    /// The root parks a branch that escalated; others apply their restart rule.
    pub parks_escalated: bool,
}

/// The decision core of one supervisor; strategy one_for_one.
#[derive(Clone, Debug)]
pub struct Core {
    policy: CorePolicy,
    mode: Mode,
    slots: BTreeMap<Key, Slot>,
    window: Option<SlidingWindow>,
    /// Children still to be started or ended, in order.
    queue: VecDeque<Key>,
    /// Children whose start or end is being waited for.
    awaited: BTreeSet<Key>,
}

impl Core {
    /// A supervisor without children, not started.
    #[must_use]
    pub fn new(policy: CorePolicy) -> Self {
        Self {
            policy,
            mode: Mode::Idle,
            slots: BTreeMap::new(),
            window: policy.intensity.map(SlidingWindow::new),
            queue: VecDeque::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Takes one event and says what to do about it, in order.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Begin => self.begin(&mut actions),
            Event::End { how, deadline } => self.end(how, deadline, None, &mut actions),
            Event::Abandon => self.abandon(&mut actions),
            Event::Shelve => self.shelve(&mut actions),
            Event::Added { key, policy } => self.added(key, policy, &mut actions),
            Event::Remove { key, deadline } => self.remove(key, deadline, &mut actions),
            Event::Up { key } => self.up(key, now, &mut actions),
            Event::Ignored { key } => self.ignored(key, &mut actions),
            Event::Exited { key, exit } => self.exited(key, exit, now, &mut actions),
            Event::Restart { key } => self.restart(key, &mut actions),
            Event::ProbeDue { key } => self.probe(key, &mut actions),
        }
        actions
    }

    /// True when children may be added and restarted.
    #[must_use]
    pub const fn accepts(&self) -> bool {
        !matches!(self.mode, Mode::Ended | Mode::Ending { how: EndHow::Stop, .. })
    }

    /// True when the branch is up or coming up.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Starting | Mode::Running)
    }

    /// True when every child had its first attempt.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self.mode, Mode::Running)
    }

    /// What is known about a child.
    #[must_use]
    pub fn slot(&self, key: Key, now: Moment) -> Option<SlotView> {
        self.slots.get(&key).map(|slot| slot.view(now))
    }

    fn begin(&mut self, actions: &mut Vec<Action>) {
        match self.mode {
            Mode::Idle | Mode::Shelved => {}
            Mode::Running => return actions.push(Action::Settled),
            Mode::Starting | Mode::Ending { .. } | Mode::Ended => return,
        }
        self.mode = Mode::Starting;
        self.awaited.clear();
        self.queue =
            self.slots.iter().filter(|(_, slot)| slot.status == Status::Held).map(|(key, _)| *key).collect();
        self.pump_start(actions);
    }

    /// Starts what is next; the branch is up once nothing is left.
    fn pump_start(&mut self, actions: &mut Vec<Action>) {
        if self.mode != Mode::Starting {
            return;
        }
        while self.policy.order == Order::Concurrent || self.awaited.is_empty() {
            let Some(key) = self.queue.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.status == Status::Held {
                slot.status = Status::Starting;
                if self.policy.order == Order::Ordered {
                    self.awaited.insert(key);
                }
                actions.push(Action::Start { key });
            }
        }
        if self.queue.is_empty() && self.awaited.is_empty() {
            self.mode = Mode::Running;
            actions.push(Action::Settled);
        }
    }

    /// A child had its first outcome, or is gone: the next may come.
    fn outcome(&mut self, key: Key, actions: &mut Vec<Action>) {
        if self.awaited.remove(&key) {
            match self.mode {
                Mode::Starting => self.pump_start(actions),
                Mode::Ending { .. } => self.pump_end(actions),
                Mode::Idle | Mode::Running | Mode::Shelved | Mode::Ended => {}
            }
        }
    }

    fn added(&mut self, key: Key, policy: SlotPolicy, actions: &mut Vec<Action>) {
        let mut slot = Slot::new(policy);
        match self.mode {
            Mode::Running => {
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            Mode::Starting => self.queue.push_back(key),
            Mode::Shelved => actions.push(Action::Shelve { key }),
            // It came too late.
            Mode::Ended | Mode::Ending { how: EndHow::Stop, .. } => {
                slot.status = Status::Ended;
                actions.push(Action::Retire { key });
            }
            Mode::Idle | Mode::Ending { how: EndHow::Halt, .. } => {}
        }
        self.slots.insert(key, slot);
        self.pump_start(actions);
    }

    fn up(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.status != Status::Starting && slot.status != Status::Waiting {
            return;
        }
        slot.status = Status::Up { since: now };
        if std::mem::take(&mut slot.probing) {
            actions.push(Action::Unparked { key, by: Unparker::Probe });
        }
        self.outcome(key, actions);
    }

    fn ignored(&mut self, key: Key, actions: &mut Vec<Action>) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.probing = false;
            match self.mode {
                Mode::Ending { how, .. } => self.settle_end(key, how, actions),
                _ => self.rest(key, actions),
            }
        }
        self.outcome(key, actions);
    }

    fn restart(&mut self, key: Key, actions: &mut Vec<Action>) {
        if !self.is_live() {
            return;
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match &mut slot.status {
            Status::Up { .. } => {
                slot.status = Status::Halting { then_start: true };
                actions.push(Action::Halt { key, deadline: None });
            }
            Status::Halting { then_start } => *then_start = true,
            Status::Waiting | Status::Parked | Status::Resting => {
                if slot.status == Status::Parked {
                    actions.push(Action::Unparked { key, by: Unparker::Admin });
                }
                slot.forgive();
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            Status::Held | Status::Starting | Status::Stopping | Status::Ended => {}
        }
    }

    fn probe(&mut self, key: Key, actions: &mut Vec<Action>) {
        if !self.is_live() {
            return;
        }
        if let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.status == Status::Parked) {
            slot.status = Status::Starting;
            slot.half_open = true;
            slot.probing = true;
            actions.push(Action::Start { key });
        }
    }
}
