//! How the daemon ends while a send is under way, or an actor blocks: a second signal, the deadline of the drain, and in good
//! order.

use std::process::Command;

use serde_json::{Value, json};
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
const BLOCKED: &str = "the way out was blocked and the process ends; work waits in the store";
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

/// All actors on one thread, that of the signals and of the drain; whoever blocks it is told soon, each time.
const ONE_THREAD: [(&str, &str); 3] = [
    ("SWITCHYARD_SUPERVISION__SHARDS", "1"),
    ("SWITCHYARD_SUPERVISION__STALL_LIMIT", "1s"),
    ("SWITCHYARD_SUPERVISION__LOG_WINDOW", "0s"),
];

/// A daemon whose pair blocks the thread of all actors, for longer than any wait of a test.
async fn blocked(
    world: &World,
    pair: &SeededPair,
    data: &DataDir,
    deadlines: &[(&'static str, &'static str)],
) -> Daemon {
    let failpoint = format!("pair.plan@{}=block", pair.id);
    let mut env = vec![("SWITCHYARD_FAILPOINTS", failpoint.as_str())];
    env.extend(ONE_THREAD.iter().chain(deadlines));
    let daemon = Daemon::start_with(world, data, &env).await;
    world.write_text(&pair.source, "never planned").await;
    let (stall, path) = ("\"event\":\"stall\"", format!("\"pairs/{}\"", pair.id));
    eventually("the pair to block its thread", || async {
        data.read_log().lines().any(|line| line.contains(stall) && line.contains(&path)).then_some(())
    })
    .await;
    daemon
}

/// The last words are those of a process whose way out this pair blocks.
fn assert_blocked_by(pair: &SeededPair, data: &DataDir) {
    let log = data.read_log();
    let last: Value = serde_json::from_str(log.lines().next_back().expect("last words")).expect("JSON");
    assert_eq!((&last["level"], &last["message"]), (&"ERROR".into(), &BLOCKED.into()), "{last}");
    assert_eq!(last["blocked_by"], format!("pairs/{}", pair.id));
}

/// The first signal; the drain has begun when this ends.
async fn first_signal(daemon: &Daemon, data: &DataDir) {
    signal(daemon, "-TERM");
    eventually("the drain to begin", || async {
        data.read_log().contains("stopping in good order").then_some(())
    })
    .await;
}

fn signal(daemon: &Daemon, kind: &str) {
    let sent = Command::new("kill").args([kind, &daemon.pid().to_string()]).status();
    assert!(sent.expect("kill runs").success());
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

    async fn an_actor_that_blocks_the_thread_of_the_signals_ends_with_the_drains_deadline(data) {
        let (world, pair) = one_pair().await;
        let daemon = blocked(&world, &pair, &data, &SHORT).await;
        assert_eq!(daemon.terminate().await.code(), Some(70), "{}", data.read_log());
        assert_blocked_by(&pair, &data);
    }

    async fn a_second_signal_ends_at_once_though_an_actor_blocks_the_thread_of_the_signals(data) {
        let (world, pair) = one_pair().await;
        let daemon = blocked(&world, &pair, &data, &PATIENT).await;
        // Two kinds of signals: two of one kind may count as one.
        signal(&daemon, "-INT");
        // Far within the deadlines, or the harness waits no longer.
        assert_eq!(daemon.terminate().await.code(), Some(70), "{}", data.read_log());
        assert_blocked_by(&pair, &data);
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
