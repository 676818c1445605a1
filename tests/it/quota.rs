//! A plan's messages of the day: never one more is delivered, also over kill -9; the rest waits, its user is told once, and
//! a higher plan lets it go on at once, in order (feature F10).

use std::io::Write;

use reqwest::Method;
use serde_json::{Value, json};
use switchyard::clock::SystemClock;
use switchyard_actors::ports::Clock;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::people::{Api, answer};

/// Messages of each pair: together more than a day's.
const EACH: usize = 130;
const PAIRS: u16 = 3;
const KILLS: usize = 3;

/// The seeded user is on the smallest plan.
const ENV: [(&str, &str); 1] = [("SWITCHYARD_PLANS__OPERATOR", "free")];

fn world() -> SandboxConfig {
    let pairs = PairCounts { discord_to_discord: PAIRS, ..PairCounts::default() };
    let shape = SeedShape { telegram_bots: 0, discord_bots: 2, webhooks: 0, pairs, ..SeedShape::default() };
    SandboxConfig { shape, ..SandboxConfig::default() }
}

fn written(to: usize) -> Vec<String> {
    (0..to).map(|n| format!("message {n}")).collect()
}

async fn read(data: &DataDir, path: &str) -> Value {
    let (status, body) = answer(Api::of(data).operator(Method::GET, path)).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn arrived(world: &World) -> usize {
    let mut count = 0;
    for pair in world.pairs() {
        count += world.texts(&pair.target).await.len();
    }
    count
}

/// Waits until so many deliveries wait in the outbox.
async fn waiting(data: &DataDir, count: usize) {
    eventually("the rest to wait", || async {
        let health = read(data, "/admin/health").await;
        (health["store"]["deliveries_waiting"] == json!(count)).then_some(())
    })
    .await;
}

/// A test whose day would end in its middle says so and does nothing.
fn day_ends_soon() -> bool {
    let seconds = SystemClock.now().timestamp().rem_euclid(86_400);
    seconds > 86_400 - 600
}

const TOLD: &str = "SELECT id FROM alerts WHERE kind = 'quota.reached'";

daemon_on_both_databases! {
    async fn a_days_messages_are_never_exceeded_over_kills_and_a_higher_plan_goes_on(data) {
        if day_ends_soon() {
            // Past the test harness, which swallows what a passing test prints.
            std::io::stderr().write_all(b"SKIPPED: the day ends within ten minutes\n").expect("standard error");
            return;
        }
        let world = World::start(world()).await;
        let mut daemon = Daemon::start_with(&world, &data, &ENV).await;
        let plans = read(&data, "/plans").await;
        let free = plans["items"].as_array().expect("plans").iter().find(|plan| plan["name"] == "free");
        let limit = free.and_then(|plan| plan["messages_per_day"].as_u64()).expect("a limit");
        let limit = usize::try_from(limit).expect("a number");
        let pairs = world.pairs();
        let mut total = pairs.len() * EACH;
        assert!(total > limit, "more than a day's: {limit}");
        let writing = async {
            for text in written(EACH) {
                for pair in &pairs {
                    world.write_text(&pair.source, &text).await;
                }
            }
        };
        let killing = async {
            for kill in 1..=KILLS {
                eventually("a share of the messages", || async {
                    (arrived(&world).await >= limit * kill / (KILLS + 1)).then_some(())
                })
                .await;
                daemon.kill();
                daemon = Daemon::start_with(&world, &data, &ENV).await;
            }
            daemon
        };
        let ((), mut daemon) = tokio::join!(writing, killing);
        waiting(&data, total - limit).await;
        assert_eq!(arrived(&world).await, limit, "as many as the plan allows");
        // Also a new life of the daemon, and new messages, bring no more.
        daemon.kill();
        daemon = Daemon::start_with(&world, &data, &ENV).await;
        for pair in &pairs {
            world.write_text(&pair.source, &format!("message {EACH}")).await;
            total += 1;
        }
        waiting(&data, total - limit).await;
        assert_eq!(arrived(&world).await, limit, "as many as the plan allows");
        eventually("the user to be told", || async { (data.rows(TOLD).await > 0).then_some(()) }).await;

        let user = world.seed["user"]["id"].as_str().expect("an id");
        let path = format!("/admin/users/{user}/plan");
        let order = Api::of(&data).operator(Method::POST, &path).json(&json!({ "plan": "pro" }));
        let (status, changed) = answer(order).await;
        assert_eq!(status, 200, "{changed}");
        for pair in &pairs {
            let texts = world.wait_for(&pair.target, EACH + 1).await;
            assert_eq!(texts, written(EACH + 1), "all, in order, once");
        }
        waiting(&data, 0).await;
        assert_eq!(data.rows(TOLD).await, 1, "told once");
        assert!(daemon.terminate().await.success(), "{}", data.read_log());
    }
}
