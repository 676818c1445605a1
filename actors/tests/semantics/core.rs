//! The decision core alone: random histories against a model of what runners do.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use switchyard_actors::supervision::{
    AutoShutdown, Backoff, Intensity, OnExceed, Order, Probe, RestartType, Storm, Strategy as Group,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy},
};

/// What a runner would be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
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
enum Step {
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

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let restart =
        prop_oneof![Just(RestartType::Permanent), Just(RestartType::Transient), Just(RestartType::Temporary)];
    let exit = prop_oneof![
        4 => Just(Exit::Failed),
        1 => Just(Exit::Normal),
        1 => Just(Exit::Fatal),
        1 => Just(Exit::Park),
        1 => Just(Exit::Escalated)
    ];
    let step = prop_oneof![
        4 => (restart, any::<bool>(), any::<bool>()).prop_map(|(restart, probe, significant)| Step::Add(restart, probe, significant)),
        20 => any::<u8>().prop_map(Step::Advance),
        8 => (any::<u8>(), exit).prop_map(|(key, exit)| Step::Exit(key, exit)),
        1 => any::<u8>().prop_map(Step::Ignore),
        3 => any::<u8>().prop_map(Step::Restart),
        2 => any::<u8>().prop_map(Step::Terminate),
        2 => any::<u8>().prop_map(Step::Probe),
        2 => any::<u8>().prop_map(Step::Remove),
        3 => any::<u16>().prop_map(Step::Pass),
        2 => Just(Step::Begin),
        1 => Just(Step::Halt),
        1 => Just(Step::Shelve),
    ];
    proptest::collection::vec(step, 1..200)
}

struct Model {
    core: Core,
    runners: BTreeMap<Key, Runner>,
    now: Duration,
    next: Key,
    log: Vec<Action>,
    ended: usize,
}

impl Model {
    fn new(policy: CorePolicy) -> Self {
        Self {
            core: Core::new(policy),
            runners: BTreeMap::new(),
            now: Duration::ZERO,
            next: 0,
            log: Vec::new(),
            ended: 0,
        }
    }

