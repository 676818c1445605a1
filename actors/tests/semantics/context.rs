//! Timers, futures, streams, tokens, suspension.

use futures_util::stream;
use switchyard_actors::supervision::NodeState;

use crate::{
    bench::{World, millis, pass, run, secs, settle},
    puppet::{Add, Do, Later, Poison, Rope, puppet},
};

#[test]
fn timers_futures_and_streams_run() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope)).await;
        let order = Do::it(|_, cx| {
            cx.every(millis(10), |puppet, _| puppet.sum += 1);
            cx.after(millis(25), |puppet, _| puppet.sum += 100);
            cx.spawn(async { 1_000 }, |puppet, n, _| puppet.sum += n);
            cx.stream(
                stream::iter(0..200),
                |puppet, _, _| puppet.sum += 10_000,
                |puppet, _| puppet.sum += 1_000_000_000,
            );
        });
        child.tell(order).unwrap();
        pass(millis(35)).await;
        assert_eq!(child.ask(Add(0)).await, Ok((1_002_001_103, 1)));
    });
}

#[test]
fn a_wait_holds_the_mailbox_until_it_is_done() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope)).await;
        child
            .tell(Do::it(|_, cx| drop(cx.wait(tokio::time::sleep(secs(3)), |puppet, (), _| puppet.sum = 40))))
            .unwrap();
        let before = tokio::time::Instant::now();
        assert_eq!(child.ask(Add(2)).await, Ok((42, 1)));
        assert_eq!(before.elapsed(), secs(3));
    });
}

#[test]
fn a_deferred_answer_arrives() {
    run(async {
        let (_world, child) = World::with(puppet("a", &Rope::default())).await;
        let slow = child.ask(Later(secs(3), false));
        assert_eq!(child.ask(Add(1)).await, Ok((1, 1)), "the mailbox goes on meanwhile");
        assert_eq!(slow.await, Ok(7));
    });
}

#[test]
fn a_token_cancels_only_its_own() {
    run(async {
        let (_world, child) = World::with(puppet("a", &Rope::default())).await;
        let order = Do::it(|_, cx| {
            let doomed = cx.every(millis(10), |puppet, _| puppet.sum += 1);
            let spared = cx.every(millis(10), |puppet, _| puppet.sum += 1_000);
            cx.after(millis(35), move |_, _| {
                doomed.cancel();
                assert!(doomed.is_over() && !spared.is_over());
            });
        });
        child.tell(order).unwrap();
        pass(millis(105)).await;
        assert_eq!(child.ask(Add(0)).await, Ok((10_003, 1)));
    });
}

#[test]
fn s37_timers_and_futures_die_with_their_instance() {
    run(async {
        let rope = Rope::default();
        let (_world, child) = World::with(puppet("a", &rope)).await;
        let order = Do::it(|_, cx| {
            cx.every(millis(300), |puppet, _| puppet.sum += 1);
            cx.after(millis(1_500), |puppet, _| puppet.sum += 10);
            cx.spawn(tokio::time::sleep(millis(1_500)), |puppet, (), _| puppet.sum += 100);
            cx.serve(tokio::time::sleep(millis(1_500)), |puppet, (), _| puppet.sum += 1_000);
        });
        child.tell(order).unwrap();
        child.tell(Poison).unwrap();
        pass(secs(60)).await;
        assert_eq!(child.ask(Add(0)).await, Ok((0, 2)));
    });
}

#[test]
fn s37_a_cancel_before_a_crash_spares_the_next_instance() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        // actix itself would now cancel the first timer of the next instance.
        let order = Do::it(|_, cx| {
            cx.every(millis(10), |_, _| ()).cancel();
            panic!("right after the cancel");
        });
        child.tell(order).unwrap();
        child.tell(Do::it(|_, cx| drop(cx.every(millis(10), |puppet, _| puppet.sum += 1)))).unwrap();
        pass(millis(1_055)).await;
        assert_eq!(child.ask(Add(0)).await, Ok((5, 2)));
        assert_eq!(world.view("a").state, NodeState::Running);
    });
}

#[test]
fn s36_a_suspended_child_holds_everything() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Do::it(|_, cx| drop(cx.every(secs(1), |puppet, _| puppet.sum += 1_000)))).unwrap();
        settle().await;
        world.runtime.tree().suspend(child.path()).unwrap();
        settle().await;
        assert_eq!(child.status(), NodeState::Suspended);
        let queued: Vec<_> = (1..4).map(|n| child.ask(Add(n))).collect();
        pass(secs(300)).await;
        assert_eq!(child.depth(), 3);
        world.runtime.tree().resume(child.path()).unwrap();
        let sums: Vec<_> =
            futures_util::future::join_all(queued).await.into_iter().map(|a| a.unwrap().0).collect();
        assert_eq!(sums, [1, 3, 6], "in order, before the timer's next tick");
        pass(secs(1)).await;
        assert!(child.ask(Add(0)).await.unwrap().0 <= 2_006, "missed ticks are not made up for");
    });
}
