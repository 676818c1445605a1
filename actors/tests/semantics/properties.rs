//! What holds of groups, windows and storms in every history of failures, of the decision core alone.

use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use switchyard_actors::supervision::{
    Intensity, OnExceed, Order, RestartType, Storm, Strategy as Group,
    core::{Action, CorePolicy, Event, Exit, Key, SlotPolicy},
};

use crate::runners::{Model, Runner, Step, slot};

/// Nothing but failures, ends and the time that passes: no orders.
fn misfortunes() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => any::<u8>().prop_map(Step::Advance),
        4 => any::<u8>().prop_map(|key| Step::Exit(key, Exit::Failed)),
        1 => any::<u8>().prop_map(|key| Step::Exit(key, Exit::Normal)),
        2 => any::<u16>().prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..300)
}

fn restart_types() -> impl Strategy<Value = Vec<RestartType>> {
    let types =
        [RestartType::Permanent, RestartType::Permanent, RestartType::Transient, RestartType::Temporary];
    proptest::collection::vec(proptest::sample::select(types.to_vec()), 1..10)
}

/// Never parked alone.
fn tireless(restart: RestartType) -> SlotPolicy {
    SlotPolicy { restart, intensity: Intensity::new(u32::MAX, Duration::from_secs(1)), ..slot() }
}

/// A branch that is up.
fn started(policy: CorePolicy, children: &[RestartType]) -> Model {
    let mut model = Model::new(policy);
    children.iter().for_each(|restart| model.add(tireless(*restart)));
    model.step(Event::Begin);
    model.rest();
    model
}

/// Watches the restarts of a group, decision by decision.
struct Watch {
    strategy: Group,
    seen: usize,
    /// The failure that is being dealt with.
    culprit: Option<Key>,
    last_halted: Option<Key>,
    last_started: Option<Key>,
}

impl Watch {
    fn new(strategy: Group, model: &Model) -> Self {
        Self { strategy, seen: model.log.len(), culprit: None, last_halted: None, last_started: None }
    }

    /// The oldest child that the failure concerns.
    fn from(&self) -> Key {
        let culprit = self.culprit.expect("nothing is touched before something failed");
        if self.strategy == Group::OneForAll { Key::MIN } else { culprit }
    }

    fn look(&mut self, model: &Model) {
        for action in model.actions().skip(self.seen) {
            match action {
                Action::Restart { key, .. } => {
                    (self.culprit, self.last_halted, self.last_started) = (Some(key), None, None);
                }
                Action::Halt { key, .. } => {
                    assert!(key >= self.from(), "{key} stands before the one that failed");
                    assert!(self.last_halted.is_none_or(|last| key < last), "{key} after an older one");
                    assert_eq!(self.last_started, None, "{key} is halted though nobody failed");
                    self.last_halted = Some(key);
                }
                Action::Start { key } => {
                    assert!(key >= self.from(), "{key} stands before the one that failed");
                    assert!(self.last_started.is_none_or(|last| key > last), "{key} after a younger one");
                    if self.last_started.is_none() {
                        self.all_down_but(key, model);
                    }
                    self.last_started = Some(key);
                }
                _ => {}
            }
        }
        self.seen = model.log.len();
        let moving = [Runner::Loading, Runner::Halting];
        let moving = model.runners.values().filter(|runner| moving.contains(runner)).count();
        assert!(moving <= 1, "one at a time: {:?}", model.runners);
    }

    fn all_down_but(&self, first: Key, model: &Model) {
        for (key, runner) in model.runners.range(self.from()..) {
            let down = matches!(runner, Runner::Idle | Runner::Gone);
            assert!(down || *key == first, "{key} is {runner:?} while {first} starts");
        }
    }
}

fn starts(model: &Model) -> Vec<usize> {
    let of = |key| model.actions().filter(move |action| *action == Action::Start { key }).count();
    model.runners.keys().map(|key| of(*key)).collect()
}

