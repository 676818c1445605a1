//! A panic anywhere is caught, recorded with its place, and harms nobody else.

use std::future::Future;

use switchyard_actors::supervision::{AskError, ChildRef, Failure, Happening, NodeState, Phase};

use crate::{
    bench::{World, millis, pass, run, secs, settle},
    puppet::{Add, Bomb, Do, Later, Poison, Puppet, Rope, Script, puppet},
};

/// Runs `provoke` on a child beside a sibling; both must answer afterwards.
fn survives<F: Future<Output = ()>>(
    prepare: impl Fn(&Rope),
    provoke: impl Fn(ChildRef<Puppet>) -> F,
) -> Vec<Failure> {
    run(async move {
        let world = World::new();
        let rope = Rope::default();
        prepare(&rope);
        let child = world.runtime.root().add(puppet("a", &rope)).unwrap();
        let sibling = world.runtime.root().add(puppet("b", &Rope::default())).unwrap();
        world.runtime.start().await;
        assert_eq!(sibling.ask(Add(1)).await, Ok((1, 1)));
        provoke(child.clone()).await;
        pass(secs(5)).await;
        assert_eq!(sibling.ask(Add(1)).await, Ok((2, 1)), "the sibling noticed nothing");
        assert!(child.ask(Add(0)).await.is_ok(), "the child is back");
        let failures = world.sink.of("a").into_iter().filter_map(|what| match what {
            Happening::Restarting { failure, .. } => failure,
            Happening::Contained { failure } => Some(failure),
            _ => None,
        });
        failures.collect()
    })
}

fn only(failures: &[Failure], phase: Phase) -> &Failure {
    assert_eq!(failures.iter().map(|failure| failure.phase).collect::<Vec<_>>(), [phase]);
    let failure = &failures[0];
    assert!(
        failure.location.as_ref().is_some_and(|at| at.contains("puppet.rs:") || at.contains("panics.rs:"))
    );
    failure
}

#[test]
fn s05_handler() {
    let failures = survives(
        |_| {},
        |child| async move {
            assert_eq!(child.ask(Poison).await, Err(AskError::ChildCrashed { epoch: 1 }));
        },
    );
    let failure = only(&failures, Phase::Handler);
    assert_eq!((failure.message.as_deref(), failure.text.as_str()), (Some("Poison"), "poisoned"));
}

#[test]
fn s05_timer() {
    let failures = survives(
        |_| {},
        |child| async move {
            child.tell(Do::it(|_, cx| drop(cx.after(millis(5), |_, _| panic!("timer panics"))))).unwrap();
        },
    );
    assert_eq!(only(&failures, Phase::Timer).text, "timer panics");
    let failures = survives(
        |_| {},
        |child| async move {
            child.tell(Do::it(|_, cx| drop(cx.every(millis(5), |_, _| panic!("tick panics"))))).unwrap();
        },
    );
    assert_eq!(only(&failures, Phase::Timer).text, "tick panics");
}

#[test]
fn s05_future() {
    let failures = survives(
        |_| {},
        |child| async move {
            assert_eq!(child.ask(Later(millis(5), true)).await, Err(AskError::ChildCrashed { epoch: 1 }));
        },
    );
    assert_eq!(only(&failures, Phase::Future).text, "future panics");
    let failures = survives(
        |_| {},
        |child| async move {
            let order = Do::it(|_, cx| drop(cx.spawn(async {}, |_, (), _| panic!("continuation panics"))));
            child.tell(order).unwrap();
        },
    );
    assert_eq!(only(&failures, Phase::Future).text, "continuation panics");
}

#[test]
fn s05_stream() {
    let failures = survives(
        |_| {},
        |child| async move {
            let order = Do::it(|_, cx| {
                let items = futures_util::stream::iter([1, 2, 3]);
                cx.stream(items, |_, item, _| assert!(item < 2, "item panics"), |_, _| ());
            });
            child.tell(order).unwrap();
        },
    );
    assert_eq!(only(&failures, Phase::Future).text, "item panics");
}

