//! How the daemon ends while a send is under way: a second signal, the deadline of the drain, and in good order.

use std::process::Command;

use serde_json::json;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, eventually};

/// For how many seconds the platform keeps its answer: longer than any wait of a test.
const ANSWER_AFTER: u64 = 600;
/// So long may everything take that nothing but a second signal ends it in time.
const PATIENT: [(&str, &str); 2] =
    [("SWITCHYARD_SUPERVISION__STOP_DEADLINE", "300s"), ("SWITCHYARD_SUPERVISION__DRAIN_DEADLINE", "400s")];
/// The shortest drain: its deadline must hold that of a child.
const SHORT: [(&str, &str); 3] = [
    ("SWITCHYARD_SUPERVISION__STOP_RESERVE", "100ms"),
    ("SWITCHYARD_SUPERVISION__STOP_DEADLINE", "500ms"),
    ("SWITCHYARD_SUPERVISION__DRAIN_DEADLINE", "1s"),
];
const CUT_SHORT: &str = "the drain was cut short; their work waits in the store: ";

async fn one_pair() -> (World, SeededPair) {
    let pairs = PairCounts { telegram_to_discord: 1, ..PairCounts::default() };
    let shape = SeedShape { pairs, ..SeedShape::default() };
    let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
    let pair = world.pairs().remove(0);
    (world, pair)
}

/// Has a message sent whose answer does not come: it stands in the chat, and its queue waits. One before it has made all
/// calls that the first send of a channel needs.
async fn send_without_an_answer(world: &World, pair: &SeededPair) {
    world.write_text(&pair.source, "arrives").await;
    world.wait_for(&pair.target, 1).await;
    let slow = json!({ "target": pair.target.account, "kind": "slow", "count": 100, "wait": ANSWER_AFTER });
    world.fault(&slow).await;
    world.write_text(&pair.source, "on its way").await;
    world.wait_for(&pair.target, 2).await;
}

/// The first signal; the drain has begun when this ends.
async fn first_signal(daemon: &Daemon, data: &DataDir) {
    let sent = Command::new("kill").args(["-TERM", &daemon.pid().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    eventually("the drain to begin", || async {
        data.read_log().contains("stopping in good order").then_some(())
    })
    .await;
}

/// What the daemon says last: who was not finished.
fn unfinished(data: &DataDir) -> Vec<String> {
    let log = data.read_log();
    let last = log.lines().next_back().expect("last words");
    let (_, paths) = last.split_once(CUT_SHORT).unwrap_or_else(|| panic!("last words: {last}"));
    paths.split(", ").map(str::to_owned).collect()
}

daemon_on_both_databases! {
    async fn a_second_signal_ends_at_once_and_names_what_is_unfinished(data) {
        let (world, pair) = one_pair().await;
        let daemon = Daemon::start_with(&world, &data, &PATIENT).await;
        send_without_an_answer(&world, &pair).await;
        first_signal(&daemon, &data).await;
        // Far within the deadlines, or the harness waits no longer.
        assert_eq!(daemon.terminate().await.code(), Some(70), "{}", data.read_log());
        let (unfinished, queue) = (unfinished(&data), format!("queues/{}", pair.target.account));
        assert!(unfinished.contains(&queue), "{queue} is not among {unfinished:?}");
    }

    async fn a_drain_over_its_deadline_names_what_is_unfinished(data) {
        let (world, pair) = one_pair().await;
        let daemon = Daemon::start_with(&world, &data, &SHORT).await;
        send_without_an_answer(&world, &pair).await;
        assert_eq!(daemon.terminate().await.code(), Some(70), "{}", data.read_log());
        let (unfinished, queue) = (unfinished(&data), format!("queues/{}", pair.target.account));
        assert!(unfinished.contains(&queue), "{queue} is not among {unfinished:?}");
    }

    async fn a_drain_that_finishes_ends_with_zero_and_names_nobody(data) {
        let (world, pair) = one_pair().await;
        let daemon = Daemon::start(&world, &data).await;
        world.write_text(&pair.source, "arrives").await;
        world.wait_for(&pair.target, 1).await;
        assert_eq!(daemon.terminate().await.code(), Some(0), "{}", data.read_log());
        assert!(!data.read_log().contains("cut short"), "{}", data.read_log());
    }
}
