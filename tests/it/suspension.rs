//! Suspending a user under load: no send starts after the answer, nothing is lost, and the backlog goes out in order, once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard::clock::SystemClock;
use switchyard_actors::ports::Clock;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, eventually};
use crate::harness::people::{Api, answer};

/// Messages of each pair.
const EACH: usize = 80;
/// Every wait of a test is bounded; so is all of it.
const WHOLE: Duration = Duration::from_secs(280);
/// The answer waits until no send is under way, so that whatever arrives later was begun later.
const ENV: [(&str, &str); 1] = [("SWITCHYARD_LIMITS__SUSPENSION_WAIT", "25s")];

/// Two pairs in every direction: eight in all.
fn every_direction() -> SandboxConfig {
    let pairs = PairCounts {
        telegram_to_discord: 2,
        telegram_to_telegram: 2,
        discord_to_telegram: 2,
        discord_to_discord: 2,
    };
    SandboxConfig { shape: SeedShape { pairs, ..SeedShape::default() }, ..SandboxConfig::default() }
}

fn written() -> Vec<String> {
    (0..EACH).map(|n| format!("message {n}")).collect()
}

async fn order(data: &DataDir, user: &str, verb: &str, body: &Value) {
    let path = format!("/admin/users/{user}/{verb}");
    let (status, answered) = answer(Api::of(data).operator(Method::POST, &path).json(body)).await;
    assert_eq!(status, 200, "{verb}: {answered}\n{}", data.read_log());
}

async fn counts(world: &World, pairs: &[SeededPair]) -> Vec<usize> {
    let mut counts = Vec::with_capacity(pairs.len());
    for pair in pairs {
        counts.push(world.texts(&pair.target).await.len());
    }
    counts
}

/// Every session says that it is suspended.
async fn all_suspended(data: &DataDir) {
    eventually("all sessions to be suspended", || async {
        let (status, health) = answer(Api::of(data).operator(Method::GET, "/admin/health")).await;
        assert_eq!(status, 200, "{health}");
        let sessions = health["sessions"].as_object().expect("sessions");
        let others = sessions.iter().filter(|(state, count)| *state != "suspended" && **count != json!(0));
        (sessions.contains_key("suspended") && others.count() == 0).then_some(())
    })
    .await;
}

/// Nothing in a chat was written between two moments. Telegram's times are whole seconds, so the first is rounded up.
fn silent(items: &[Value], answered: DateTime<Utc>, restored: DateTime<Utc>) {
    for item in items {
        let at: DateTime<Utc> = item["at"].as_str().expect("a time").parse().expect("a time");
        let after = at > answered + TimeDelta::seconds(1) && at < restored - TimeDelta::seconds(1);
        assert!(!after, "sent at {at}, suspended at {answered}, restored at {restored}: {item}");
    }
}

async fn suspended_amid(data: DataDir, killed: bool) {
    let world = World::start(every_direction()).await;
    let mut daemon = Daemon::start_with(&world, &data, &ENV).await;
    let user = world.seed["user"]["id"].as_str().expect("an id").to_owned();
    let pairs = world.pairs();
    assert!(pairs.len() * EACH >= 500, "load: {} pairs", pairs.len());
    let writing = async {
        for text in written() {
            for pair in &pairs {
                world.write_text(&pair.source, &text).await;
            }
        }
    };
    let suspending = async {
        eventually("a share of the messages", || async {
            (counts(&world, &pairs).await.iter().sum::<usize>() >= pairs.len() * EACH / 6).then_some(())
        })
        .await;
        order(&data, &user, "suspend", &json!({ "reason": "a look into a complaint" })).await;
        let answered = SystemClock.now();
        (answered, counts(&world, &pairs).await)
    };
    let ((), (answered, arrived)) = tokio::join!(writing, suspending);
    let sum: usize = arrived.iter().sum();
    assert!(sum < pairs.len() * EACH, "suspended in the middle of it: {arrived:?}");
    all_suspended(&data).await;
    if killed {
        daemon.kill();
        daemon = Daemon::start_with(&world, &data, &ENV).await;
        all_suspended(&data).await;
    }
    // Once more changes nothing.
    order(&data, &user, "suspend", &json!({})).await;
    assert_eq!(counts(&world, &pairs).await, arrived, "what arrived after the answer was begun after it");
    let restored = SystemClock.now();
    order(&data, &user, "restore", &json!({})).await;
    for pair in &pairs {
        let texts = world.wait_for(&pair.target, EACH).await;
        assert_eq!(texts, written(), "{} {}: all, in order, once", pair.target.platform, pair.target.chat);
        silent(&world.read(&pair.target).await, answered, restored);
        world.write_text(&pair.source, "end").await;
    }
    for pair in &pairs {
        let texts = world.wait_for(&pair.target, EACH + 1).await;
        assert_eq!(
            (texts.len(), texts.last().map(String::as_str)),
            (EACH + 1, Some("end")),
            "no late repeat"
        );
    }
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}

daemon_on_both_databases! {
    async fn no_send_starts_after_the_answer_and_the_backlog_arrives_in_order(data) {
        tokio::time::timeout(WHOLE, suspended_amid(data, false)).await.expect("in time");
    }

    async fn a_suspension_holds_over_kill_nine_and_loses_nothing(data) {
        tokio::time::timeout(WHOLE, suspended_amid(data, true)).await.expect("in time");
    }
}