#[test]
fn s05_started() {
    let failures = survives(|rope| rope.panic_in(&["started"]), |_| async {});
    assert_eq!(only(&failures, Phase::Started).text, "told to panic in started");
}

#[test]
fn s05_load() {
    let failures = survives(|rope| rope.loads([Script::Panic, Script::Ready]), |_| async {});
    assert_eq!(only(&failures, Phase::Load).text, "load panics");
}

#[test]
fn s05_snapshot() {
    let failures = survives(|rope| rope.panic_in(&["snapshot"]), |_| async {});
    only(&failures, Phase::Snapshot);
}

#[test]
fn s05_drain_and_stopped() {
    run(async {
        let rope = Rope::default();
        rope.panic_in(&["drain", "stopped", "drop"]);
        let (world, _child) = World::with(puppet("a", &rope)).await;
        world.restart("a");
        settle().await;
        assert_eq!(world.view("a").epoch, 2, "restarted all the same");
        let phases: Vec<_> = world
            .sink
            .of("a")
            .into_iter()
            .filter_map(|what| match what {
                Happening::Contained { failure } => Some(failure.phase),
                _ => None,
            })
            .collect();
        assert_eq!(phases, [Phase::Drain, Phase::Stopped, Phase::Drop]);
        assert_eq!(world.view("a").state, NodeState::Running);
    });
}

#[test]
fn s05_closing() {
    run(async {
        let rope = Rope::default();
        rope.panic_in(&["closing"]);
        let (world, child) = World::with(puppet("a", &rope)).await;
        let queued = child.ask(Add(1));
        assert!(world.runtime.drain(secs(5)).await.is_clean());
        assert_eq!(queued.await, Ok((1, 1)), "the queue is finished all the same");
        assert_eq!(world.view("a").last_failure.unwrap().failure.phase, Phase::Drain);
        assert!(rope.lines().contains(&"a: drain".to_owned()));
    });
}

#[test]
fn s05_drop_of_a_future() {
    let failures = survives(
        |_| {},
        |child| async move {
            let order = Do::it(|_, cx| {
                for _ in 0..3 {
                    let bomb = Bomb("future");
                    let work = async move {
                        let _held = bomb;
                        std::future::pending::<()>().await;
                    };
                    cx.spawn(work, |_, (), _| ());
                }
                cx.after(millis(5), |_, cx| cx.fail("over"));
            });
            child.tell(order).unwrap();
        },
    );
    let mut phases: Vec<_> = failures.iter().map(|failure| failure.phase).collect();
    assert_eq!(phases.pop(), Some(Phase::Declared));
    assert_eq!(phases, [Phase::Drop, Phase::Drop, Phase::Drop], "each bomb went off, and was contained");
}

#[test]
fn s05_drop_of_a_message() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Do::it(|_, cx| drop(cx.wait(std::future::pending::<()>(), |_, (), _| ())))).unwrap();
        for _ in 0..3 {
            let bomb = Bomb("message");
            child.tell(Do::it(move |_, _| drop(bomb))).unwrap();
        }
        settle().await;
        world.runtime.kill();
        settle().await;
        assert_eq!(child.depth(), 0);
        let contained = world.sink.count(
            "a",
            |what| matches!(what, Happening::Contained { failure } if failure.phase == Phase::Drop),
        );
        assert_eq!(contained, 3);
    });
}

#[test]
fn s06_a_panic_while_stopped_and_drop_panic_too_is_contained() {
    let failures = survives(
        |rope| rope.panic_in(&["stopped", "drop"]),
        |child| async move {
            assert_eq!(child.ask(Poison).await, Err(AskError::ChildCrashed { epoch: 1 }));
        },
    );
    let phases: Vec<_> = failures.iter().map(|failure| failure.phase).collect();
    assert_eq!(phases, [Phase::Stopped, Phase::Drop, Phase::Handler]);
}

#[test]
fn a_payload_that_is_no_text_is_recorded_too() {
    let failures = survives(
        |_| {},
        |child| async move {
            child.tell(Do::it(|_, _| std::panic::panic_any(Bomb("payload")))).unwrap();
        },
    );
    assert_eq!(only(&failures, Phase::Handler).text, "panic with a payload that is no text");
}
