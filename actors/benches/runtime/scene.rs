//! The surroundings of a measurement: the actors' thread as the daemon runs it, a runtime, a branch, the process's memory.

use std::{
    fs,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use switchyard_actors::supervision::{
    Branch, BranchSpec, Happening, Runtime, RuntimeConfig, SupervisionEvent, SupervisionSink,
};
use tokio::{runtime::Builder, sync::Notify, time::Instant};

/// The present moment. Nothing here sets tokio's clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A time in microseconds for each of `count`.
pub(crate) fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// The actors' thread as the daemon has it: parked by a runtime of its own, beside another with threads.
pub(crate) fn run_system<F: Future>(future: F) -> F::Output {
    let work = Builder::new_multi_thread().enable_all().build().unwrap();
    let parking = Builder::new_current_thread().build().unwrap();
    let system = actix::System::with_tokio_rt(move || parking);
    system.block_on(async {
        let _entered = work.enter();
        future.await
    })
}

/// Counts starts; whoever waits for a number of them is told.
#[derive(Default)]
pub(crate) struct Starts {
    seen: AtomicUsize,
    wanted: AtomicUsize,
    reached: Notify,
}

impl SupervisionSink for Starts {
    fn record(&self, event: &SupervisionEvent) {
        if let Happening::Started { .. } = event.what {
            let seen = self.seen.fetch_add(1, Ordering::AcqRel) + 1;
            if seen == self.wanted.load(Ordering::Acquire) {
                self.reached.notify_one();
            }
        }
    }
}

/// A running tree with one dynamic branch.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    pub(crate) branch: Branch,
    starts: Arc<Starts>,
}

impl Scene {
    /// Made and started; the branch has no child yet.
    pub(crate) async fn new() -> Self {
        Self::with(RuntimeConfig::default()).await
    }

    /// As [`new`](Self::new), with other numbers.
    pub(crate) async fn with(config: RuntimeConfig) -> Self {
        let starts = Arc::new(Starts::default());
        let clock = Arc::new(wall);
        let sink: Arc<dyn SupervisionSink> = Arc::<Starts>::clone(&starts);
        let runtime = Runtime::new(config, clock, sink).unwrap();
        let branch = runtime.root().add_branch(BranchSpec::dynamic("many")).unwrap();
        runtime.start().await;
        branch.settled().await;
        Self { runtime, branch, starts }
    }

    /// Calls `add`, which adds `count` children, and waits until all of them are up.
    pub(crate) async fn start<R>(&self, count: usize, add: impl FnOnce(&Branch) -> R) -> R {
        self.starts.wanted.store(self.starts.seen.load(Ordering::Acquire) + count, Ordering::Release);
        let added = add(&self.branch);
        self.starts.reached.notified().await;
        added
    }

    /// Ends the tree, in good order.
    pub(crate) async fn end(self) {
        let report = self.runtime.drain(Duration::from_secs(60)).await;
        assert!(report.is_clean(), "{} children were cut off", report.unfinished.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that the runtime is given")]
fn wall() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// What the process holds in memory, in bytes: `VmRSS` of proc(5).
pub(crate) fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kibibytes * 1024.0
}
