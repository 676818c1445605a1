//! Corners of the decision core, one at a time: orders during a start, probes of many at once, halts on top of halts.

use std::{num::NonZeroU32, time::Duration};

use switchyard_actors::supervision::{
    AutoShutdown, BranchSpec, Change, Happening, Intensity, NodeState, OnExceed, Order, Probe, RestartType,
    Storm, Strategy,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy},
};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Add, Do, Rope, Script, puppet},
    runners::slot,
};

const NOW: Duration = Duration::from_secs(100);

/// A branch whose children have the keys from 0 on.
fn branch(policy: CorePolicy, children: impl IntoIterator<Item = SlotPolicy>) -> Core {
    let mut core = Core::new(policy);
    for (key, policy) in (0..).zip(children) {
        core.step(Event::Added { key, policy }, Duration::ZERO);
    }
    core
}

fn up(core: &mut Core, key: Key) -> Vec<Action> {
    core.step(Event::Up { key }, NOW)
}

#[test]
fn a_member_that_an_admin_starts_early_and_that_fails_ends_nobodys_start() {
    let policy = CorePolicy { strategy: Strategy::RestForOne, ..CorePolicy::new(Order::Ordered) };
    let mut core = branch(policy, [slot(); 4]);
    core.step(Event::Begin, NOW);
    (0..4).for_each(|key| drop(up(&mut core, key)));
    core.step(Event::Exited { key: 3, exit: Exit::Park }, NOW);
    // All but the parked one go down with the branch and begin anew: the first is loading.
    core.step(Event::End { how: EndHow::Halt, deadline: None }, NOW);
    for key in [2, 1, 0] {
        core.step(Event::Exited { key, exit: Exit::Halted }, NOW);
    }
    assert_eq!(core.step(Event::Begin, NOW), [Action::Start { key: 0 }]);
    let unparked = core.step(Event::Restart { key: 3 }, NOW);
    assert!(unparked.contains(&Action::Start { key: 3 }), "{unparked:?}");
    core.step(Event::Exited { key: 3, exit: Exit::Failed }, NOW);
    core.step(Event::Exited { key: 0, exit: Exit::Halted }, NOW);
    assert_eq!(core.step(Event::Due { key: 3 }, NOW).last(), Some(&Action::Start { key: 0 }));
    for key in 0..3 {
        assert_eq!(up(&mut core, key), [Action::Start { key: key + 1 }]);
    }
    assert_eq!(up(&mut core, 3), [Action::Settled]);
}

/// A branch that starts two a second, with so many parked children.
fn parked_at_two_a_second(children: usize) -> Core {
    let storm = Storm { floor: Duration::ZERO, starts_per_second: NonZeroU32::new(2).unwrap() };
    let policy = CorePolicy {
        on_exceed: OnExceed::Storm(storm),
        intensity: Some(Intensity::new(1_000, secs(60))),
        ..CorePolicy::new(Order::Concurrent)
    };
    let fragile = SlotPolicy {
        intensity: Intensity::new(0, secs(10)),
        probe: Some(Probe { interval: secs(60), cap: secs(60) }),
        ..slot()
    };
    let mut core = branch(policy, vec![fragile; children]);
    core.step(Event::Begin, NOW);
    for key in (0..).take(children) {
        up(&mut core, key);
        let parked = core.step(Event::Exited { key, exit: Exit::Failed }, NOW);
        assert!(matches!(parked[..], [Action::Park { .. }]), "{parked:?}");
    }
    core
}

#[test]
fn places_that_were_waited_for_lapse_with_the_branch() {
    let mut core = parked_at_two_a_second(3);
    let (now, later) = (NOW + secs(50), NOW + secs(90));
    (0..3).for_each(|key| drop(core.step(Event::Probe { key }, now)));
    core.step(Event::Up { key: 0 }, now);
    core.step(Event::End { how: EndHow::Halt, deadline: None }, now);
    core.step(Event::Exited { key: 0, exit: Exit::Halted }, now);
    for key in [1, 2] {
        assert_eq!(core.step(Event::Due { key }, now), [], "its branch is down");
    }
    core.step(Event::Begin, later);
    assert_eq!(core.step(Event::Due { key: 1 }, later), [Action::Start { key: 1 }]);
    let delay = Duration::from_millis(500);
    assert_eq!(core.step(Event::Due { key: 2 }, later), [Action::Probe { key: 2, delay }]);
}

