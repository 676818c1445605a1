//! Children on several threads, in real time: where they live, and what one of them does that blocks its own.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use actix_rt::System;
use chrono::DateTime;
use futures_util::future::{self, LocalBoxFuture};
use switchyard_actors::supervision::{
    BranchSpec, Child, ChildPath, ChildRef, ChildSpec, Cx, Handle, Happening, Intensity, LoadEnv, LoadError,
    Loaded, Message, NodeState, Policy, Runtime, RuntimeConfig, StopLimit, SupervisionSink, Tree, Verdict,
};
use tokio::time::Instant;

use crate::bench::{Recorder, exact, millis, secs};

/// Longest wait for what is expected to happen soon.
const DEADLINE: Duration = Duration::from_secs(60);

/// A lock that its holder opens.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Blocks the thread until it is open.
    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

/// A child that says on which thread it lives, counts, and blocks when told to.
struct Worker {
    handled: Arc<AtomicU64>,
}

impl Child for Worker {
    type Args = Arc<AtomicU64>;
    const KIND: &'static str = "worker";

    fn load(handled: Self::Args, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self { handled }))))
    }
}

struct WhereAreYou;
impl Message for WhereAreYou {
    type Reply = ThreadId;
}
impl Handle<WhereAreYou> for Worker {
    fn handle(&mut self, _: WhereAreYou, _: &mut Cx<'_, Self>) -> ThreadId {
        thread::current().id()
    }
}

struct Block(Gate);
impl Message for Block {
    type Reply = ();
}
impl Handle<Block> for Worker {
    fn handle(&mut self, Block(gate): Block, _: &mut Cx<'_, Self>) {
        gate.pass();
    }
}

struct Work {
    fails: bool,
}
impl Message for Work {
    type Reply = ();
}
impl Handle<Work> for Worker {
    fn handle(&mut self, Work { fails }: Work, _: &mut Cx<'_, Self>) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        assert!(!fails, "told to fail");
    }
}

struct Threads {
    runtime: Runtime,
    sink: Arc<Recorder>,
}

impl Threads {
    fn new(shards: usize) -> Self {
        let sink = Arc::new(Recorder::default());
        let recorder: Arc<dyn SupervisionSink> = sink.clone();
        let config = RuntimeConfig {
            shards: NonZeroUsize::new(shards).unwrap(),
            stall_limit: Some(millis(200)),
            ..RuntimeConfig::default()
        };
        Self { runtime: Runtime::new(config, Arc::new(|| DateTime::UNIX_EPOCH), recorder).unwrap(), sink }
    }

    fn tree(&self) -> Tree {
        self.runtime.tree()
    }
}

fn run<F: Future>(test: F) -> F::Output {
    System::new().block_on(test)
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        tokio::time::sleep(millis(5)).await;
    }
}

fn worker(id: &str, key: u64) -> ChildSpec<Worker> {
    let stop = StopLimit { limit: secs(1), reserve: millis(200) };
    ChildSpec::new(id, Arc::default()).shard_key(key).policy(Policy { stop, ..exact() })
}

#[test]
fn children_of_one_key_share_a_thread() {
    run(async {
        let world = Threads::new(3);
        let sessions = world.runtime.root().add_branch(BranchSpec::dynamic("sessions")).unwrap();
        let pairs = world.runtime.root().add_branch(BranchSpec::dynamic("pairs")).unwrap();
        let mut children = Vec::new();
        for user in 0..6_u64 {
            let session = sessions.add(worker(&format!("s{user}"), user)).unwrap();
            let pair = pairs.add(worker(&format!("p{user}"), user)).unwrap();
            children.push((session, pair));
        }
        world.runtime.start().await;
        let mut threads = Vec::new();
        for (session, pair) in &children {
            let (one, other) =
                (session.ask(WhereAreYou).await.unwrap(), pair.ask(WhereAreYou).await.unwrap());
            assert_eq!(one, other, "a session and its pairs");
            threads.push(one);
        }
        assert_eq!(threads[..3], threads[3..], "by the key alone");
        assert_eq!(threads[0], thread::current().id(), "the first shard is this thread");
        threads.sort_by_key(|id| format!("{id:?}"));
        threads.dedup();
        assert_eq!(threads.len(), 3);
        let view = world.tree().view(&ChildPath::parse("pairs/p4").unwrap()).unwrap();
        assert_eq!(view.shard, 1, "operators see it");
        assert!(world.runtime.drain(secs(10)).await.is_clean());
    });
}

