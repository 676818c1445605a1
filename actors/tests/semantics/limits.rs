//! Windows, backoff, intensity, stuck detection.

use std::{future::pending, time::Duration};

use futures_util::StreamExt as _;
use switchyard_actors::supervision::{
    Backoff, ChildRef, Happening, Intensity, NodeState, Phase, Policy, SlidingWindow, jitter_key,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Puppet, Rope, puppet},
};

#[test]
fn s14_the_window_slides_with_millisecond_resolution() {
    let intensity = Intensity::new(3, secs(10));
    let full = || {
        let mut window = SlidingWindow::new(intensity);
        for at in [0, 100, 200] {
            assert!(!window.record(secs(1) + millis(at)));
        }
        window
    };
    assert!(full().record(secs(11) - millis(1)), "all four are younger than the window");
    assert!(!full().record(secs(11) + millis(1)), "the first has left");
    assert!(!full().record(secs(11)), "exactly as old as the window is out");
    // No matter the phase: 1.001 s apart never counts together in a window of 1 s.
    let mut window = SlidingWindow::new(Intensity::new(1, secs(1)));
    for n in 0..1_000_u64 {
        assert!(!window.record(millis(n * 1_001)));
    }
}

#[test]
fn s14_a_child_that_crashes_slower_than_its_window_lives() {
    run(async {
        let rope = Rope::default();
        let backoff = Backoff { base: millis(1), cap: millis(1), jitter_percent: 0, ..Backoff::default() };
        let policy = Policy { intensity: Intensity::new(1, secs(2)), backoff, ..exact() };
        let (_world, child) = World::with(puppet("a", &rope).policy(policy)).await;
        for _ in 0..4 {
            child.tell(Poison).unwrap();
            pass(millis(2_001)).await;
        }
        assert_eq!(child.status(), NodeState::Running);
        child.tell(Poison).unwrap();
        pass(millis(1_000)).await;
        child.tell(Poison).unwrap();
        pass(millis(1_000)).await;
        assert_eq!(child.status(), NodeState::Parked);
    });
}

#[test]
fn s15_intensity_zero_exceeds_at_once() {
    run(async {
        let rope = Rope::default();
        let policy = Policy { intensity: Intensity::new(0, secs(1)), ..exact() };
        let (world, child) = World::with(puppet("a", &rope).policy(policy)).await;
        child.tell(Poison).unwrap();
        settle().await;
        assert_eq!(child.status(), NodeState::Parked);
        assert_eq!(world.view("a").restarts_total, 0);
    });
}

#[test]
fn s16_a_child_over_its_window_is_parked_alone() {
    run(async {
        let world = World::new();
        let branch = world
            .runtime
            .root()
            .add_branch(
                switchyard_actors::supervision::BranchSpec::ordered("x")
                    .intensity(Some(Intensity::new(5, secs(3_600)))),
            )
            .unwrap();
        let rope = Rope::default();
        let policy = Policy { intensity: Intensity::new(5, secs(600)), ..exact() };
        let child = branch.add(puppet("a", &rope).policy(policy)).unwrap();
        let sibling = branch.add(puppet("b", &Rope::default())).unwrap();
        world.runtime.start().await;
        for _ in 0..6 {
            child.tell(Poison).unwrap();
        }
        pass(secs(120)).await;
        // Five restarts fill the branch's window too; the sixth failure parks and is not counted there.
        assert_eq!(child.status(), NodeState::Parked);
        assert_eq!(world.view("x").state, NodeState::Running);
        assert_eq!(world.sink.count("x/a", |what| matches!(what, Happening::Parked { .. })), 1);
        assert_eq!(
            world.view("x/a").reason.unwrap(),
            world.view("x/a").last_failure.unwrap().failure.to_string()
        );
        assert_eq!(sibling.epoch(), 1);
        assert_eq!(sibling.ask(Add(1)).await, Ok((1, 1)));
        assert!(world.red().is_empty(), "a parked child turns no branch red");
    });
}

