//! What runners do, without running anything: a model that drives the decision core alone.

use std::{collections::BTreeMap, time::Duration};

use switchyard_actors::supervision::{
    Backoff, Intensity, Probe, RestartType,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy},
};

/// What a runner would be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    Idle,
    Loading,
    Up,
    Backoff,
    /// Told to halt, has not ended yet.
    Halting,
    /// Told to stop, has not ended yet.
    Stopping,
    Gone,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Restart type, with a probe, significant where that is legal.
    Add(RestartType, bool, bool),
    /// The child's runner gets on: load done, backoff over, halt or stop carried out.
    Advance(u8),
    Exit(u8, Exit),
    Ignore(u8),
    Restart(u8),
    Terminate(u8),
    Probe(u8),
    Remove(u8),
    Pass(u16),
    Begin,
    Halt,
    Shelve,
}

pub struct Model {
    pub core: Core,
    pub runners: BTreeMap<Key, Runner>,
    pub now: Duration,
    next: Key,
    /// What was decided, and when.
    pub log: Vec<(Duration, Action)>,
    pub ended: usize,
}

impl Model {
    pub fn new(policy: CorePolicy) -> Self {
        Self {
            core: Core::new(policy),
            runners: BTreeMap::new(),
            now: Duration::ZERO,
            next: 0,
            log: Vec::new(),
            ended: 0,
        }
    }

    pub fn step(&mut self, event: Event) {
        for action in self.core.step(event, self.now) {
            self.carry_out(action);
        }
    }

    /// Actions that need a runner without an instance.
    fn leave_idle(&mut self, action: Action, key: Key, to: Runner) {
        assert_eq!(self.runners[&key], Runner::Idle, "{action:?}: an instance exists");
        self.runners.insert(key, to);
    }

    fn carry_out(&mut self, action: Action) {
        self.log.push((self.now, action));
        match action {
            Action::Start { key } => match self.runners[&key] {
                Runner::Backoff => drop(self.runners.insert(key, Runner::Loading)),
                _ => self.leave_idle(action, key, Runner::Loading),
            },
            Action::Restart { key, .. } => self.leave_idle(action, key, Runner::Backoff),
            // An admin does not wait for the end of a backoff.
            Action::Hold { key } if self.runners[&key] == Runner::Backoff => {
                self.runners.insert(key, Runner::Idle);
            }
            Action::Park { key, .. }
            | Action::Hold { key }
            | Action::Rest { key }
            | Action::Shelve { key }
            | Action::Probe { key, .. } => {
                self.leave_idle(action, key, Runner::Idle);
            }
            Action::Retire { key } | Action::Forget { key } => {
                if self.runners[&key] != Runner::Gone {
                    self.leave_idle(action, key, Runner::Gone);
                }
            }
            Action::Halt { key, .. } => {
                let before = self.runners.insert(key, Runner::Halting).unwrap();
                assert!(!matches!(before, Runner::Stopping | Runner::Gone), "{before:?}");
            }
            Action::Stop { key, .. } => {
                let before = self.runners.insert(key, Runner::Stopping).unwrap();
                assert_ne!(before, Runner::Gone);
                let stopping = self.runners.values().filter(|runner| **runner == Runner::Stopping).count();
                assert!(stopping > 0);
            }
            Action::Kill { key } => {
                self.runners.insert(key, Runner::Gone);
            }
            Action::Ended => self.ended += 1,
            Action::Unparked { .. }
            | Action::Settled
            | Action::Escalating { .. }
            | Action::Fail { .. }
            | Action::Finish
            | Action::Storm { .. }
            | Action::StormGoesOn { .. }
            | Action::StormOver => {}
        }
    }

    pub fn pick(&self, n: u8) -> Option<Key> {
        let keys: Vec<_> = self.runners.keys().copied().collect();
        (!keys.is_empty()).then(|| keys[usize::from(n) % keys.len()])
    }

