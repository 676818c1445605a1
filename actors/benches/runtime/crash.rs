//! Crashes: of one child after the other, and of all at once, each until the next message is answered.

use std::{io, time::Duration};

use switchyard_actors::supervision::{
    Backoff, ChildPath, ChildRef, ChildSpec, Intensity, Policy, RuntimeConfig,
};

use super::{
    child::{Counter, Crash, Get, counter},
    report::Report,
    scene::{Scene, micros_each, now},
};

/// Crashes of one child; then another takes its place, so that no window of restarts grows long.
const CRASHES: usize = 10;

/// Children that crash, one after the other.
const ROUNDS: usize = 1_000;

/// What is done before the clock starts, as a share of the measurement.
const WARM_UP: usize = 10;

/// What becomes of the log. What is formatted is thrown away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Every restart has its line, as text.
    Text,
    /// Every restart has its line, as JSON.
    Json,
    /// As the daemon does it where there is no terminal: JSON, and of lines that are alike the first in a while.
    Daemon,
    /// No subscriber.
    Off,
}

impl Log {
    const fn metric(self) -> &'static str {
        match self {
            Self::Text => "crash",
            Self::Json => "crash_json",
            Self::Daemon => "crash_daemon",
            Self::Off => "crash_quiet",
        }
    }

    pub(crate) async fn scene(self) -> Scene {
        match self {
            Self::Text => tracing_subscriber::fmt().with_ansi(false).with_writer(io::sink).init(),
            Self::Json | Self::Daemon => {
                tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::sink).init();
            }
            Self::Off => {}
        }
        let default = RuntimeConfig::default();
        let log_window = default.log_window.filter(|_| self == Self::Daemon);
        Scene::with(RuntimeConfig { log_window, ..default }).await
    }
}

/// A counter that is restarted at once, and never parked by this bench.
fn brave(number: usize) -> ChildSpec<Counter> {
    let at_once = Backoff { base: Duration::ZERO, cap: Duration::ZERO, ..Backoff::default() };
    let intensity = Intensity::new(1_000, Duration::from_secs(60));
    counter(number).policy(Policy { backoff: at_once, intensity, ..Policy::default() })
}

async fn crash_round(scene: &Scene, number: usize) -> Duration {
    let child = scene.branch.add(brave(number)).unwrap();
    assert_eq!(child.ask(Get).await, Ok(0), "the first instance answers");
    let began = now();
    for _ in 0..CRASHES {
        child.tell(Crash).expect("room in the mailbox");
        assert_eq!(child.ask(Get).await, Ok(0), "the next instance answers");
    }
    let took = began.elapsed();
    check_record(scene, &child);
    assert!(scene.branch.remove(child.path().id()).await, "it was there");
    took
}

/// Everything is on record: how often, what, where.
fn check_record(scene: &Scene, child: &ChildRef<Counter>) {
    let view = scene.runtime.tree().view(child.path()).expect("it is in the tree");
    let last = view.last_failure.expect("it failed");
    assert_eq!((last.count, view.restarts_total), (CRASHES as u64, CRASHES as u64));
    assert!(last.failure.text.starts_with("asked to crash"));
    assert!(last.failure.location.is_some_and(|place| place.contains("child.rs:")));
}

/// `crash` and the like: from the message that panics to the answer to the next one, with message type, text and place
/// recorded, and the sink told.
pub(crate) async fn one(log: Log) -> Report {
    let scene = log.scene().await;
    for round in 0..ROUNDS / WARM_UP {
        crash_round(&scene, round).await;
    }
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        took += crash_round(&scene, round).await;
    }
    let each = micros_each(took, ROUNDS * CRASHES);
    scene.end().await;
    Report::default().with(log.metric(), "us", each)
}

/// `mass_crash`: all children panic at once, each recorded and logged as text; per child, until all have answered.
pub(crate) async fn all(children: usize) -> Report {
    let scene = Log::Text.scene().await;
    let all: Vec<ChildRef<Counter>> = scene
        .start(children, |branch| {
            (0..children).map(|number| branch.add(brave(number)).expect("a new child")).collect()
        })
        .await;
    let began = now();
    for child in &all {
        child.tell(Crash).expect("room in the mailbox");
    }
    for child in &all {
        assert_eq!(child.ask(Get).await, Ok(0), "the next instance answers");
    }
    let each = micros_each(began.elapsed(), children);
    let crashed = scene.runtime.tree().snapshot(&ChildPath::parse("many").unwrap());
    let restarts: u64 = crashed.iter().map(|view| view.restarts_total).sum();
    assert_eq!(restarts, children as u64, "each crashed once");
    drop((all, crashed));
    scene.end().await;
    Report::default().with("mass_crash", "us", each)
}
