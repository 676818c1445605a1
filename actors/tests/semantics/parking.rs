//! Parked children: refusal, un-parking by an admin, half-open attempts.

use switchyard_actors::supervision::{
    AskError, ChildRef, Happening, Intensity, NodeState, ParkCause, Policy, Probe, Refusal, TellError,
    Unparker,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Puppet, Rope, Script, puppet},
};

/// Three failures in a row park it; ten messages wait behind them.
async fn parked(
    policy: Policy,
) -> (World, ChildRef<Puppet>, Rope, Vec<switchyard_actors::supervision::Ask<(u64, u64)>>) {
    let rope = Rope::default();
    let policy = Policy { intensity: Intensity::new(2, secs(60)), ..policy };
    let (world, child) = World::with(puppet("a", &rope).policy(policy)).await;
    for _ in 0..3 {
        child.tell(Poison).unwrap();
    }
    let queued = (0..10).map(|n| child.ask(Add(n))).collect();
    pass(secs(4)).await;
    assert_eq!(child.status(), NodeState::Parked);
    (world, child, rope, queued)
}

#[test]
fn s17_a_parked_child_refuses_and_hands_back() {
    run(async {
        let (_world, child, _rope, _queued) = parked(exact()).await;
        let depth = child.depth();
        let refused = child.tell(Add(77)).unwrap_err();
        assert!(matches!(refused, TellError::Parked(Add(77))));
        assert_eq!(child.ask(Add(1)).await, Err(AskError::Refused(Refusal::Parked)));
        assert_eq!((child.depth(), depth), (10, 10));
    });
}

#[test]
fn s18_admin_restart_unparks_at_once_and_answers_the_queue() {
    run(async {
        let (world, child, _rope, queued) = parked(exact()).await;
        pass(secs(30)).await;
        assert_eq!(child.status(), NodeState::Parked, "nothing but an admin starts it");
        let before = tokio::time::Instant::now();
        world.restart("a");
        let mut sum = 0;
        for (n, answer) in (0..10).zip(queued) {
            sum += n;
            assert_eq!(answer.await, Ok((sum, 4)));
        }
        assert_eq!(before.elapsed(), millis(0));
        let view = world.view("a");
        assert_eq!((view.state, view.restarts_in_window, view.reason), (NodeState::Running, 0, None));
        assert_eq!(world.sink.count("a", |what| *what == Happening::Unparked { by: Unparker::Admin }), 1);
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.status(), NodeState::Running, "its failures are forgotten");
    });
}

#[test]
fn s19_a_probe_makes_one_attempt_and_doubles() {
    run(async {
        let probe = Some(Probe { interval: secs(100), cap: secs(300) });
        let (world, child, rope, queued) = parked(Policy { probe, ..exact() }).await;
        rope.loads([Script::Retry]);
        let parked_for = |want: u64| {
            let Some(Happening::Parked { probe_in, .. }) = world.sink.of("a").pop() else { panic!() };
            assert_eq!(probe_in, Some(secs(want)));
        };
        // Parked 1 s ago: the third failure came 3 s after the first.
        parked_for(100);
        let epoch = child.epoch();
        pass(secs(99) - millis(1)).await;
        assert_eq!(child.epoch(), epoch);
        pass(millis(1)).await;
        assert_eq!((child.epoch(), child.status()), (epoch + 1, NodeState::Parked), "exactly one attempt");
        parked_for(200);
        pass(secs(200)).await;
        assert_eq!((child.epoch(), child.status()), (epoch + 2, NodeState::Parked));
        parked_for(300);
        pass(secs(300)).await;
        parked_for(300);
        rope.loads([Script::Ready]);
        pass(secs(300)).await;
        assert_eq!((child.epoch(), child.status()), (epoch + 4, NodeState::Running));
        assert_eq!(world.sink.count("a", |what| *what == Happening::Unparked { by: Unparker::Probe }), 1);
        for answer in queued {
            assert!(answer.await.is_ok());
        }
        // Half-open until it has been up for long enough: the next failure parks it at once.
        child.tell(Poison).unwrap();
        settle().await;
        assert!(matches!(world.sink.of("a").pop(), Some(Happening::Parked { cause: ParkCause::Probe, .. })));
        pass(secs(300)).await;
        assert_eq!(child.status(), NodeState::Running);
        pass(secs(120)).await;
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.status(), NodeState::Running, "closed again: a failure is only a failure");
    });
}

#[test]
fn a_probe_is_made_before_its_time_when_it_is_asked_for() {
    run(async {
        let probe = Some(Probe { interval: secs(100), cap: secs(300) });
        let (world, child, rope, queued) = parked(Policy { probe, ..exact() }).await;
        rope.loads([Script::Retry]);
        let epoch = child.epoch();
        assert!(child.probe_now());
        settle().await;
        assert_eq!((child.epoch(), child.status()), (epoch + 1, NodeState::Parked), "it failed");
        pass(secs(199)).await;
        assert_eq!(
            child.epoch(),
            epoch + 1,
            "the probe of before is not made too, the next takes twice as long"
        );
        rope.loads([Script::Ready]);
        assert!(child.probe_now());
        for answer in queued {
            assert!(answer.await.is_ok());
        }
        assert_eq!((child.epoch(), child.status()), (epoch + 2, NodeState::Running));
        assert_eq!(world.sink.count("a", |what| *what == Happening::Unparked { by: Unparker::Probe }), 1);
        assert!(!child.probe_now(), "it is up");
        pass(secs(300)).await;
        assert_eq!(child.epoch(), epoch + 2);
    });
}

#[test]
fn a_child_that_waits_for_an_admin_is_not_probed_when_it_is_asked_for() {
    run(async {
        let (_world, child, rope, _queued) = parked(exact()).await;
        rope.loads([Script::Ready]);
        let epoch = child.epoch();
        assert!(!child.probe_now(), "it has no probe");
        pass(secs(600)).await;
        assert_eq!((child.epoch(), child.status()), (epoch, NodeState::Parked));
        let rope = Rope::default();
        let probe = Some(Probe { interval: secs(1), cap: secs(1) });
        let (_world, child) = World::with(puppet("a", &rope).policy(Policy { probe, ..exact() })).await;
        child.tell(Do::it(|_, cx| cx.park("the session was revoked"))).unwrap();
        settle().await;
        assert!(!child.probe_now(), "it asked to be parked");
        settle().await;
        assert_eq!(child.status(), NodeState::Parked);
    });
}

#[test]
fn asked_parking_waits_for_an_admin() {
    run(async {
        let rope = Rope::default();
        let probe = Some(Probe { interval: secs(1), cap: secs(1) });
        let (world, child) = World::with(puppet("a", &rope).policy(Policy { probe, ..exact() })).await;
        child.tell(Do::it(|_, cx| cx.park("the session was revoked"))).unwrap();
        let queued = child.ask(Add(1));
        pass(secs(600)).await;
        let view = world.view("a");
        assert_eq!(
            (view.state, view.reason.as_deref()),
            (NodeState::Parked, Some("the session was revoked"))
        );
        assert_eq!(view.last_failure, None);
        assert!(rope.lines().contains(&"a: stopped parked".to_owned()));
        world.restart("a");
        assert_eq!(queued.await, Ok((1, 2)));
    });
}
