//! Bounds, handles, asks, fairness, threads.

use std::{
    collections::HashSet,
    future::pending,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    thread,
};

use switchyard_actors::supervision::{
    AskError, BranchSpec, ChildPath, NodeState, Policy, Recipient, TellError,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Hold, Later, Loop, Poison, Puppet, Rope, puppet},
};

fn bounded(limit: usize) -> Policy {
    Policy { mailbox: NonZeroUsize::new(limit).unwrap(), ..exact() }
}

fn block() -> Do {
    Do::it(|_, cx| drop(cx.wait(pending::<()>(), |_, (), _| ())))
}

#[test]
fn s32_the_mailbox_bound_holds_through_clones() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(bounded(10))).await;
        child.tell(block()).unwrap();
        settle().await;
        let outcomes: Vec<_> = (0..25).map(|n| child.clone().tell(Add(n))).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
        for (n, outcome) in (0..).zip(outcomes).skip(10) {
            assert!(matches!(outcome, Err(TellError::Full(Add(back))) if back == n));
        }
        assert!(child.recipient::<Add>().tell(Add(1)).is_err(), "a recipient has no place of its own");
        assert_eq!(child.depth(), 10);
        world.restart("a");
        settle().await;
        assert_eq!(child.depth(), 0, "handled by the next instance");
        assert_eq!(rope.lines().iter().filter(|line| line.contains("add")).count(), 10);
        child.tell(block()).unwrap();
        child.tell(Poison).unwrap();
        child.tell(Add(1)).unwrap();
        settle().await;
        world.restart("a");
        pass(secs(1)).await;
        assert_eq!(child.depth(), 0, "after a crash");
    });
}

#[test]
#[expect(
    clippy::mutable_key_type,
    reason = "a handle's hash is its id, which never changes: that is what is tested"
)]
fn s33_handles_stay_valid_through_a_hundred_restarts() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let (clone, recipient): (_, Recipient<Add>) = (child.clone(), child.recipient());
        let handles: HashSet<_> = [child.clone()].into();
        for n in 0..100 {
            if n % 2 == 0 {
                child.tell(Poison).unwrap();
                settle().await;
            }
            world.restart("a");
            settle().await;
        }
        assert!(child.epoch() > 100);
        assert_eq!(clone, child);
        assert_eq!(recipient, child.recipient());
        assert!(handles.contains(&clone));
        assert_eq!(clone.ask(Add(1)).await.unwrap().0, 1);
        assert_eq!(recipient.ask(Add(1)).await.unwrap().0, 2);
        assert_eq!(world.runtime.tree().find::<Puppet>(child.path()), Some(clone));
    });
}

#[test]
fn s34_a_new_child_of_an_old_id_is_another_child() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let (one, two) = (Rope::default(), Rope::default());
        let old = branch.add(puppet("a", &one)).unwrap();
        world.runtime.start().await;
        assert!(branch.remove("a").await);
        let new = branch.add(puppet("a", &two)).unwrap();
        settle().await;
        assert_ne!(old, new);
        assert_eq!(old.path(), new.path());
        assert!(matches!(old.tell(Add(1)), Err(TellError::Stopped(Add(1)))));
        assert_eq!(branch.get::<Puppet>("a"), Some(new.clone()));
        assert_eq!(world.runtime.tree().find(&ChildPath::parse("x/a").unwrap()), Some(new.clone()));
        assert_eq!(new.ask(Add(1)).await, Ok((1, 1)));
        assert!(!one.lines().contains(&"a: add 1".to_owned()));
    });
}

#[test]
fn every_ask_ends() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        assert_eq!(child.ask(Hold { keep: false }).await, Err(AskError::NoAnswer));
        let kept = child.ask(Hold { keep: true });
        settle().await;
        child.tell(Poison).unwrap();
        assert_eq!(kept.await, Err(AskError::ChildCrashed { epoch: 1 }), "died with the state that held it");
        pass(secs(1)).await;
        let kept = child.ask(Hold { keep: true });
        settle().await;
        world.restart("a");
        assert_eq!(kept.await, Err(AskError::Stopped), "a graceful end is no crash");
        let late = child.ask_within(millis(100), Later(secs(1), false)).await;
        assert_eq!(late, Err(AskError::TimedOut(millis(100))));
        child.tell(Do::it(|_, cx| cx.park("asked"))).unwrap();
        let queued = child.ask(Add(1));
        settle().await;
        world.runtime.kill();
        assert_eq!(queued.await, Err(AskError::Stopped));
        assert_eq!(child.status(), NodeState::Stopped);
    });
}