    fn step(&mut self, event: Event) {
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
        self.log.push(action);
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

    fn pick(&self, n: u8) -> Option<Key> {
        let keys: Vec<_> = self.runners.keys().copied().collect();
        (!keys.is_empty()).then(|| keys[usize::from(n) % keys.len()])
    }

    fn advance(&mut self, key: Key) {
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

    fn play(&mut self, step: Step) {
        match step {
            Step::Add(restart, probe, significant) => {
                let key = self.next;
                self.next += 1;
                self.runners.insert(key, Runner::Idle);
                let probe =
                    probe.then_some(Probe { interval: Duration::from_secs(5), cap: Duration::from_secs(60) });
                let intensity = Intensity::new(2, Duration::from_secs(10));
                let significant = significant && restart != RestartType::Permanent;
                let backoff = Backoff::default();
                let policy = SlotPolicy { restart, backoff, intensity, probe, significant, jitter_key: key };
                self.step(Event::Added { key, policy });
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

    /// Lets every runner get on until nothing changes.
    fn rest(&mut self) {
        for _ in 0..10_000 {
            let busy = |runner: &Runner| !matches!(runner, Runner::Idle | Runner::Up | Runner::Gone);
            let Some(key) = self.runners.iter().find(|(_, runner)| busy(runner)).map(|(key, _)| *key) else {
                return;
            };
            self.advance(key);
        }
        panic!("never comes to rest");
    }
}

fn branches() -> impl Strategy<Value = CorePolicy> {
    let order = prop_oneof![
        Just((Order::Ordered, Group::OneForOne)),
        Just((Order::Ordered, Group::OneForAll)),
        Just((Order::Ordered, Group::RestForOne)),
        Just((Order::Concurrent, Group::OneForOne)),
    ];
    let storm = Storm { floor: Duration::from_secs(5), starts_per_second: NonZeroU32::MIN };
    let exceed = prop_oneof![Just(OnExceed::Escalate), Just(OnExceed::Storm(storm))];
    let intensity = prop_oneof![Just(None), Just(Some(Intensity::new(3, Duration::from_secs(30))))];
    let auto = [
        AutoShutdown::Never,
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ];
    (order, intensity, exceed, proptest::sample::select(auto.to_vec())).prop_map(
        |((order, strategy), intensity, on_exceed, auto_shutdown)| CorePolicy {
            strategy,
            intensity,
            on_exceed,
            auto_shutdown,
            ..CorePolicy::new(order)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever happened before: no instance is started twice, and a stop ends everything, once.
    #[test]
    fn a_stop_ends_everything_once(policy in branches(), steps in steps()) {
        let mut model = Model::new(policy);
        for step in steps {
            model.play(step);
        }
        let before = model.ended;
        model.step(Event::End { how: EndHow::Stop, deadline: None });
        model.rest();
        prop_assert_eq!(model.ended, before + 1);
        prop_assert!(model.runners.values().all(|runner| *runner == Runner::Gone), "{:?}", model.runners);
        let after = model.log.len();
        for n in 0..20 {
            model.play(Step::Restart(n));
            model.play(Step::Probe(n));
            model.play(Step::Begin);
        }
        prop_assert!(!model.log[after..].iter().any(|action| matches!(action, Action::Start { .. })), "a late start");
    }

    /// A child that is added while its branch ends, or after, never stays behind.
    #[test]
    fn a_child_added_too_late_ends_at_once(policy in branches(), steps in steps()) {
        let mut model = Model::new(policy);
        for step in steps {
            model.play(step);
        }
        model.step(Event::End { how: EndHow::Stop, deadline: None });
        model.play(Step::Add(RestartType::Permanent, false, false));
        model.rest();
        model.play(Step::Add(RestartType::Permanent, false, false));
        prop_assert!(model.runners.values().all(|runner| *runner == Runner::Gone), "{:?}", model.runners);
    }

    /// Halted and begun again, every child that is not parked, down or gone comes up.
    #[test]
    fn a_halt_and_a_begin_bring_everything_up(policy in branches(), count in 1_u8..20, steps in steps()) {
        let mut model = Model::new(policy);
        model.step(Event::Begin);
        for _ in 0..count {
            model.play(Step::Add(RestartType::Permanent, false, false));
        }
        for step in steps {
            if matches!(step, Step::Advance(_) | Step::Restart(_) | Step::Pass(_) | Step::Begin) {
                model.play(step);
            }
        }
        model.rest();
        model.step(Event::End { how: EndHow::Halt, deadline: None });
        model.rest();
        prop_assert!(model.runners.values().all(|runner| *runner == Runner::Idle));
        model.step(Event::Begin);
        model.rest();
        prop_assert!(model.core.is_settled());
        prop_assert!(model.runners.values().all(|runner| *runner == Runner::Up), "{:?}", model.runners);
    }

    /// The same events give the same actions.
    #[test]
    fn decisions_can_be_replayed(policy in branches(), steps in steps()) {
        let run = || {
            let mut model = Model::new(policy);
            steps.iter().for_each(|step| model.play(*step));
            model.log
        };
        prop_assert_eq!(run(), run());
    }

    /// An ordered branch starts and stops one child at a time, forwards and backwards.
    #[test]
    fn order_is_kept(count in 1_u8..30) {
        let mut model = Model::new(CorePolicy::new(Order::Ordered));
        for _ in 0..count {
            model.play(Step::Add(RestartType::Permanent, false, false));
        }
        model.step(Event::Begin);
        model.rest();
        let starts: Vec<_> = model.log.iter().filter_map(|a| match a { Action::Start { key } => Some(*key), _ => None }).collect();
        prop_assert_eq!(starts, (0..u64::from(count)).collect::<Vec<_>>());
        model.step(Event::End { how: EndHow::Stop, deadline: None });
        model.rest();
        let stops: Vec<_> = model.log.iter().filter_map(|a| match a { Action::Stop { key, .. } => Some(*key), _ => None }).collect();
        prop_assert_eq!(stops, (0..u64::from(count)).rev().collect::<Vec<_>>());
    }
}

/// A halt that was on its way while the child crashed reaches the next instance: that one is started again.
#[test]
fn a_halt_that_comes_late_does_no_harm() {
    let mut model = Model::new(CorePolicy::new(Order::Concurrent));
    model.step(Event::Begin);
    model.play(Step::Add(RestartType::Permanent, false, false));
    model.rest();
    model.step(Event::Restart { key: 0 });
    // It crashes before it reads the halt; the order is then carried out by its successor.
    model.play(Step::Exit(0, Exit::Failed));
    assert_eq!(model.runners[&0], Runner::Loading);
    model.play(Step::Exit(0, Exit::Halted));
    model.rest();
    assert_eq!(model.runners[&0], Runner::Up);
}
