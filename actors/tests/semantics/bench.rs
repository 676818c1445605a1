//! The test bench: a system under virtual time and a recording sink.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_rt::System;
use chrono::{DateTime, TimeDelta, Utc};
use switchyard_actors::supervision::{
    Backoff, Branch, ChildPath, ChildRef, ChildSpec, Happening, Intensity, NodeView, Policy, Runtime,
    RuntimeConfig, SupervisionEvent, SupervisionSink,
};
use tokio::time::Instant;

use crate::puppet::Puppet;

/// Runs a test on a single-threaded actix system whose clock stands still until everything waits.
pub fn run<F: Future>(test: F) -> F::Output {
    System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    })
    .block_on(test)
}

#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<SupervisionEvent>>);

impl SupervisionSink for Recorder {
    fn record(&self, event: &SupervisionEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorder {
    /// What happened to one child.
    pub fn of(&self, path: &str) -> Vec<Happening> {
        let events = self.0.lock().unwrap();
        events.iter().filter(|event| event.path.as_str() == path).map(|event| event.what.clone()).collect()
    }

    /// How many events of one child match.
    pub fn count(&self, path: &str, matches: impl Fn(&Happening) -> bool) -> usize {
        self.of(path).iter().filter(|what| matches(what)).count()
    }
}

pub struct World {
    pub runtime: Runtime,
    pub sink: Arc<Recorder>,
}

impl World {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u64) -> Self {
        Self::configured(RuntimeConfig { seed, ..RuntimeConfig::default() })
    }

    pub fn configured(config: RuntimeConfig) -> Self {
        let sink = Arc::new(Recorder::default());
        let origin = Instant::now();
        let clock = Arc::new(move || epoch() + TimeDelta::from_std(origin.elapsed()).unwrap());
        let recorder: Arc<dyn SupervisionSink> = sink.clone();
        let runtime = Runtime::new(config, clock, recorder).unwrap();
        Self { runtime, sink }
    }

    /// Adds one puppet to the root and starts the tree.
    pub async fn with(spec: ChildSpec<Puppet>) -> (Self, ChildRef<Puppet>) {
        let world = Self::new();
        let child = world.runtime.root().add(spec).unwrap();
        world.runtime.start().await;
        (world, child)
    }

    /// As [`Self::with`], without waiting for its first attempt.
    pub async fn with_unsettled(spec: ChildSpec<Puppet>) -> (Self, ChildRef<Puppet>) {
        let world = Self::new();
        let child = world.runtime.root().add(spec).unwrap();
        drop(world.runtime.start());
        settle().await;
        (world, child)
    }

    /// The supervisor at a path below the root.
    pub fn branch(&self, id: &str) -> Branch {
        self.runtime.root().branch(id).unwrap()
    }

    pub fn stop(&self, path: &str) {
        self.runtime.tree().stop(&ChildPath::parse(path).unwrap()).unwrap();
    }

    pub fn view(&self, path: &str) -> NodeView {
        self.runtime.tree().view(&ChildPath::parse(path).unwrap()).expect("listed")
    }

    pub fn red(&self) -> Vec<String> {
        self.runtime.tree().health().red.iter().map(|concern| concern.path.to_string()).collect()
    }

    pub fn restart(&self, path: &str) {
        self.runtime.tree().restart(&ChildPath::parse(path).unwrap()).unwrap();
    }
}

fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Lets every ready task run without moving the clock.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock and lets everything run.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    settle().await;
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// No jitter, 5 restarts in 60 s: times are exact.
pub fn exact() -> Policy {
    Policy {
        backoff: Backoff { jitter_percent: 0, ..Backoff::default() },
        intensity: Intensity::new(5, secs(60)),
        ..Policy::default()
    }
}
