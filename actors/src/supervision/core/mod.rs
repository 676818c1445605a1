//! The decisions of a supervisor, as a pure state machine: `step(event, now) -> actions`.
//!
//! It knows children by key only, reads no clock and does nothing by itself, so that it can be replayed, tested by
//! properties and compared with another implementation.

mod ending;
mod event;
mod group;
mod orders;
mod policy;
mod significant;
mod slot;
mod spread;
mod starting;
mod storm;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use event::{Action, EndHow, Event, Exit, Key, Moment};
pub use policy::{AutoShutdown, CorePolicy, OnExceed, SlotPolicy, Storm, Strategy};
pub use slot::SlotView;
use slot::{Policies, Slot};
use spread::Spread;

use super::window::SlidingWindow;

/// What the branch as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Idle,
    Starting,
    Running,
    /// A group of children is restarted; see [`group`].
    Regrouping(Regroup),
    Ending {
        how: EndHow,
        deadline: Option<Moment>,
        after: After,
    },
    Shelved,
    Ended,
}

/// What the branch does in its own supervisor once its children are down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// It fails, because of this child.
    Fail(Key),
    /// It ends normally.
    Finish,
}

/// How far the restart of a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Regroup {
    /// The group is this child and all after it.
    from: Key,
    /// The one whose failure it was, and whose backoff is waited for.
    culprit: Key,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Members are halted, newest first.
    Halting {
        /// The backoff is over already.
        due: bool,
    },
    /// All are down; the backoff is not over.
    Waiting,
    /// Members are started, oldest first.
    Starting,
}

/// The decision core of one supervisor.
#[derive(Clone, Debug)]
pub struct Core {
    policy: CorePolicy,
    mode: Mode,
    slots: BTreeMap<Key, Slot>,
    policies: Policies,
    window: Option<SlidingWindow>,
    /// Too many children failed, and the branch lives on.
    storming: bool,
    spread: Option<Spread>,
    /// Every child had its first attempt since the branch was started.
    settled: bool,
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
            policies: Policies::default(),
            window: policy.intensity.map(SlidingWindow::new),
            storming: false,
            spread: storm::spread(policy.on_exceed),
            settled: false,
            queue: VecDeque::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Takes one event and says what to do about it, in order.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        self.step_into(event, now, &mut actions);
        actions
    }

    /// The same, into room that is there already: what is to be done comes after what `actions` holds.
    pub fn step_into(&mut self, event: Event, now: Moment, actions: &mut Vec<Action>) {
        match event {
            Event::Begin => self.begin(actions),
            Event::End { how, deadline } => self.end(how, deadline, After::Nothing, actions),
            Event::Abandon => self.abandon(actions),
            Event::Shelve => self.shelve(actions),
            Event::Added { key, policy } => self.added(key, policy, actions),
            Event::Remove { key, deadline } => self.remove(key, deadline, actions),
            Event::Up { key } => self.up(key, now, actions),
            Event::Ignored { key } => self.ignored(key, actions),
            Event::Exited { key, exit } => self.exited(key, exit, now, actions),
            Event::Restart { key } => self.restart(key, actions),
            Event::Terminate { key } => self.terminate(key, actions),
            Event::Due { key } => self.due(key, now, actions),
            Event::Probe { key } => self.probe(key, now, actions),
            Event::StormDue => self.storm_due(now, actions),
            Event::Reconfigure { intensity, on_exceed, auto_shutdown } => {
                self.reconfigure(CorePolicy { intensity, on_exceed, auto_shutdown, ..self.policy });
            }
            Event::Repolicy { key, policy } => {
                if let Some(slot) = self.slots.get_mut(&key) {
                    slot.reconfigure(self.policies.share(policy));
                }
            }
        }
    }

    /// True when children may be added and restarted.
    #[must_use]
    pub const fn accepts(&self) -> bool {
        !matches!(self.mode, Mode::Ended | Mode::Ending { how: EndHow::Stop, .. })
    }

    /// True when the branch is up or coming up.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Starting | Mode::Running | Mode::Regrouping(_))
    }

    /// True when every child had its first attempt.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled && self.is_live()
    }

    /// True while it starts its children slower.
    #[must_use]
    pub const fn is_storming(&self) -> bool {
        self.storming
    }

    /// What is known about a child.
    #[must_use]
    pub fn slot(&self, key: Key, now: Moment) -> Option<SlotView> {
        self.slots.get(&key).map(|slot| slot.view(now))
    }

    /// How the branch is configured now.
    #[must_use]
    pub const fn policy(&self) -> &CorePolicy {
        &self.policy
    }

    fn reconfigure(&mut self, policy: CorePolicy) {
        match (&mut self.window, policy.intensity) {
            (Some(window), Some(intensity)) => window.set_intensity(intensity),
            (window, intensity) => *window = intensity.map(SlidingWindow::new),
        }
        if self.policy.on_exceed != policy.on_exceed {
            // Places given by the old rate lapse with their time.
            self.spread = storm::spread(policy.on_exceed);
        }
        self.policy = policy;
    }
}