#[test]
fn s23_backoff_doubles_to_its_cap() {
    let backoff = Backoff { jitter_percent: 0, ..Backoff::default() };
    let delays: Vec<_> = (1..=8).map(|n| backoff.delay(n, 7).as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(backoff.delay(u32::MAX, 7), secs(60));
    assert_eq!(backoff.delay(0, 7), secs(1));
}

#[test]
fn s23_jitter_stays_in_range_and_is_replayable() {
    for percent in [0, 1, 20, 50, 100] {
        let backoff = Backoff { jitter_percent: percent, ..Backoff::default() };
        let exact = Backoff { jitter_percent: 0, ..backoff };
        for child in 0..200_u64 {
            let key = jitter_key(3, &format!("pairs/{child}"));
            for n in 1..=8 {
                let (delay, full) = (backoff.delay(n, key), exact.delay(n, key));
                assert!(
                    delay <= full && delay >= full * u32::from(100 - percent) / 100,
                    "{percent} {n} {delay:?}"
                );
                assert_eq!(delay, backoff.delay(n, key), "equal for equal keys");
            }
        }
    }
    // Full jitter spreads: the mean of many is near the half, and seeds differ.
    let backoff = Backoff { base: secs(1), cap: secs(1), ..Backoff::default() };
    let total: Duration = (0..1_000).map(|n| backoff.delay(1, jitter_key(n, "pairs/1"))).sum();
    assert!((400..600).contains(&(total / 1_000).as_millis()), "{total:?}");
}

#[test]
fn s24_the_backoff_resets_lazily() {
    run(async {
        for (up, delay) in [(millis(120_000), secs(1)), (millis(119_999), secs(4))] {
            let rope = Rope::default();
            let (world, child) = World::with(puppet("a", &rope)).await;
            child.tell(Poison).unwrap();
            pass(secs(1)).await;
            child.tell(Poison).unwrap();
            settle().await;
            tokio::time::sleep(secs(2) + up).await;
            child.tell(Poison).unwrap();
            settle().await;
            let Some(Happening::Restarting { delay: last, .. }) = world.sink.of("a").pop() else { panic!() };
            assert_eq!(last, delay, "after {up:?}");
        }
    });
}

#[test]
fn a_child_that_stops_in_started_does_not_starve_its_neighbours() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        rope.0.lock().unwrap().stop_in_started = true;
        let backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO, ..Backoff::default() };
        let policy = Policy { intensity: Intensity::new(u32::MAX, secs(1)), backoff, ..exact() };
        let child = world.runtime.root().add(puppet("a", &rope).policy(policy)).unwrap();
        let sibling = world.runtime.root().add(puppet("b", &Rope::default())).unwrap();
        world.runtime.start().await;
        assert_eq!(sibling.ask(Add(1)).await, Ok((1, 1)));
        settle().await;
        assert!(child.epoch() > 10, "it restarts all the time");
        assert!(child.epoch() < 10_000, "and lets the others in between");
    });
}

#[test]
fn declared_failure_is_a_failure() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let order = Do::it(|puppet, cx| {
            cx.fail("the connection is torn");
            puppet.sum = 9;
        });
        child.tell(order).unwrap();
        let next = child.ask(Add(1));
        settle().await;
        let failure = world.view("a").last_failure.unwrap().failure;
        assert_eq!((failure.phase, failure.text.as_str()), (Phase::Declared, "the connection is torn"));
        assert_eq!(next.await, Ok((1, 2)), "nothing more is handled by the failed instance");
        assert!(rope.lines().contains(&"a: stopped failed".to_owned()));
    });
}

fn stuck_in(limit: Duration) -> Policy {
    Policy { stuck_after: Some(limit), ..exact() }
}

#[test]
fn stuck_by_progress_is_a_failure() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        pass(secs(100)).await;
        child.tell(Do::it(|_, cx| drop(cx.wait(pending::<()>(), |_, (), _| ())))).unwrap();
        let queued = child.ask(Add(1));
        pass(secs(10) - millis(1)).await;
        assert_eq!(child.status(), NodeState::Running);
        pass(millis(2)).await;
        assert_eq!(child.status(), NodeState::Backoff);
        let failure = world.view("a").last_failure.unwrap().failure;
        assert_eq!(failure.phase, Phase::Stuck);
        assert!(failure.text.contains("1 messages queued and 1 futures in flight"), "{failure}");
        assert_eq!(queued.await, Ok((1, 2)));
    });
}

#[test]
fn a_beating_future_is_not_stuck() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        let order = Do::it(|_, cx| {
            let heart = cx.heartbeat();
            let work = async move {
                for _ in 0..20 {
                    tokio::time::sleep(secs(9)).await;
                    heart.beat();
                }
            };
            cx.spawn(work, |puppet, (), _| puppet.sum = 5);
        });
        child.tell(order).unwrap();
        pass(secs(181)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((6, 1)));
    });
}

