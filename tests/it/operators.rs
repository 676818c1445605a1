//! What operators see of a pair that fails: status, health, metrics and log say the same, with file and line (features R1, R4).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};
use crate::peers::python;

/// A daemon whose first pair panics whenever it plans, and the pair's path.
async fn failing(data: &DataDir) -> (World, Daemon, String) {
    let pairs = PairCounts { telegram_to_discord: 4, ..PairCounts::default() };
    let shape = SeedShape { telegram_users: 2, discord_bots: 2, pairs, ..SeedShape::default() };
    let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
    let sick = world.pairs().remove(0);
    let failpoint = format!("pair.plan@{}=panic*6", sick.id);
    let env = [
        ("SWITCHYARD_FAILPOINTS", failpoint.as_str()),
        ("SWITCHYARD_SUPERVISION__BACKOFF_BASE", "10ms"),
        ("SWITCHYARD_SUPERVISION__BACKOFF_CAP", "50ms"),
        ("SWITCHYARD_SUPERVISION__LOG_WINDOW", "5s"),
        ("SWITCHYARD_HTTP__METRICS_LISTEN", "127.0.0.1:0"),
        ("SWITCHYARD_LOG__FORMAT", "json"),
    ];
    let daemon = Daemon::start_with(&world, data, &env).await;
    world.write_text(&sick.source, "waits").await;
    let path = format!("pairs/{}", sick.id);
    eventually("the pair to be parked", || async {
        let parked = status(data, &["--state", "parked"]).await;
        (parked["items"][0]["path"] == path.as_str()).then_some(())
    })
    .await;
    (world, daemon, path)
}

