//! One supervised system: made once per process in production, as often as wanted in tests.

use std::{
    future::Future,
    io,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_rt::Arbiter;
use thiserror::Error;
use tokio::runtime::Handle;

use super::{
    branch::Branch,
    cell::{AddError, BranchCell},
    core::{CorePolicy, EndHow, Event},
    event::SupervisionSink,
    panics::install_panic_hook,
    path::ChildPath,
    shards::Shards,
    spec::{BranchSpec, Order},
    tree::Tree,
    watchdog::Watchdog,
    world::{WallClock, World},
};

/// How long after its limit, or after a kill, a drain waits for threads that children block.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Numbers of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Seed of all jitter.
    pub seed: u64,
    /// Shortest time between two publications of a child's observable state.
    pub publish_interval: Duration,
    /// Messages a child handles before its neighbours get a turn.
    pub messages_a_turn: NonZeroU32,
    /// Threads on which children live, the one that makes the runtime included. Under a paused clock it must be one:
    /// each thread has a clock of its own.
    pub shards: NonZeroUsize,
    /// A child that does not give its thread back for this long is reported; `None` watches nobody.
    pub stall_limit: Option<Duration>,
    /// Of log lines about failures of one signature only the first in this time is written, and in the end how many more
    /// there were; `None` writes every one.
    pub log_window: Option<Duration>,
    /// Signatures that are told apart in that time; what is beyond counts as one.
    pub log_signatures_max: NonZeroUsize,
}

impl Default for RuntimeConfig {
    /// Seed 0, 250 ms, 64 messages, one thread, nobody watched; of log lines one of a signature in 60 s, 256 signatures.
    fn default() -> Self {
        Self {
            seed: 0,
            publish_interval: Duration::from_millis(250),
            messages_a_turn: NonZeroU32::MIN.saturating_add(63),
            shards: NonZeroUsize::MIN,
            stall_limit: None,
            log_window: Some(Duration::from_secs(60)),
            log_signatures_max: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

/// Why no runtime was made.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// It needs an actix system on this thread, and to be made inside of its `block_on`.
    #[error("no actix system runs on this thread")]
    NoSystem,
    /// The system gave no thread.
    #[error("no thread: {0}")]
    Thread(#[from] io::Error),
    /// The root could not be added.
    #[error(transparent)]
    Root(#[from] AddError),
}

/// What a drain left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Children that were ended by force or lost queued messages or running work, in order of their end.
    pub unfinished: Vec<ChildPath>,
}

impl DrainReport {
    /// True when nothing was cut short.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.unfinished.is_empty()
    }
}

/// A supervised system. Dropping it kills everything in it.
#[derive(Debug)]
pub struct Runtime {
    world: Arc<World>,
    /// The supervisor of the root; not part of the tree.
    origin: Arc<BranchCell>,
    root: Branch,
    _watchdog: Option<Watchdog>,
}

impl Runtime {
    /// Makes a system whose children live on this thread and on as many more as the configuration says. Installs the panic hook if that was not done yet.
    ///
    /// # Errors
    /// [`RuntimeError::NoSystem`] when no actix system runs here; [`RuntimeError::Thread`] without threads.
    pub fn new(
        config: RuntimeConfig,
        clock: WallClock,
        sink: Arc<dyn SupervisionSink>,
    ) -> Result<Self, RuntimeError> {
        install_panic_hook();
        let arbiter = Arbiter::try_current().filter(|_| Handle::try_current().is_ok());
        let arbiter = arbiter.ok_or(RuntimeError::NoSystem)?;
        let shards = Shards::new(arbiter, config.shards)?;
        let world = World::new(config, clock, sink, shards);
        let watchdog = config.stall_limit.map(|limit| Watchdog::start(&world, limit)).transpose()?;
        let origin = BranchCell::new(&world, ChildPath::root(), CorePolicy::new(Order::Concurrent));
        let spec = BranchSpec::ordered(ChildPath::root().as_str()).intensity(None);
        let root = Branch::add_at(&origin, ChildPath::root(), spec, true)?;
        Ok(Self { world, origin, root, _watchdog: watchdog })
    }

    /// The root supervisor: one_for_one, ordered start, reverse drain.
    #[must_use]
    pub fn root(&self) -> Branch {
        self.root.clone()
    }

    /// Starts the tree in order. The future ends when every child of the root had its first attempt.
    pub fn start(&self) -> impl Future<Output = ()> + Send + use<> {
        self.origin.step(Event::Begin);
        self.root.settled()
    }

    /// The view.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree { world: Arc::clone(&self.world) }
    }

    /// Stops the tree in reverse order within `limit`. From the call on nothing is added. The future ends when
    /// the last child is gone, at the latest at the limit or soon after [`kill`](Self::kill); children whose thread is
    /// blocked are left behind a second after either and reported.
    pub fn drain(&self, limit: Duration) -> impl Future<Output = DrainReport> + Send + use<> {
        self.world.draining.store(true, Ordering::Release);
        let deadline = self.world.now().saturating_add(limit);
        self.origin.step(Event::End { how: EndHow::Stop, deadline: Some(deadline) });
        let world = Arc::clone(&self.world);
        async move {
            let gone = tokio::select! {
                biased;
                () = world.all_gone() => true,
                () = patience(&world, limit) => false,
            };
            let mut unfinished = world.take_unfinished();
            if !gone {
                unfinished.extend(world.left_behind());
            }
            world.log_book.close();
            DrainReport { unfinished }
        }
    }

    /// Ends everything at once and calls no child, as OTP's `brutal_kill`: the second signal.
    pub fn kill(&self) {
        self.world.draining.store(true, Ordering::Release);
        self.origin.step(Event::Abandon);
        self.world.kill();
    }
}

/// Ends when a drain has waited long enough: what is left then blocks its thread.
async fn patience(world: &World, limit: Duration) {
    let _either = tokio::time::timeout(limit, world.killed()).await;
    tokio::time::sleep(LEFT_BEHIND).await;
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.kill();
        self.world.log_book.close();
        self.world.clear();
        self.world.shards.end();
    }
}
