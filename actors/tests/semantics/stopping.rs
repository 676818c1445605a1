//! Stop, kill and drain.

use std::{future::pending, sync::Arc};

use switchyard_actors::supervision::{
    AddError, AskError, BranchSpec, Happening, Intensity, NodeState, Policy, StopLimit,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Later, Poison, Rope, Script, puppet},
};

fn five_seconds() -> Policy {
    Policy { stop: StopLimit { limit: secs(5), reserve: secs(2) }, ..exact() }
}

fn hang() -> Do {
    Do::it(|_, cx| drop(cx.spawn(pending::<()>(), |_, (), _| ())))
}

#[test]
fn s26_stop_ends_in_every_state() {
    for state in ["running", "starting", "backoff", "parked", "suspended", "hung", "hung in drain"] {
        run(async {
            let world = World::new();
            let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
            let rope = Rope::default();
            match state {
                "starting" => rope.loads([Script::Hang]),
                "backoff" => rope.loads([Script::Retry]),
                "parked" => rope.loads([Script::Fatal]),
                "hung in drain" => rope.0.lock().unwrap().drain_takes = secs(1_000),
                _ => {}
            }
            let child = branch.add(puppet("a", &rope).policy(five_seconds())).unwrap();
            world.runtime.start().await;
            match state {
                "suspended" => {
                    world.runtime.tree().suspend(child.path()).unwrap();
                }
                "hung" => child.tell(hang()).unwrap(),
                _ => {}
            }
            settle().await;
            let before = tokio::time::Instant::now();
            assert!(branch.remove("a").await);
            assert!(before.elapsed() <= secs(5), "{state}");
            assert_eq!(child.status(), NodeState::Stopped, "{state}");
            rope.clear();
            pass(secs(600)).await;
            assert!(rope.lines().is_empty(), "no late start after {state}");
            assert_eq!(Arc::strong_count(&rope.0), 1, "nothing of it is left after {state}");
        });
    }
}

#[test]
fn s27_a_hung_child_is_cut_off_at_its_limit() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(five_seconds())).await;
        let asked = child.ask(Later(secs(1_000), false));
        settle().await;
        let drain = world.runtime.drain(secs(60));
        pass(secs(3) - millis(1)).await;
        assert_eq!(child.status(), NodeState::Draining);
        assert!(!rope.lines().contains(&"a: drain".to_owned()), "the reserve has not begun");
        let before = tokio::time::Instant::now();
        let report = drain.await;
        assert_eq!(before.elapsed(), millis(1));
        assert_eq!(report.unfinished.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(asked.await, Err(AskError::Stopped));
        assert_eq!(rope.lines()[2..], ["a: closing", "a: drain", "a: stopped shutdown"]);
    });
}

#[test]
fn s27_a_drain_that_hangs_is_cut_off_too() {
    run(async {
        let rope = Rope::default();
        rope.0.lock().unwrap().drain_takes = secs(1_000);
        let (world, _child) = World::with(puppet("a", &rope).policy(five_seconds())).await;
        let before = tokio::time::Instant::now();
        let report = world.runtime.drain(secs(60)).await;
        assert_eq!(before.elapsed(), secs(5));
        assert!(!report.is_clean());
        assert_eq!(rope.lines()[2..], ["a: closing", "a: drain", "a: stopped shutdown"]);
    });
}

#[test]
fn s27_a_kill_calls_nothing() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let in_hand = child.ask(Later(secs(5), false));
        child.tell(Do::it(|_, cx| drop(cx.wait(pending::<()>(), |_, (), _| ())))).unwrap();
        let queued = child.ask(Add(1));
        settle().await;
        rope.clear();
        world.runtime.kill();
        settle().await;
        assert!(rope.lines().is_empty());
        assert_eq!((child.status(), child.depth()), (NodeState::Stopped, 0));
        assert_eq!(in_hand.await, Err(AskError::Stopped));
        assert_eq!(queued.await, Err(AskError::Stopped));
        assert_eq!(Arc::strong_count(&rope.0), 1);
    });
}