/// Restarts and escalations, as `(time, is an escalation)`.
fn restarts(model: &Model) -> Vec<(Duration, bool)> {
    let of = |(at, action): &(Duration, Action)| match action {
        Action::Restart { .. } => Some((*at, false)),
        Action::Escalating { .. } => Some((*at, true)),
        _ => None,
    };
    model.log.iter().filter_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever fails meanwhile: members are halted newest first, all are down before the first is started, they are
    /// started oldest first, and one at a time.
    #[test]
    fn a_group_goes_down_newest_first_and_comes_up_oldest_first(
        strategy in proptest::sample::select(vec![Group::OneForAll, Group::RestForOne]),
        children in restart_types(),
        steps in misfortunes(),
    ) {
        let mut model = started(CorePolicy { strategy, ..CorePolicy::new(Order::Ordered) }, &children);
        let mut watch = Watch::new(strategy, &model);
        for step in steps {
            model.play(step);
            watch.look(&model);
        }
        model.rest_watched(|model| watch.look(model));
        let steady = |runner: &Runner| matches!(runner, Runner::Up | Runner::Idle | Runner::Gone);
        prop_assert!(model.runners.values().all(steady), "{:?}", model.runners);
    }

    /// Whatever fails meanwhile, nothing that is older than all that failed has another instance.
    #[test]
    fn in_rest_for_one_nothing_before_the_failed_child_is_touched(
        children in restart_types(),
        steps in misfortunes(),
    ) {
        let strategy = Group::RestForOne;
        let mut model = started(CorePolicy { strategy, ..CorePolicy::new(Order::Ordered) }, &children);
        let before = model.log.len();
        steps.into_iter().for_each(|step| model.play(step));
        model.rest();
        let failed = model.actions().filter_map(|action| match action {
            Action::Restart { key, .. } => Some(key),
            _ => None,
        });
        let oldest = failed.min().unwrap_or(Key::MAX);
        for action in model.actions().skip(before) {
            if let Action::Start { key } | Action::Halt { key, .. } = action {
                prop_assert!(key >= oldest, "{action:?}");
            }
        }
    }

    /// A member that fails while its group comes up begins it again: in one_for_all for those that were up already too,
    /// in rest_for_one they stay.
    #[test]
    fn a_member_that_fails_meanwhile_begins_the_restart_again(
        all in any::<bool>(),
        (count, culprit, second) in (2_u64..12).prop_flat_map(|count| (Just(count), 0..count, 0..count)),
    ) {
        let strategy = if all { Group::OneForAll } else { Group::RestForOne };
        let second = if all { second } else { second.max(culprit) };
        let children = vec![RestartType::Permanent; usize::try_from(count).unwrap()];
        let mut model = started(CorePolicy { strategy, ..CorePolicy::new(Order::Ordered) }, &children);
        model.runners.insert(culprit, Runner::Idle);
        model.step(Event::Exited { key: culprit, exit: Exit::Failed });
        let moving = |runner: &Runner| matches!(runner, Runner::Loading | Runner::Halting | Runner::Backoff);
        while model.runners[&second] != Runner::Loading {
            let key = *model.runners.iter().find(|(_, runner)| moving(runner)).unwrap().0;
            model.advance(key);
        }
        model.runners.insert(second, Runner::Idle);
        model.step(Event::Exited { key: second, exit: Exit::Failed });
        model.rest();
        let expected: Vec<_> = (0..count)
            .map(|key| match key {
                _ if !all && key < culprit => 1,
                _ if key == second => 3,
                _ if all && key < second => 3,
                _ => 2,
            })
            .collect();
        prop_assert_eq!(starts(&model), expected);
        prop_assert!(model.runners.values().all(|runner| *runner == Runner::Up));
    }

    /// No window holds more restarts than the intensity allows, and nothing escalates before the one that is too many.
    #[test]
    fn a_branch_escalates_at_the_restart_that_is_too_many(
        strategy in proptest::sample::select(vec![Group::OneForOne, Group::OneForAll, Group::RestForOne]),
        (allowed, window) in (0_u32..6, 1_u64..90),
        children in restart_types(),
        steps in misfortunes(),
    ) {
        let window = Duration::from_secs(window);
        let intensity = Some(Intensity::new(allowed, window));
        let mut model = started(CorePolicy { strategy, intensity, ..CorePolicy::new(Order::Ordered) }, &children);
        for step in steps {
            model.play(step);
            if matches!(model.log.last(), Some((_, Action::Fail { .. }))) {
                // Its own supervisor starts it again.
                model.step(Event::Begin);
            }
        }
        let mut stamps: Vec<Duration> = Vec::new();
        for (at, escalation) in restarts(&model) {
            stamps.retain(|stamp| at - *stamp < window);
            if escalation {
                prop_assert_eq!(stamps.len(), usize::try_from(allowed).unwrap(), "not before it must");
                stamps.clear();
            } else {
                stamps.push(at);
                prop_assert!(stamps.len() <= usize::try_from(allowed).unwrap(), "too many at {:?}", at);
            }
        }
    }

    /// In a storm or not: no second holds more restarts than the rate; in a storm none comes before the floor; a storm
    /// begins with the restart that is too many and ends when its window is empty, and never otherwise.
    #[test]
    fn a_storm_never_exceeds_its_rate(
        (rate, floor) in (1_u32..20, 0_u64..10),
        (allowed, window) in (0_u32..6, 1_u64..60),
        dynamic in any::<bool>(),
        children in restart_types(),
        steps in misfortunes(),
    ) {
        let (floor, window) = (Duration::from_secs(floor), Duration::from_secs(window));
        let storm = Storm { floor, starts_per_second: NonZeroU32::new(rate).unwrap() };
        let order = if dynamic { Order::Concurrent } else { Order::Ordered };
        let policy = CorePolicy {
            intensity: Some(Intensity::new(allowed, window)),
            on_exceed: OnExceed::Storm(storm),
            ..CorePolicy::new(order)
        };
        let mut model = started(policy, &children);
        let mut check = None;
        for step in steps {
            let before = model.log.len();
            model.play(step);
            if check.is_some_and(|at| at <= model.now) {
                check = None;
                model.step(Event::StormDue);
            }
            for (at, action) in &model.log[before..] {
                if let Action::Storm { check_in, .. } | Action::StormGoesOn { check_in } = action {
                    prop_assert_eq!(check, None, "one watch at a time");
                    check = Some(*at + *check_in);
                }
            }
        }
        let (mut due, mut stamps, mut storming) = (Vec::new(), Vec::new(), false);
        for (at, action) in &model.log {
            match action {
                Action::Storm { .. } => {
                    let young = stamps.iter().filter(|stamp| *at - **stamp < window).count();
                    prop_assert!(!storming && young == usize::try_from(allowed).unwrap());
                    storming = true;
                }
                Action::StormOver => {
                    prop_assert!(storming && stamps.iter().all(|stamp| *at - *stamp >= window));
                    storming = false;
                }
                Action::Restart { delay, .. } => {
                    prop_assert!(!storming || *delay >= floor);
                    stamps.push(*at);
                    due.push(*at + *delay);
                }
                Action::Escalating { .. } | Action::Fail { .. } => prop_assert!(false, "it lives on"),
                _ => {}
            }
        }
        due.sort_unstable();
        for (n, first) in due.iter().enumerate() {
            let within = due[n..].iter().take_while(|at| **at < *first + Duration::from_secs(1)).count();
            prop_assert!(within <= usize::try_from(rate).unwrap(), "{} within a second of {:?}", within, first);
        }
    }
}
