//! What the programs have in common: sizes, threads, the process's memory, the log, the report.

use std::{env, fs, future::Future, io, panic, time::Duration};

use tokio::{runtime::Builder, time::Instant};

/// Messages told before an answer is waited for.
pub const BATCH: usize = 1_000;

/// Batches of one measurement.
pub const BATCHES: usize = 1_000;

/// Asks of one measurement.
pub const ASKS: usize = 300_000;

/// Crashes of one child; then another takes its place.
pub const CRASHES: usize = 10;

/// Children that crash, one after the other.
pub const ROUNDS: usize = 1_000;

/// What is done before the clock starts, as a share of the measurement.
pub const WARM_UP: usize = 10;

/// Messages that a bounded mailbox holds: as many as ours.
pub const MAILBOX: usize = 1_024;

/// How long a program sits still before its memory is looked at.
pub const QUIET: Duration = Duration::from_secs(1);

/// `PROGRAM ct|mt PART CHILDREN`: one thread or two workers, what to measure, with how many children.
pub struct Task {
    threads: String,
    /// What to measure.
    pub part: String,
    /// Children of the parts that want many.
    pub children: usize,
}

impl Task {
    /// What the command line says.
    pub fn read() -> Self {
        let words: Vec<String> = env::args().skip(1).collect();
        let [threads, part, children] = words.try_into().expect("ct|mt PART CHILDREN");
        let children = children.parse().expect("a number of children");
        Self { threads, part, children }
    }

    /// Runs the work on one thread, or as a task on one of two workers.
    pub fn run<F: Future<Output = ()> + Send + 'static>(&self, work: F) {
        match self.threads.as_str() {
            "ct" => Builder::new_current_thread().enable_all().build().unwrap().block_on(work),
            "mt" => {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                runtime.block_on(async { tokio::spawn(work).await.expect("the work") });
            }
            other => panic!("ct or mt, not {other}"),
        }
    }
}

/// Nobody hears of a panic: cheaper than any log.
pub fn log_nothing() {
    panic::set_hook(Box::new(|_| {}));
}

/// Panics with their places, and what the runtime says itself, formatted as JSON and thrown away.
pub fn log_to_nowhere() {
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::sink).init();
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        tracing::warn!(place, "actor panicked");
    }));
}

/// The present moment.
pub fn now() -> Instant {
    Instant::now()
}

/// A time in microseconds for each of `count`.
pub fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// What the process holds in memory, in bytes: `VmRSS` of proc(5).
pub fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}

/// One measurement.
pub fn metric(name: &str, unit: &str, value: f64) {
    println!("{name}\t{unit}\t{value:.4}");
}
