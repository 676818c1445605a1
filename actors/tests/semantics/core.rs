//! The decision core alone: random histories against a model of what runners do.

use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use switchyard_actors::supervision::{
    AutoShutdown, Intensity, OnExceed, Order, RestartType, Storm, Strategy as Group,
    core::{Action, CorePolicy, EndHow, Event, Exit},
};

use crate::runners::{Model, Runner, Step};

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
        prop_assert!(!model.actions().skip(after).any(|action| matches!(action, Action::Start { .. })), "a late start");
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

    /// Whatever failed and was ordered in a group, also during its start: an admin's restarts bring everybody up.
    #[test]
    fn an_admin_brings_up_whatever_a_group_left_down(
        all in any::<bool>(),
        (count, parked) in (1_u8..8, any::<u8>()),
        steps in steps(),
    ) {
        let strategy = if all { Group::OneForAll } else { Group::RestForOne };
        let mut model = Model::new(CorePolicy { strategy, ..CorePolicy::new(Order::Ordered) });
        for _ in 0..count {
            model.play(Step::Add(RestartType::Permanent, false, false));
        }
        // One of them does not begin with the others.
        model.step(Event::Begin);
        model.rest();
        model.play(Step::Exit(parked, Exit::Park));
        model.step(Event::End { how: EndHow::Halt, deadline: None });
        model.rest();
        model.step(Event::Begin);
        model.play(Step::Restart(parked));
        for step in steps {
            if !matches!(step, Step::Add(..) | Step::Remove(_) | Step::Shelve | Step::Exit(_, Exit::Escalated)) {
                model.play(step);
            }
        }
        model.rest();
        model.step(Event::Begin);
        model.rest();
        for n in 0..count {
            model.play(Step::Restart(n));
            model.rest();
        }
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
        let starts: Vec<_> = model.actions().filter_map(|a| match a { Action::Start { key } => Some(key), _ => None }).collect();
        prop_assert_eq!(starts, (0..u64::from(count)).collect::<Vec<_>>());
        model.step(Event::End { how: EndHow::Stop, deadline: None });
        model.rest();
        let stops: Vec<_> = model.actions().filter_map(|a| match a { Action::Stop { key, .. } => Some(key), _ => None }).collect();
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