    pub fn advance(&mut self, key: Key) {
        let (to, event) = match self.runners[&key] {
            Runner::Loading => (Runner::Up, Event::Up { key }),
            Runner::Backoff => (Runner::Idle, Event::Due { key }),
            Runner::Halting => (Runner::Idle, Event::Exited { key, exit: Exit::Halted }),
            Runner::Stopping => (Runner::Gone, Event::Exited { key, exit: Exit::Stopped }),
            Runner::Idle | Runner::Up | Runner::Gone => return,
        };
        self.runners.insert(key, to);
        self.step(event);
    }

    pub fn play(&mut self, step: Step) {
        match step {
            Step::Add(restart, probe, significant) => {
                let probe =
                    probe.then_some(Probe { interval: Duration::from_secs(5), cap: Duration::from_secs(60) });
                let significant = significant && restart != RestartType::Permanent;
                self.add(SlotPolicy { restart, probe, significant, ..slot() });
            }
            Step::Advance(n) => {
                if let Some(key) = self.pick(n) {
                    self.advance(key);
                }
            }
            Step::Exit(n, exit) => {
                // Only what has an instance can end; a halting or stopping one may crash instead.
                let able = [Runner::Loading, Runner::Up, Runner::Halting, Runner::Stopping];
                if let Some(key) = self.pick(n).filter(|key| able.contains(&self.runners[key])) {
                    self.runners.insert(key, Runner::Idle);
                    self.step(Event::Exited { key, exit });
                }
            }
            Step::Ignore(n) => {
                if let Some(key) = self.pick(n).filter(|key| self.runners[key] == Runner::Loading) {
                    self.runners.insert(key, Runner::Idle);
                    self.step(Event::Ignored { key });
                }
            }
            Step::Restart(n) => {
                if let Some(key) = self.pick(n) {
                    self.step(Event::Restart { key });
                }
            }
            Step::Terminate(n) => {
                if let Some(key) = self.pick(n) {
                    self.step(Event::Terminate { key });
                }
            }
            Step::Probe(n) => {
                if let Some(key) = self.pick(n).filter(|key| self.runners[key] == Runner::Idle) {
                    self.step(Event::Due { key });
                }
            }
            Step::Remove(n) => {
                if let Some(key) = self.pick(n).filter(|key| self.runners[key] != Runner::Gone) {
                    self.step(Event::Remove { key, deadline: None });
                }
            }
            Step::Pass(ms) => self.now += Duration::from_millis(u64::from(ms)),
            Step::Begin => self.step(Event::Begin),
            Step::Halt => self.step(Event::End { how: EndHow::Halt, deadline: None }),
            Step::Shelve => self.step(Event::Shelve),
        }
    }

    pub fn add(&mut self, policy: SlotPolicy) {
        let key = self.next;
        self.next += 1;
        self.runners.insert(key, Runner::Idle);
        self.step(Event::Added { key, policy: SlotPolicy { jitter_key: key, ..policy } });
    }

    pub fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        self.log.iter().map(|(_, action)| *action)
    }

    /// Lets every runner get on until nothing changes.
    pub fn rest(&mut self) {
        self.rest_watched(|_| ());
    }

    /// As [`Self::rest`], with a look at each step.
    pub fn rest_watched(&mut self, mut look: impl FnMut(&Self)) {
        for _ in 0..10_000 {
            let busy = |runner: &Runner| !matches!(runner, Runner::Idle | Runner::Up | Runner::Gone);
            let Some(key) = self.runners.iter().find(|(_, runner)| busy(runner)).map(|(key, _)| *key) else {
                return;
            };
            self.advance(key);
            look(self);
        }
        panic!("never comes to rest");
    }
}

/// A permanent child that is parked at its third restart in 10 s.
pub fn slot() -> SlotPolicy {
    SlotPolicy {
        restart: RestartType::Permanent,
        backoff: Backoff::default(),
        intensity: Intensity::new(2, Duration::from_secs(10)),
        probe: None,
        significant: false,
        jitter_key: 0,
    }
}
