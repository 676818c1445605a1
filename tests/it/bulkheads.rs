//! One bad pair or account never delays another; parking, un-parking and waits as operators see them (features R1, S3, A8).

use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

fn two_bots() -> SandboxConfig {
    SandboxConfig {
        shape: SeedShape {
            telegram_users: 2,
            discord_bots: 2,
            pairs: PairCounts { telegram_to_discord: 4, ..PairCounts::default() },
            ..SeedShape::default()
        },
        ..SandboxConfig::default()
    }
}

async fn status(data: &DataDir) -> Vec<Value> {
    let output = verb(data, &["status", "--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let view: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    view["items"].as_array().expect("items").clone()
}

async fn node(data: &DataDir, path: &str) -> Value {
    let nodes = status(data).await;
    nodes.into_iter().find(|node| node["path"] == path).unwrap_or_else(|| panic!("{path} is not in the tree"))
}

daemon_on_both_databases! {
    async fn a_429_on_one_account_delays_that_account_only(data) {
        let world = World::start(two_bots()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let slow = &pairs[0];
        let (held, free): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|pair| pair.target.account == slow.target.account);
        assert!(!held.is_empty() && !free.is_empty());
        let fault = json!({ "target": slow.target.account, "kind": "flood_wait", "count": 1, "wait": 15 });
        world.fault(&fault).await;
        let started = tokio::time::Instant::now();
        world.write_text(&slow.source, "first").await;
        for n in 0..20 {
            for pair in &free {
                world.write_text(&pair.source, &format!("free {n}")).await;
            }
        }
        for pair in &free {
            let arrived = world.wait_for(&pair.target, 20).await;
            assert_eq!(arrived, (0..20).map(|n| format!("free {n}")).collect::<Vec<_>>());
        }
        // Order, not speed: the others were through before the account that waits sent its first.
        assert_eq!(world.texts(&slow.target).await, Vec::<String>::new(), "the wait ended too early");
        assert_eq!(world.wait_for(&slow.target, 1).await, ["first"]);
        assert!(started.elapsed() >= std::time::Duration::from_secs(15), "the platform's wait was shortened");
    }

    async fn a_pair_that_panics_is_parked_alone_and_un_parked_by_an_operator(data) {
        let world = World::start(two_bots()).await;
        let pairs = world.pairs();
        let (sick, healthy) = pairs.split_first().expect("pairs");
        let failpoint = format!("pair.plan@{}=panic*6", sick.id);
        let env = [
            ("SWITCHYARD_FAILPOINTS", failpoint.as_str()),
            ("SWITCHYARD_SUPERVISION__BACKOFF_BASE", "10ms"),
            ("SWITCHYARD_SUPERVISION__BACKOFF_CAP", "50ms"),
            ("SWITCHYARD_QUEUE__EVENT_ATTEMPTS_MAX", "20"),
        ];
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        for n in 0..3 {
            world.write_text(&sick.source, &format!("waiting {n}")).await;
        }
        let path = format!("pairs/{}", sick.id);
        let parked = eventually("the pair to be parked", || async {
            let node = node(&data, &path).await;
            (node["state"] == "parked").then_some(node)
        })
        .await;
        assert_eq!(parked["last_failure"]["text"], "failpoint pair.plan");
        assert!(parked["last_failure"]["location"].as_str().is_some_and(|at| at.contains("failpoint.rs:")));
        for pair in healthy {
            world.write_text(&pair.source, "goes on").await;
            assert_eq!(world.wait_for(&pair.target, 1).await, ["goes on"]);
        }
        let table = verb(&data, &["status"]).await;
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        assert!(table.lines().any(|line| line.contains(&path) && line.contains("parked")), "{table}");
        assert_eq!(world.texts(&sick.target).await, Vec::<String>::new());

        assert!(verb(&data, &["restart", &path]).await.status.success());
        assert_eq!(world.wait_for(&sick.target, 3).await, ["waiting 0", "waiting 1", "waiting 2"]);
        assert_eq!(node(&data, &path).await["state"], "running");
    }

    async fn lost_answers_and_server_errors_neither_lose_nor_repeat(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        for (kind, count) in [("lost_answer", 2), ("server_error", 2), ("drop_connection", 1)] {
            world.fault(&json!({ "target": pair.target.account, "kind": kind, "count": count })).await;
        }
        for n in 0..10 {
            world.write_text(&pair.source, &format!("m{n}")).await;
        }
        let arrived = world.wait_for(&pair.target, 10).await;
        assert_eq!(arrived, (0..10).map(|n| format!("m{n}")).collect::<Vec<_>>());
    }

    async fn a_telegram_flood_wait_delays_that_account_only_and_loses_no_event(data) {
        let world = World::start(two_bots()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let account = &pairs[0].source.account;
        let (held, free): (Vec<_>, Vec<_>) = pairs.iter().partition(|pair| pair.source.account == *account);
        assert!(!held.is_empty() && !free.is_empty());
        // The connection breaks, and the first call of the next one is told to wait.
        world.fault(&json!({ "target": account, "kind": "flood_wait", "count": 1, "wait": 15 })).await;
        world.fault(&json!({ "target": account, "kind": "drop_connection", "count": 1 })).await;
        let path = format!("sessions/{account}");
        eventually("the session to wait for its platform", || async {
            (node(&data, &path).await["observable"]["connection"] == "waiting_for_platform").then_some(())
        })
        .await;
        let expected: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        for text in &expected {
            for pair in &pairs {
                world.write_text(&pair.source, text).await;
            }
        }
        for pair in &free {
            assert_eq!(world.wait_for(&pair.target, expected.len()).await, expected);
        }
        for pair in &held {
            assert_eq!(world.texts(&pair.target).await, Vec::<String>::new(), "the wait ended too early");
        }
        for pair in &held {
            assert_eq!(world.wait_for(&pair.target, expected.len()).await, expected);
        }
    }
}
