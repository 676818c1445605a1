//! The threads on which children live: shards, each an arbiter with its own runtime and timers.
//!
//! Shard 0 is the thread that made the runtime; supervisors and children without a key live there. A child with a key
//! lives on the shard that its key falls on, so that children of one key share a thread and hop nowhere. The shard is no
//! part of a child's path, and nothing about a child depends on it but where its code runs.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
    time::Duration,
};

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::runtime::{Builder, Handle};

use super::node::lock;

/// How long the end of a runtime waits for its threads; one that a child blocks is left behind.
const JOIN_WAIT: Duration = Duration::from_secs(1);

/// What a thread is at, for a watchdog on another one.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Number of the child in whose code it is, plus one; 0 between children.
    inside: AtomicU64,
    /// Grows with each turn of a child.
    turns: AtomicU64,
}

impl Pulse {
    /// A child has its turn.
    pub(crate) fn enter(&self, child: u64) {
        // One thread writes: no need to add atomically.
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.inside.store(child.wrapping_add(1), Ordering::Release);
    }

    /// It gave the thread back.
    pub(crate) fn leave(&self) {
        self.inside.store(0, Ordering::Release);
    }

    /// The turn that is under way: its number, and the child's.
    pub(crate) fn now(&self) -> Option<(u64, u64)> {
        let child = self.inside.load(Ordering::Acquire).checked_sub(1)?;
        Some((self.turns.load(Ordering::Relaxed), child))
    }
}

/// One thread.
#[derive(Debug)]
struct Shard {
    arbiter: ArbiterHandle,
    thread: OnceLock<ThreadId>,
    pulse: Pulse,
}

/// All threads of one runtime; they end with it.
#[derive(Debug)]
pub(crate) struct Shards {
    all: Vec<Shard>,
    own: Mutex<Vec<Arbiter>>,
}

impl Shards {
    /// The thread of `home`, which is this one, and as many more as it takes.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn new(home: ArbiterHandle, count: NonZeroUsize) -> std::io::Result<Self> {
        let mut all = vec![Shard {
            arbiter: home,
            thread: OnceLock::from(thread::current().id()),
            pulse: Pulse::default(),
        }];
        let mut own = Vec::new();
        for _ in 1..count.get() {
            let runtime = || Builder::new_current_thread().enable_all().build();
            let arbiter = Arbiter::try_with_tokio_rt(runtime)?;
            all.push(Shard { arbiter: arbiter.handle(), thread: OnceLock::new(), pulse: Pulse::default() });
            own.push(arbiter);
        }
        Ok(Self { all, own: Mutex::new(own) })
    }

    pub(crate) const fn count(&self) -> usize {
        self.all.len()
    }

    /// Where a child with this key lives.
    pub(crate) fn of(&self, key: Option<u64>) -> u16 {
        let Some(key) = key else { return 0 };
        let count = u64::try_from(self.all.len()).unwrap_or(u64::MAX).max(1);
        u16::try_from(key % count).unwrap_or(0)
    }

    pub(crate) fn pulse(&self, shard: u16) -> Option<&Pulse> {
        self.all.get(usize::from(shard)).map(|shard| &shard.pulse)
    }

    /// Runs `work` on a shard's thread; false when that thread is gone.
    pub(crate) fn run(&self, shard: u16, work: impl FnOnce() + Send + 'static) -> bool {
        let Some(shard) = self.all.get(usize::from(shard)) else { return false };
        let here = shard.thread.get().is_some_and(|thread| *thread == thread::current().id());
        // On that thread, but outside of its runtime, nothing can be spawned directly.
        if here && Handle::try_current().is_ok() {
            work();
            return true;
        }
        shard.arbiter.spawn_fn(work)
    }
}

impl Shards {
    /// Ends the threads that were made for this runtime; waits for them no longer than [`JOIN_WAIT`].
    pub(crate) fn end(&self) {
        let own = std::mem::take(&mut *lock(&self.own));
        if own.is_empty() {
            return;
        }
        for arbiter in &own {
            arbiter.stop();
        }
        let (done, all_ended) = mpsc::channel();
        let joiner = thread::Builder::new().name("shards' end".to_owned()).spawn(move || {
            let ended = own.into_iter().map(Arbiter::join).filter(Result::is_ok).count();
            let _nobody_waits_any_more = done.send(ended);
        });
        if joiner.is_err() || all_ended.recv_timeout(JOIN_WAIT).is_err() {
            tracing::warn!("threads of the runtime are left behind: a child blocks them");
        }
    }
}