async fn status(data: &DataDir, arguments: &[&str]) -> Value {
    let output = verb(data, &[&["status", "--json"], arguments].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn text(data: &DataDir, arguments: &[&str]) -> String {
    let output = verb(data, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lines of the daemon's log about its tree.
fn logged(data: &DataDir) -> Vec<Value> {
    let lines = data.read_log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "switchyard_actors::supervision::log_book").collect()
}

/// Where metrics are served.
async fn metrics(data: &DataDir) -> String {
    let http = status(data, &["--prefix", "http"]).await;
    let address = http["items"][0]["observable"]["metrics"].as_str().expect("an address").to_owned();
    format!("http://{address}/metrics")
}

daemon_on_both_databases! {
    async fn a_failing_pair_is_told_of_in_the_same_words_everywhere(data) {
        let (world, _daemon, path) = failing(&data).await;
        let parked = status(&data, &["--state", "parked", "--prefix", "pairs"]).await;
        assert_eq!((&parked["ready"], &parked["verdict"]), (&json!(true), &json!("yellow")));
        assert_eq!(parked["reasons"], json!(["pairs: 1 of 4 children parked"]));
        let node = &parked["items"][0];
        assert_eq!((&node["restarts_total"], &node["last_failure"]["count"]), (&json!(5), &json!(6)));
        let location = node["last_failure"]["location"].as_str().expect("file and line").to_owned();
        assert!(location.contains("failpoint.rs:"), "{location}");

        let table = text(&data, &["status", "--prefix", "pairs"]).await;
        assert!(table.starts_with("ready, yellow; 5 actors shown: 4 running, 1 parked\n  pairs: 1 of 4 children parked\n"), "{table}");
        let line = table.lines().find(|line| line.starts_with(&path)).expect("its line");
        assert!(line.contains(&format!("{location} (6x)")) && line.contains("parked"), "{line}");

        let restarts = logged(&data).into_iter().find(|line| line["event"] == "restart").expect("a line");
        assert_eq!((&restarts["path"], &restarts["kind"]), (&json!(path), &json!("pair")));
        assert_eq!((&restarts["location"], &restarts["level"]), (&json!(location), &json!("WARN")));
        let told = eventually("the rest to be counted", || async {
            logged(&data).into_iter().find(|line| line["event"] == "restart" && line["more"] == 4)
        });
        assert_eq!(told.await["message"], "and 4 more like it");
        let parkings: Vec<_> = logged(&data).into_iter().filter(|line| line["event"] == "park").collect();
        assert_eq!(parkings.len(), 1, "{parkings:?}");
        assert_eq!((&parkings[0]["why"], &parkings[0]["phase"]), (&json!("intensity"), &node["last_failure"]["phase"]));

        let nobody = verb(&data, &["status", "--prefix", "pairs/nobody"]).await;
        assert_eq!(nobody.status.code(), Some(64));
        assert_eq!(String::from_utf8_lossy(&nobody.stderr), "switchyard: actor pairs/nobody not found\n");
        let health = text(&data, &["healthcheck", "--ready"]).await;
        assert_eq!(health, "ready\n", "one bad pair is no reason to send callers elsewhere");
        assert!(verb(&data, &["restart", &path]).await.status.success());
        assert_eq!(world.wait_for(&world.pairs()[0].target, 1).await, ["waits"]);
        let well = status(&data, &["--state", "parked"]).await;
        assert_eq!((&well["verdict"], &well["reasons"], &well["items"]), (&json!("green"), &json!([]), &json!([])));
        assert!(logged(&data).iter().any(|line| line["event"] == "unpark" && line["why"] == "admin"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_failed_and_name_nobody() {
    let data = DataDir::default();
    let (world, daemon, path) = failing(&data).await;
    let address = metrics(&data).await;
    let scrape = async || {
        let answer = reqwest::get(&address).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.expect("text")
    };
    let first = scrape().await;
    for line in [
        "switchyard_supervision_restarts_total{kind=\"pair\"} 5",
        "switchyard_supervision_parks_total{kind=\"pair\",cause=\"intensity\"} 1",
        "switchyard_supervision_children{kind=\"pair\",state=\"parked\"} 1",
        "switchyard_supervision_children{kind=\"pair\",state=\"running\"} 3",
        "switchyard_supervision_unparks_total{kind=\"pair\",by=\"admin\"} 0",
        "switchyard_supervision_escalations_total 0",
        "switchyard_supervision_storms_total 0",
        "switchyard_supervision_stalls_total{kind=\"pair\"} 0",
        "switchyard_supervision_events_lost_total 0",
        "switchyard_daemon_ready 1",
        "switchyard_daemon_health{verdict=\"yellow\"} 1",
        "switchyard_daemon_alerts_lost_total 0",
    ] {
        assert!(first.lines().any(|found| found == line), "{line} is not in\n{first}");
    }
    // Nobody's id, name or path, and no more series with more accounts and pairs.
    let (id, accounts) =
        (path.trim_start_matches("pairs/"), world.seed["accounts"].as_array().expect("accounts"));
    assert!(
        !first.contains(id)
            && accounts.iter().all(|account| !first.contains(account["id"].as_str().expect("an id")))
    );
    let series = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
    };
    assert!(verb(&data, &["restart", &path]).await.status.success());
    assert_eq!(world.wait_for(&world.pairs()[0].target, 1).await, ["waits"]);
    let second = scrape().await;
    assert!(
        second.contains("switchyard_supervision_unparks_total{kind=\"pair\",by=\"admin\"} 1\n"),
        "{second}"
    );
    assert!(second.contains("switchyard_daemon_health{verdict=\"green\"} 1\n"), "{second}");
    assert_eq!(series(&first), series(&second), "failing and mending make no series");
    if let Some(python) = python() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/metrics.py");
        let mut parser = Command::new(python);
        parser.arg(script).args(["--metrics", &address]);
        let output = tokio::task::spawn_blocking(move || parser.output())
            .await
            .expect("it runs")
            .expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = String::from_utf8_lossy(&output.stdout).lines().count();
        assert_eq!(read, series(&second).len(), "every sample is understood");
    }
    assert!(daemon.terminate().await.success());
    assert!(reqwest::get(&address).await.is_err(), "the port is free again");
}