/// In so many seconds from now it has not failed; and right after it has, for want of progress.
async fn is_stuck_after(world: &World, child: &ChildRef<Puppet>, limit: Duration) {
    pass(limit - millis(1)).await;
    assert_eq!(child.status(), NodeState::Running);
    pass(millis(2)).await;
    assert_eq!(child.status(), NodeState::Backoff);
    assert_eq!(world.view("a").last_failure.unwrap().failure.phase, Phase::Stuck);
}

#[test]
fn a_hung_future_is_stuck_though_timers_tick_and_messages_flow() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        let order = Do::it(|_, cx| {
            cx.every(millis(500), |puppet, cx| {
                puppet.sum += 1;
                drop(cx.spawn(tokio::time::sleep(millis(300)), |puppet, (), _| puppet.sum += 1));
            });
            cx.stream(
                futures_util::stream::repeat(()).then(|()| tokio::time::sleep(millis(700))),
                |_, (), _| (),
                |_, _| (),
            );
            drop(cx.spawn(pending::<()>(), |_, (), _| ()));
        });
        child.tell(order).unwrap();
        for _ in 0..8 {
            pass(secs(1)).await;
            child.ask(Add(1)).await.unwrap();
        }
        is_stuck_after(&world, &child, secs(2)).await;
    });
}

#[test]
fn a_future_that_beats_answers_for_no_other() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        let beats = || {
            Do::it(|_, cx| {
                let heart = cx.heartbeat();
                let work = async move {
                    loop {
                        tokio::time::sleep(secs(3)).await;
                        heart.beat();
                    }
                };
                drop(cx.spawn(work, |_, (), _| ()));
            })
        };
        child.tell(beats()).unwrap();
        pass(secs(100)).await;
        child.tell(Do::it(|_, cx| drop(cx.spawn(pending::<()>(), |_, (), _| ())))).unwrap();
        child.tell(beats()).unwrap();
        is_stuck_after(&world, &child, secs(10)).await;
    });
}

#[test]
fn progress_that_is_told_from_outside_is_that_of_all_work() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        child.tell(Do::it(|_, cx| drop(cx.spawn(pending::<()>(), |_, (), _| ())))).unwrap();
        for _ in 0..10 {
            pass(secs(9)).await;
            child.tell(Do::it(|_, cx| cx.progress())).unwrap();
        }
        is_stuck_after(&world, &child, secs(10)).await;
    });
}

#[test]
fn work_that_follows_on_work_is_judged_by_its_own_time() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        let order = Do::it(|_, cx| {
            cx.every(secs(3), |_, cx| {
                drop(cx.spawn(tokio::time::sleep(millis(9_999)), |puppet, (), _| puppet.sum += 1));
            });
        });
        child.tell(order).unwrap();
        pass(secs(100)).await;
        assert_eq!(
            child.ask(Add(0)).await,
            Ok((30, 1)),
            "something was in flight all the time, nothing for long"
        );
    });
}

#[test]
fn what_a_suspension_held_is_not_stuck_when_it_goes_on() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        child.tell(Do::it(|_, cx| drop(cx.spawn(pending::<()>(), |_, (), _| ())))).unwrap();
        settle().await;
        world.runtime.tree().suspend(child.path()).unwrap();
        pass(secs(100)).await;
        world.runtime.tree().resume(child.path()).unwrap();
        is_stuck_after(&world, &child, secs(10)).await;
    });
}

#[test]
fn an_idle_child_is_never_stuck() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(1)))).await;
        let order = Do::it(|_, cx| {
            cx.after(secs(500), |puppet, _| puppet.sum += 1);
            cx.serve(pending::<()>(), |_, (), _| ());
        });
        child.tell(order).unwrap();
        pass(secs(600)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((2, 1)));
    });
}

#[test]
fn a_vigil_is_judged_even_when_idle() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(stuck_in(secs(10)))).await;
        let order = Do::it(|_, cx| {
            cx.vigil(true);
            // That its clock ticks says nothing.
            cx.every(secs(1), |_, _| ());
        });
        child.tell(order).unwrap();
        pass(secs(5)).await;
        child.tell(Do::it(|_, cx| cx.progress())).unwrap();
        pass(secs(9)).await;
        assert_eq!(child.status(), NodeState::Running);
        pass(secs(2)).await;
        assert_eq!(world.view("a").last_failure.unwrap().failure.phase, Phase::Stuck);
    });
}