#[test]
fn a_child_that_tells_itself_does_not_starve_its_neighbours() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        let busy = world.runtime.root().add(puppet("a", &rope)).unwrap();
        let sibling = world.runtime.root().add(puppet("b", &Rope::default())).unwrap();
        world.runtime.start().await;
        busy.tell(Do::it(|_, cx| drop(cx.after(millis(5), |puppet, _| puppet.sum = 1_000_000)))).unwrap();
        busy.tell(Loop).unwrap();
        for n in 1..=5 {
            assert_eq!(sibling.ask(Add(1)).await, Ok((n, 1)));
        }
        // Its own timers go on too. The clock stands still while it spins, so time is moved by hand.
        tokio::time::advance(millis(6)).await;
        settle().await;
        assert!(busy.ask(Add(0)).await.unwrap().0 >= 1_000_000);
    });
}

#[test]
fn children_are_added_and_asked_from_another_thread() {
    run(async {
        let world = World::new();
        world.runtime.start().await;
        let (root, tree) = (world.runtime.root(), world.runtime.tree());
        let (told, hears) = tokio::sync::oneshot::channel();
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        let worker = thread::spawn(move || {
            let child = root.add(puppet("a", &Rope::default())).unwrap();
            child.tell(Add(1)).unwrap();
            let answer = child.ask(Add(2));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            *slot.lock().unwrap() = Some(runtime.block_on(answer));
            tree.restart(child.path()).unwrap();
            told.send(child).unwrap();
        });
        let child = hears.await.unwrap();
        worker.join().unwrap();
        assert_eq!(outcome.lock().unwrap().take(), Some(Ok((3, 1))));
        settle().await;
        assert_eq!(child.ask(Add(1)).await, Ok((1, 2)));
    });
}

/// Real threads and real time: it waits for conditions only.
#[test]
fn s32_many_threads_tell_one_child_and_nothing_is_lost_or_doubled() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_000;
    let system = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    system.block_on(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope).policy(bounded(16))).await;
        let tellers: Vec<_> = (0..THREADS)
            .map(|_| {
                let child = child.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        while child.tell(Add(1)).is_err() {
                            tokio::task::yield_now().await;
                        }
                        assert!(child.depth() <= 16);
                    }
                })
            })
            .collect();
        for teller in tellers {
            teller.await.unwrap();
        }
        // The last of them may have filled the mailbox.
        while child.depth() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(child.ask(Add(0)).await, Ok((THREADS * EACH, 1)));
        assert!(world.runtime.drain(secs(30)).await.is_clean());
        assert_eq!(child.depth(), 0);
    });
}

#[test]
fn a_runtime_needs_a_system() {
    let made = switchyard_actors::supervision::Runtime::new(
        switchyard_actors::supervision::RuntimeConfig::default(),
        Arc::new(chrono::DateTime::<chrono::Utc>::default),
        Arc::new(switchyard_actors::supervision::NoSink),
    );
    assert!(made.is_err());
}

#[test]
fn two_systems_live_side_by_side() {
    run(async {
        let (one, two) = (World::new(), World::new());
        let a = one.runtime.root().add(puppet("a", &Rope::default())).unwrap();
        let b = two.runtime.root().add(puppet("a", &Rope::default())).unwrap();
        one.runtime.start().await;
        two.runtime.start().await;
        a.tell(Poison).unwrap();
        settle().await;
        assert_eq!((a.status(), b.status()), (NodeState::Backoff, NodeState::Running));
        assert_ne!(a, b);
        drop(one);
        settle().await;
        assert_eq!((a.status(), b.ask(Add(1)).await), (NodeState::Stopped, Ok((1, 1))));
    });
}