#[test]
fn s29_the_tree_drains_in_reverse_and_finishes_its_queues() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        let root = world.runtime.root();
        let first = root.add(puppet("first", &rope)).unwrap();
        let branch = root.add_branch(BranchSpec::ordered("x")).unwrap();
        let b = branch.add(puppet("b", &rope)).unwrap();
        let c = branch.add(puppet("c", &rope)).unwrap();
        let last = root.add(puppet("last", &rope)).unwrap();
        world.runtime.start().await;
        rope.clear();
        // The last one passes work on to the first while it drains: the first still takes it.
        let upstream = first.clone();
        last.tell(Do::it(move |_, cx| {
            let work = async move {
                tokio::time::sleep(secs(2)).await;
                upstream.tell(Add(9)).unwrap();
            };
            cx.spawn(work, |_, (), _| ());
        }))
        .unwrap();
        for child in [&first, &b, &c, &last] {
            for n in 0..3 {
                child.tell(Add(n)).unwrap();
            }
        }
        let report = world.runtime.drain(secs(30));
        settle().await;
        assert!(last.tell(Add(1)).is_err(), "the one whose turn it is refuses");
        let late = root.add(puppet("late", &rope));
        assert!(matches!(late, Err(AddError::Stopping)));
        let report = report.await;
        assert!(report.is_clean(), "{report:?}");
        let lines = rope.lines();
        let at = |line: &str| {
            lines.iter().position(|other| other == line).unwrap_or_else(|| panic!("{line}: {lines:?}"))
        };
        for (earlier, later) in [("last", "c"), ("c", "b"), ("b", "first")] {
            assert!(
                at(&format!("{earlier}: stopped shutdown")) < at(&format!("{later}: drain")),
                "{lines:?}"
            );
        }
        for name in ["first", "b", "c", "last"] {
            let count = |line: String| lines.iter().filter(|other| **other == line).count();
            assert_eq!((count(format!("{name}: drain")), count(format!("{name}: stopped shutdown"))), (1, 1));
            assert_eq!((0..3).map(|n| count(format!("{name}: add {n}"))).collect::<Vec<_>>(), [1, 1, 1]);
        }
        assert!(at("first: add 9") < at("first: drain"), "passed on and handled");
        assert_eq!([&first, &b, &c, &last].map(|child| child.depth()), [0; 4]);
    });
}

#[test]
fn a_dynamic_branch_drains_at_once() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let rope = Rope::default();
        rope.0.lock().unwrap().drain_takes = secs(2);
        for n in 0..20 {
            branch.add(puppet(&n.to_string(), &rope)).unwrap();
        }
        world.runtime.start().await;
        settle().await;
        let before = tokio::time::Instant::now();
        assert!(world.runtime.drain(secs(30)).await.is_clean());
        assert_eq!(before.elapsed(), secs(2));
    });
}

#[test]
fn s30_a_crash_during_a_drain_is_not_restarted() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        let root = world.runtime.root();
        let crashes = root.add(puppet("a", &rope)).unwrap();
        let ends = root.add(puppet("b", &rope)).unwrap();
        let slow = root.add(puppet("c", &rope)).unwrap();
        world.runtime.start().await;
        slow.tell(Later(secs(2), false)).unwrap();
        let drain = world.runtime.drain(secs(30));
        crashes.tell(Poison).unwrap();
        ends.tell(Do::it(|_, cx| cx.stop())).unwrap();
        settle().await;
        assert_eq!(crashes.status(), NodeState::Stopped);
        let report = drain.await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((crashes.epoch(), ends.epoch()), (1, 1));
        assert_eq!(world.view("a").last_failure.unwrap().failure.text, "poisoned", "its own reason is kept");
        assert!(rope.lines().contains(&"b: stopped normal".to_owned()));
    });
}

#[test]
fn s30_a_crash_of_the_draining_child_itself_ends_it() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Poison).unwrap();
        let queued = child.ask(Add(1));
        let report = world.runtime.drain(secs(30)).await;
        assert_eq!(queued.await, Err(AskError::Stopped));
        assert_eq!(report.unfinished.len(), 1, "a queued message was lost");
        assert_eq!(child.epoch(), 1);
    });
}

#[test]
fn s31_a_kill_ends_a_drain_and_lists_the_unfinished() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let children: Vec<_> =
            ["a", "b"].iter().map(|name| branch.add(puppet(name, &Rope::default())).unwrap()).collect();
        world.runtime.start().await;
        for child in &children {
            child.tell(hang()).unwrap();
        }
        let drain = world.runtime.drain(secs(600));
        pass(secs(1)).await;
        world.runtime.kill();
        let before = tokio::time::Instant::now();
        let report = drain.await;
        assert_eq!(before.elapsed(), millis(0));
        let mut unfinished: Vec<_> = report.unfinished.iter().map(|path| path.as_str()).collect();
        unfinished.sort_unstable();
        assert_eq!(unfinished, ["x/a", "x/b"]);
    });
}

