//! Restart in place: what survives, what does not, what callers see.

use std::{sync::Arc, time::Duration};

use switchyard_actors::supervision::{AskError, Happening, NodeState, Phase, Policy, RestartType};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Rope, Script, puppet},
};

#[test]
fn s01_a_permanent_child_that_ends_normally_is_restarted() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((1, 1)));
        child.tell(Do::it(|_, cx| cx.stop())).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((1, 2)));
        assert_eq!(world.view("a").restarts_total, 1, "and counted");
        assert_eq!(
            rope.lines(),
            ["a: load", "a: started", "a: add 1", "a: stopped normal", "a: load", "a: started", "a: add 1"]
        );
    });
}

#[test]
fn s02_a_transient_child_that_ends_normally_stays_down_until_an_admin_starts_it() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).restart(RestartType::Transient)).await;
        child.tell(Do::it(|_, cx| cx.stop())).unwrap();
        pass(secs(600)).await;
        assert_eq!(child.status(), NodeState::Stopped);
        assert_eq!(world.view("a").epoch, 1);
        world.restart("a");
        settle().await;
        assert_eq!(child.ask(Add(2)).await, Ok((2, 2)));
    });
}

#[test]
fn s03_a_transient_child_that_panics_is_restarted() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope).restart(RestartType::Transient)).await;
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((1, 2)));
    });
}

#[test]
fn s04_a_temporary_child_is_forgotten_and_its_id_is_free() {
    run(async {
        for end in [Do::it(|_, cx| cx.stop()), Do::it(|_, _| panic!("crash")), Do::it(|_, cx| cx.fail("x"))] {
            let rope = Rope::default();
            let (world, child) = World::with(puppet("a", &rope).restart(RestartType::Temporary)).await;
            child.tell(end).unwrap();
            settle().await;
            assert_eq!(child.status(), NodeState::Stopped);
            assert_eq!(
                world.runtime.tree().snapshot(&switchyard_actors::supervision::ChildPath::root()).len(),
                1
            );
            assert!(world.runtime.root().ids().is_empty());
            assert_eq!(Arc::strong_count(&rope.0), 1, "arguments and state are dropped");
            let again = world.runtime.root().add(puppet("a", &rope)).unwrap();
            settle().await;
            assert_eq!(again.ask(Add(1)).await, Ok((1, 1)));
            assert_ne!(again, child);
        }
    });
}

#[test]
fn s07_only_the_poisoned_caller_sees_the_crash_and_the_queue_is_answered_in_order() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let poisoned = child.ask(Poison);
        let queued: Vec<_> = (1..10).map(|n| child.ask(Add(n))).collect();
        settle().await;
        assert_eq!(poisoned.await, Err(AskError::ChildCrashed { epoch: 1 }));
        assert_eq!(child.status(), NodeState::Backoff);
        assert_eq!(child.depth(), 9);
        pass(millis(999)).await;
        assert_eq!(child.epoch(), 1);
        pass(millis(1)).await;
        let mut sum = 0;
        for (n, answer) in (1..10).zip(queued) {
            sum += n;
            assert_eq!(answer.await, Ok((sum, 2)));
        }
        assert_eq!(child.depth(), 0);
        assert_eq!(rope.lines().iter().filter(|line| line.contains("add")).count(), 9);
        assert_eq!(world.view("a").restarts_total, 1);
    });
}

#[test]
fn s08_the_state_comes_from_load_and_nothing_of_the_old_one_is_left() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.ask(Add(40)).await.unwrap();
        rope.0.lock().unwrap().stored = 2;
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((3, 2)));
        assert_eq!(rope.0.lock().unwrap().load_epochs, [1, 2]);
        assert_eq!(rope.0.lock().unwrap().load_failures, [None, Some(Phase::Handler)]);
        assert_eq!(world.view("a").observable["sum"], 2, "published by the new instance");
    });
}

#[test]
fn s09_a_failing_load_is_spaced_by_backoff_and_counted() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        rope.loads([Script::Retry, Script::Panic, Script::Retry, Script::Ready]);
        let answer = child.ask(Poison);
        let queued = child.ask(Add(1));
        settle().await;
        assert!(answer.await.is_err());
        // 1 s after the crash, then 2, 4 and 8 s after each failed load.
        for (delay, epoch) in [(1, 2), (2, 3), (4, 4), (8, 5)] {
            pass(secs(delay) - millis(1)).await;
            assert_eq!(child.epoch(), epoch - 1);
            pass(millis(1)).await;
            assert_eq!(child.epoch(), epoch);
        }
        assert_eq!(queued.await, Ok((1, 5)));
        let view = world.view("a");
        assert_eq!((view.restarts_total, view.restarts_in_window), (4, 4));
    });
}

#[test]
fn s09_a_load_over_its_limit_is_a_failure() {
    run(async {
        let rope = Rope::default();
        rope.loads([Script::Hang, Script::Ready]);
        let policy = Policy { load_limit: secs(5), ..exact() };
        let (world, child) = World::with(puppet("a", &rope).policy(policy)).await;
        let queued = child.ask(Add(1));
        pass(Duration::from_micros(5_999_000)).await;
        let failure = world.view("a").last_failure.unwrap().failure;
        assert_eq!((failure.phase, failure.text.as_str()), (Phase::Load, "load took longer than 5s"));
        assert_eq!(queued.await, Ok((1, 2)));
    });
}

#[test]
fn s10_ignore_leaves_the_child_down() {
    run(async {
        let rope = Rope::default();
        rope.loads([Script::Ignore]);
        let (world, child) = World::with(puppet("a", &rope)).await;
        pass(secs(600)).await;
        let view = world.view("a");
        assert_eq!((view.state, view.epoch, view.last_failure), (NodeState::Stopped, 1, None));
        assert!(child.tell(Add(1)).is_err());
        let counts = world.runtime.tree().counts();
        assert_eq!((counts[&NodeState::Stopped], counts[&NodeState::Running]), (1, 1), "the root runs");
    });
}

#[test]
fn s10_fatal_parks_at_once() {
    run(async {
        let rope = Rope::default();
        rope.loads([Script::Fatal]);
        let (world, child) = World::with(puppet("a", &rope)).await;
        settle().await;
        let view = world.view("a");
        assert_eq!((view.state, view.reason.as_deref()), (NodeState::Parked, Some("credentials are gone")));
        assert_eq!(view.next_attempt, None);
        assert_eq!(world.sink.count("a", |what| matches!(what, Happening::Restarting { .. })), 0);
        assert_eq!(child.ask(Add(1)).await.unwrap_err().to_string(), "child is parked");
    });
}