#[test]
fn probes_of_many_take_their_places_among_the_starts_of_a_branch() {
    let mut core = parked_at_two_a_second(9);
    let now = NOW + secs(50);
    let (mut starts, mut waiting) = (Vec::new(), Vec::new());
    for key in 0..9 {
        match core.step(Event::Probe { key }, now)[..] {
            [Action::Start { key: started }] if started == key => starts.push(now),
            [Action::Probe { key: later, delay }] if later == key => waiting.push((key, now + delay)),
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!(starts.len(), 1);
    for (key, at) in waiting {
        // Asked for again, or looked at too early, it keeps the place that it has.
        for event in [Event::Probe { key }, Event::Due { key }] {
            assert_eq!(core.step(event, now), [Action::Probe { key, delay: at - now }]);
        }
        assert_eq!(core.step(Event::Due { key }, at), [Action::Start { key }]);
        starts.push(at);
    }
    let gaps: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [Duration::from_millis(500); 8]);
}

#[test]
fn what_an_admin_takes_down_stays_down_when_its_branch_is_halted_meanwhile() {
    let mut core = branch(CorePolicy::new(Order::Ordered), [slot(); 2]);
    core.step(Event::Begin, NOW);
    up(&mut core, 0);
    up(&mut core, 1);
    core.step(Event::Terminate { key: 1 }, NOW);
    core.step(Event::End { how: EndHow::Halt, deadline: None }, NOW);
    let down = core.step(Event::Exited { key: 1, exit: Exit::Halted }, NOW);
    assert!(down.contains(&Action::Rest { key: 1 }), "{down:?}");
    core.step(Event::Exited { key: 0, exit: Exit::Halted }, NOW);
    assert_eq!(core.step(Event::Begin, NOW), [Action::Start { key: 0 }]);
    assert_eq!(up(&mut core, 0), [Action::Settled], "the other waits for an admin");
    assert_eq!(core.step(Event::Restart { key: 1 }, NOW), [Action::Start { key: 1 }]);
}

#[test]
fn children_of_a_branch_that_comes_back_wait_for_their_turns_and_take_messages() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let first = branch.add(puppet("first", &rope)).unwrap();
        let second = branch.add(puppet("second", &rope)).unwrap();
        world.runtime.start().await;
        world.stop("x");
        pass(secs(1)).await;
        assert_eq!((first.status(), second.status()), (NodeState::Stopped, NodeState::Stopped));
        assert_eq!(world.view("x/second").reason.as_deref(), Some("branch x is stopped"));
        assert!(second.tell(Add(1)).is_err(), "nobody knows whether it ever comes back");
        rope.loads([Script::Hang]);
        world.restart("x");
        settle().await;
        assert_eq!((first.status(), second.status()), (NodeState::Starting, NodeState::Starting));
        assert_eq!(world.view("x/second").reason, None);
        second.tell(Add(1)).unwrap();
    });
}

#[test]
fn what_rests_is_stopped_once() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let child = world.runtime.root().add(puppet("a", &rope).policy(exact())).unwrap();
        world.runtime.start().await;
        world.stop("a");
        pass(secs(1)).await;
        assert_eq!(child.status(), NodeState::Stopped);
        assert!(world.runtime.drain(secs(10)).await.is_clean());
        assert_eq!(world.sink.count("a", |what| matches!(what, Happening::Stopped { .. })), 1);
    });
}

#[test]
fn a_long_reason_for_parking_is_cut_like_a_failures_text() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(exact())).await;
        child.tell(Do::it(|_, cx| cx.park("ä".repeat(5_000)))).unwrap();
        settle().await;
        assert_eq!(child.status(), NodeState::Parked);
        assert_eq!(world.view("a").reason.map(|reason| reason.chars().count()), Some(400));
    });
}

#[test]
fn a_list_of_changes_is_judged_by_what_it_says_itself() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        branch.add(puppet("a", &rope).restart(RestartType::Transient)).unwrap();
        world.runtime.start().await;
        let mut policy = exact();
        (policy.restart, policy.significant) = (RestartType::Transient, true);
        let limits = |auto_shutdown| {
            let limits = switchyard_actors::supervision::BranchLimits { auto_shutdown, ..Default::default() };
            (branch.path().clone(), Change::Limits(limits))
        };
        let significant = (world.view("x/a").path, Change::Policy(Box::new(policy)));
        let (any, never) = (limits(AutoShutdown::AnySignificant), limits(AutoShutdown::Never));
        let tree = world.runtime.tree();
        assert!(tree.reload(&[never.clone(), significant.clone()]).is_err());
        tree.reload(&[any, significant.clone()]).unwrap();
        let refused = tree.reload(&[significant, never]).unwrap_err();
        assert_eq!(refused.path.as_str(), "x/a", "it would be significant for nothing");
    });
}