#[test]
fn s31_the_deadline_lists_the_unfinished() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let clean = branch.add(puppet("a", &Rope::default())).unwrap();
        let hung = branch.add(puppet("b", &Rope::default()).policy(five_seconds())).unwrap();
        world.runtime.start().await;
        hung.tell(hang()).unwrap();
        let before = tokio::time::Instant::now();
        let report = world.runtime.drain(secs(4)).await;
        assert!(before.elapsed() <= secs(4), "{:?}", before.elapsed());
        assert!(report.unfinished.iter().any(|path| path.as_str() == "x/b"));
        assert!(!report.unfinished.iter().any(|path| path.as_str() == "x/a"), "{report:?}");
        assert_eq!(clean.status(), NodeState::Stopped);
    });
}

#[test]
fn s31_what_was_cut_off_before_the_drain_is_not_in_its_report() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let add = |name: &str| branch.add(puppet(name, &Rope::default()).policy(five_seconds())).unwrap();
        let (removed, going, hung) = (add("removed"), add("going"), add("hung"));
        world.runtime.start().await;
        for child in [&removed, &going, &hung] {
            child.tell(hang()).unwrap();
        }
        settle().await;
        assert!(branch.remove("removed").await);
        assert_eq!(
            world.sink.of("x/removed").pop(),
            Some(Happening::Stopped { clean: false }),
            "it was cut off, and said so then"
        );
        let gone = branch.remove("going");
        let report = world.runtime.drain(secs(60)).await;
        assert!(gone.await);
        let mut unfinished: Vec<_> = report.unfinished.iter().map(|path| path.as_str()).collect();
        unfinished.sort_unstable();
        assert_eq!(unfinished, ["x/going", "x/hung"], "those that the drain found at work");
    });
}

#[test]
fn a_child_out_of_service_has_nothing_to_finish() {
    run(async {
        let world = World::new();
        let root = world.runtime.root();
        let rope = Rope::default();
        rope.loads([Script::Retry]);
        let once = Policy { intensity: Intensity::new(1, secs(60)), ..exact() };
        let parked = root.add(puppet("parked", &rope).policy(once)).unwrap();
        let stopped = root.add(puppet("stopped", &Rope::default())).unwrap();
        let branch = BranchSpec::ordered("x").intensity(Some(Intensity::new(0, secs(60))));
        let branch = root.add_branch(branch).unwrap();
        let (shelved, fails) = (
            branch.add(puppet("a", &Rope::default())).unwrap(),
            branch.add(puppet("b", &Rope::default())).unwrap(),
        );
        world.runtime.start().await;
        for child in [&stopped, &shelved] {
            world.runtime.tree().suspend(child.path()).unwrap();
        }
        settle().await;
        let queued = [&parked, &stopped, &shelved].map(|child| child.ask(Add(1)));
        world.stop("stopped");
        fails.tell(Poison).unwrap();
        pass(secs(30)).await;
        let states = [&parked, &stopped, &shelved].map(|child| (child.status(), child.depth()));
        let (parked, stopped) = (NodeState::Parked, NodeState::Stopped);
        assert_eq!(
            states,
            [(parked, 1), (stopped, 1), (parked, 1)],
            "what they had not begun stays with them"
        );
        let report = world.runtime.drain(secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
        for answer in queued {
            assert_eq!(answer.await, Err(AskError::Stopped));
        }
    });
}

#[test]
fn s31_a_tree_that_never_ran_drains_cleanly() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let idle = branch.add(puppet("a", &Rope::default())).unwrap();
        let waiting = branch.add(puppet("b", &Rope::default())).unwrap();
        waiting.tell(Add(1)).unwrap();
        let report = world.runtime.drain(secs(5)).await;
        assert_eq!(report.unfinished.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["x/b"]);
        assert_eq!((idle.status(), idle.epoch()), (NodeState::Stopped, 0));
    });
}

#[test]
fn nothing_is_left_after_a_drain() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Do::it(|_, cx| drop(cx.every(secs(1), |_, _| ())))).unwrap();
        child.tell(Poison).unwrap();
        pass(secs(3)).await;
        let tree = world.runtime.tree();
        assert!(world.runtime.drain(secs(5)).await.is_clean());
        assert_eq!(Arc::strong_count(&rope.0), 1);
        assert_eq!(tree.counts()[&NodeState::Stopped], 2, "the view stays until the runtime goes");
        let World { runtime, sink } = world;
        drop(runtime);
        assert!(tree.snapshot(&switchyard_actors::supervision::ChildPath::root()).is_empty());
        assert_eq!(Arc::strong_count(&sink), 2, "the tree and the handle still hold the world");
        drop((tree, child));
        settle().await;
        assert_eq!(Arc::strong_count(&sink), 1, "and nothing else does");
    });
}