#[test]
fn crashes_and_orders_on_all_threads_at_once_lose_nothing() {
    const ORDERS: u64 = 4;
    run(async {
        let world = Threads::new(3);
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let mut policy = exact();
        policy.backoff.base = Duration::ZERO;
        policy.backoff.cap = Duration::ZERO;
        policy.intensity.max_restarts = u32::MAX;
        let counters: Vec<Arc<AtomicU64>> = (0..12).map(|_| Arc::default()).collect();
        let children: Vec<ChildRef<Worker>> = (0..)
            .zip(&counters)
            .map(|(n, counter)| {
                let spec = ChildSpec::new(n.to_string(), Arc::clone(counter));
                branch.add(spec.shard_key(n).policy(policy.clone())).unwrap()
            })
            .collect();
        world.runtime.start().await;
        let tree = world.tree();
        let mut asks = Vec::new();
        let mut accepted = vec![0_u64; children.len()];
        for round in 0..200_u32 {
            for (n, child) in children.iter().enumerate() {
                let fails = round % 10 == 3;
                match child.tell(Work { fails }) {
                    Ok(()) => accepted[n] += 1,
                    Err(refused) => panic!("{refused:?}"),
                }
                if n % 2 == 0 && round % 50 == 7 {
                    let _stopping_or_starting = tree.restart(child.path());
                }
            }
            tokio::task::yield_now().await;
        }
        for child in &children {
            asks.push(child.ask(WhereAreYou));
        }
        for ask in asks {
            ask.await.unwrap();
        }
        for (n, child) in children.iter().enumerate() {
            assert_eq!(counters[n].load(Ordering::Relaxed), accepted[n], "each handled once");
            let view = tree.view(child.path()).unwrap();
            // One that crashes while an admin's restart ends it was going anyway.
            let orders = if n % 2 == 0 { ORDERS } else { 0 };
            assert!((20 - orders..=20).contains(&view.restarts_total), "each crash one restart: {view:?}");
            assert_eq!(view.state, NodeState::Running);
        }
        assert!(world.runtime.drain(secs(10)).await.is_clean());
    });
}

#[test]
fn s28_a_child_that_blocks_its_thread_is_reported_and_the_others_go_on() {
    run(async {
        let world = Threads::new(2);
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let blocker = branch.add(worker("blocker", 1)).unwrap();
        let behind = branch.add(worker("behind", 1)).unwrap();
        let elsewhere = branch.add(worker("elsewhere", 0)).unwrap();
        world.runtime.start().await;
        let gate = Gate::default();
        blocker.tell(Block(gate.clone())).unwrap();
        let waiting = behind.ask(WhereAreYou);
        let stalled = |what: &Happening| matches!(what, Happening::Stalled { shard: 1, .. });
        eventually("the report", || world.sink.count("x/blocker", stalled) == 1).await;
        let health = world.tree().health();
        let red: Vec<_> = health.red.iter().map(|concern| concern.path.as_str()).collect();
        assert_eq!((health.verdict, red), (Verdict::Red, vec!["x/blocker"]), "by name");
        assert_eq!(world.tree().at_work(), [blocker.path().clone()], "whoever asks is told");
        assert!(elsewhere.ask(WhereAreYou).await.is_ok(), "other threads serve");
        gate.open();
        assert!(waiting.await.is_ok());
        let over = |what: &Happening| matches!(what, Happening::StallOver { .. });
        eventually("the end of it", || world.sink.count("x/blocker", over) == 1).await;
        assert_eq!(world.tree().health().verdict, Verdict::Green);
        assert_eq!(world.sink.count("x/blocker", stalled), 1, "said once");
        assert!(world.runtime.drain(secs(10)).await.is_clean());
    });
}

#[test]
fn s28_a_blocked_thread_does_not_block_the_way_out() {
    run(async {
        let world = Threads::new(2);
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let blocker = branch.add(worker("blocker", 1)).unwrap();
        let fine = branch.add(worker("fine", 0)).unwrap();
        let strict = Policy { intensity: Intensity::new(0, secs(60)), ..exact() };
        let parked = branch.add(worker("parked", 1).policy(strict)).unwrap();
        world.runtime.start().await;
        parked.tell(Work { fails: true }).unwrap();
        eventually("the child to be parked", || parked.status() == NodeState::Parked).await;
        let gate = Gate::default();
        blocker.tell(Block(gate.clone())).unwrap();
        let report = world.runtime.drain(millis(500)).await;
        let left: Vec<_> = report.unfinished.iter().map(|path| path.as_str()).collect();
        assert_eq!((left, fine.status()), (vec!["x/blocker"], NodeState::Stopped));
        drop(world);
        gate.open();
    });
}

#[test]
fn s28_a_kill_does_not_wait_for_a_blocked_thread() {
    run(async {
        let world = Threads::new(2);
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let blocker = branch.add(worker("blocker", 1)).unwrap();
        let fine = branch.add(worker("fine", 0)).unwrap();
        world.runtime.start().await;
        let gate = Gate::default();
        blocker.tell(Block(gate.clone())).unwrap();
        let stalled = |what: &Happening| matches!(what, Happening::Stalled { shard: 1, .. });
        eventually("the child to block", || world.sink.count("x/blocker", stalled) == 1).await;
        // The limit lies far beyond what this test waits for.
        let drain = tokio::spawn(world.runtime.drain(DEADLINE * 10));
        eventually("the drain to begin", || fine.status() == NodeState::Stopped).await;
        world.runtime.kill();
        let report = tokio::time::timeout(DEADLINE, drain).await.expect("an end before the limit").unwrap();
        let left: Vec<_> = report.unfinished.iter().map(|path| path.as_str()).collect();
        assert_eq!((left, fine.status()), (vec!["x/blocker"], NodeState::Stopped));
        drop(world);
        gate.open();
    });
}
