//! What all children of one runtime share: clocks, seed, sink, directory, counts.

use std::{
    fmt,
    num::NonZeroU64,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    backoff::jitter_key,
    changes::Feeds,
    core::SlotPolicy,
    directory::{Directory, Taken},
    event::{Happening, SupervisionEvent, SupervisionSink},
    log_book::LogBook,
    node::{Node, lock},
    panics,
    path::ChildPath,
    reference::AnyChild,
    runtime::RuntimeConfig,
    scan::Scan,
    shards::Shards,
    spec::Policy,
    tally::Tallies,
    watchdog::Stall,
};

/// The injected wall clock.
pub type WallClock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A moment in eight bytes: nanoseconds since the runtime was made (of which there are 584 years), and one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(NonZeroU64);

/// See the module.
pub(crate) struct World {
    pub(crate) config: RuntimeConfig,
    pub(crate) tallies: Tallies,
    pub(crate) log_book: LogBook,
    pub(crate) events_lost: AtomicU64,
    pub(crate) feeds: Feeds,
    clock: WallClock,
    sink: Arc<dyn SupervisionSink>,
    origin: Instant,
    pub(crate) shards: Shards,
    pub(crate) stalls: Mutex<Vec<Stall>>,
    ids: AtomicU64,
    directory: Mutex<Directory>,
    pub(crate) draining: AtomicBool,
    unfinished: Mutex<Vec<ChildPath>>,
    runners: AtomicUsize,
    idle: Notify,
    killed: watch::Sender<bool>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("config", &self.config).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(
        config: RuntimeConfig,
        clock: WallClock,
        sink: Arc<dyn SupervisionSink>,
        shards: Shards,
    ) -> Arc<Self> {
        Arc::new(Self {
            log_book: LogBook::new(config.log_window, config.log_signatures_max),
            config,
            tallies: Tallies::default(),
            events_lost: AtomicU64::new(0),
            feeds: Feeds::default(),
            clock,
            sink,
            origin: Instant::now(),
            shards,
            stalls: Mutex::default(),
            ids: AtomicU64::new(0),
            directory: Mutex::new(Directory::default()),
            draining: AtomicBool::new(false),
            unfinished: Mutex::new(Vec::new()),
            runners: AtomicUsize::new(0),
            idle: Notify::new(),
            killed: watch::Sender::new(false),
        })
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn wall(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Time since the runtime was made.
    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn instant(&self, moment: Duration) -> Instant {
        self.origin + moment
    }

    pub(crate) fn moment(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.origin)
    }

    pub(crate) fn stamp(&self, instant: Instant) -> Stamp {
        let nanos = u64::try_from(self.moment(instant).as_nanos()).unwrap_or(u64::MAX);
        Stamp(NonZeroU64::MIN.saturating_add(nanos))
    }

    pub(crate) fn stamped(&self, stamp: Stamp) -> Instant {
        self.instant(Duration::from_nanos(stamp.0.get().saturating_sub(1)))
    }

    /// What decisions need of a policy.
    pub(crate) fn slot_policy(&self, policy: &Policy, path: &ChildPath) -> SlotPolicy {
        SlotPolicy {
            restart: policy.restart,
            backoff: policy.backoff,
            intensity: policy.intensity,
            probe: policy.probe,
            significant: policy.significant,
            jitter_key: jitter_key(self.config.seed, path.as_str()),
        }
    }

    /// Counts an event, logs it and hands it to the sink, whose panic is contained.
    pub(crate) fn emit(&self, node: &Node, what: Happening) {
        self.emit_at(node, what, self.wall());
    }

    /// As [`emit`](Self::emit), of something that happened then.
    pub(crate) fn emit_at(&self, node: &Node, what: Happening, at: DateTime<Utc>) {
        node.tally().happened(&what);
        let event = SupervisionEvent { at, path: node.path.clone(), kind: node.kind().into(), what };
        self.log_book.write(&event, node);
        if let Err(caught) = panics::catch(|| self.sink.record(&event)) {
            self.events_lost.fetch_add(1, Ordering::Relaxed);
            self.log_book.sink_panicked(&caught, node);
        }
    }

    /// Puts a child on the directory, see [`Directory::insert`]. What is answered is to be dropped outside of all locks:
    /// foreign code may run in its drop.
    pub(crate) fn list(
        &self,
        listed: AnyChild,
        stays: &dyn Fn(&AnyChild) -> bool,
    ) -> Result<Vec<AnyChild>, Taken> {
        lock(&self.directory).insert(listed, stays)
    }

    /// Takes a child and everything below it off the directory.
    pub(crate) fn unlist(&self, node: &Node) {
        let gone = lock(&self.directory).remove(node);
        drop(gone);
    }

    pub(crate) fn find(&self, path: &ChildPath) -> Option<AnyChild> {
        lock(&self.directory).find(path)
    }

    /// A child by its number; looks at all of them.
    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<Node>> {
        let mut found = None;
        self.walk(&ChildPath::root(), |listed| {
            if listed.node().id == id {
                found = Some(Arc::clone(listed.node()));
            }
        });
        found
    }

    /// The next slice of a scan, see [`Directory::slice`]: the directory is locked for that long only.
    pub(crate) fn slice(&self, scan: &mut Scan, visit: &mut dyn FnMut(&AnyChild) -> bool) -> bool {
        lock(&self.directory).slice(scan, visit)
    }

    /// Everything at or below a path, in slices.
    pub(crate) fn walk(&self, branch: &ChildPath, mut visit: impl FnMut(&AnyChild)) {
        let mut scan = Scan::new(branch, None, None);
        let mut visit = |listed: &AnyChild| {
            visit(listed);
            true
        };
        while self.slice(&mut scan, &mut visit) {}
    }

    /// Supervisors and direct children of the root.
    pub(crate) fn pillars(&self) -> Vec<AnyChild> {
        lock(&self.directory).pillars()
    }

    pub(crate) fn clear(&self) {
        // They hold their nodes, which hold this.
        lock(&self.stalls).clear();
        let directory = std::mem::take(&mut *lock(&self.directory));
        drop(directory);
    }

    /// A child was cut off. Only a drain asks for them: whatever was cut off before has nothing to do with it.
    pub(crate) fn left_unfinished(&self, path: ChildPath) {
        if self.draining.load(Ordering::Acquire) {
            lock(&self.unfinished).push(path);
        }
    }

    pub(crate) fn take_unfinished(&self) -> Vec<ChildPath> {
        std::mem::take(&mut *lock(&self.unfinished))
    }

    /// Children that are in service: those that a thread was left behind with.
    pub(crate) fn left_behind(&self) -> Vec<ChildPath> {
        let mut alive = Vec::new();
        self.walk(&ChildPath::root(), |listed| {
            if !listed.node().is_branch() && !listed.node().state().is_out_of_service() {
                alive.push(listed.node().path.clone());
            }
        });
        alive
    }

    pub(crate) fn runner_made(&self) {
        self.runners.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn runner_gone(&self) {
        if self.runners.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    /// Waits until no runner is left.
    pub(crate) async fn all_gone(&self) {
        loop {
            let notified = self.idle.notified();
            if self.runners.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// From now on nobody waits for a child that does not end.
    pub(crate) fn kill(&self) {
        self.killed.send_replace(true);
    }

    /// Waits until everything was killed.
    pub(crate) async fn killed(&self) {
        let mut killed = self.killed.subscribe();
        // The sender lives in here, so that there is no error.
        let _true = killed.wait_for(|killed| *killed).await;
    }
}
