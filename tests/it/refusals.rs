//! What goes wrong at start or with an account gives one clear sentence, the right exit code, and loses nothing.

use std::net::TcpListener;
use std::process::Output;

use serde_json::Value;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually, switchyard, verb};

async fn run(args: Vec<String>, env: Vec<(String, String)>) -> (Option<i32>, String) {
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output: Output = switchyard(&args).envs(env).output().expect("the command runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn serve(data: &DataDir, more: &[&str]) -> Vec<String> {
    let path = data.path().display().to_string();
    let base = ["serve", "--data-dir", &path, "--listen", "127.0.0.1:0"];
    base.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

/// The last line of what a refusal prints: one sentence for a person.
fn sentence(stderr: &str) -> &str {
    stderr.trim_end().lines().last().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_named() {
    let data = DataDir::default();
    let env = vec![("SWITCHYARD_HTTP__LISTEM".to_owned(), "127.0.0.1:1".to_owned())];
    let (code, stderr) = run(serve(&data, &["--sandbox"]), env).await;
    assert_eq!(code, Some(78), "{stderr}");
    assert!(sentence(&stderr).contains("listem"), "{stderr}");
    assert!(!data.path().exists(), "nothing is made before the configuration is accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let (data, taken) = (DataDir::default(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = taken.local_addr().expect("an address").to_string();
    let path = data.path().display().to_string();
    let args = ["serve", "--sandbox", "--data-dir", &path, "--listen", &address].map(str::to_owned).to_vec();
    let (code, stderr) = run(args, vec![]).await;
    assert_eq!(code, Some(69), "{stderr}");
    assert!(sentence(&stderr).contains(&address), "{stderr}");
}

daemon_on_both_databases! {
    async fn a_second_daemon_on_one_data_folder_is_refused(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _first = Daemon::start(&world, &data).await;
        let attach = format!("--sandbox={}", world.control);
        let store = data.store_url().map(|url| ("SWITCHYARD_STORE__URL".to_owned(), url.to_owned()));
        let (code, stderr) = run(serve(&data, &[&attach]), Vec::from_iter(store)).await;
        assert_eq!(code, Some(75), "{stderr}");
        assert!(sentence(&stderr).contains(&data.path().display().to_string()), "{stderr}");
        // Also where both want one port, as two starts by hand do.
        let address = std::fs::read_to_string(data.path().join("http-address")).expect("an address");
        let path = data.path().display().to_string();
        let same = ["serve", "--data-dir", &path, "--listen", address.trim(), &attach].map(str::to_owned);
        let (code, stderr) = run(same.to_vec(), Vec::new()).await;
        assert_eq!(code, Some(75), "{stderr}");
        let pair = world.pairs().remove(0);
        world.write_text(&pair.source, "still here").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["still here"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sandbox_the_master_key_must_come_from_outside() {
    let data = DataDir::default();
    let (code, stderr) = run(serve(&data, &[]), vec![]).await;
    assert_eq!(code, Some(78), "{stderr}");
    for way in ["SWITCHYARD_VAULT__MASTER_KEY", "master_key_file", "credential"] {
        assert!(stderr.contains(way), "{way} is not named in: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failpoints_are_refused_without_a_sandbox() {
    let data = DataDir::default();
    let env = vec![("SWITCHYARD_FAILPOINTS".to_owned(), "pair.plan=panic".to_owned())];
    let (code, stderr) = run(serve(&data, &[]), env).await;
    assert_eq!(code, Some(78), "{stderr}");
    assert!(sentence(&stderr).contains("SWITCHYARD_FAILPOINTS"), "{stderr}");
}

daemon_on_both_databases! {
    async fn a_bad_token_parks_that_session_only(data) {
        let pairs = PairCounts { telegram_to_discord: 2, ..PairCounts::default() };
        let shape = SeedShape { discord_bots: 2, pairs, ..SeedShape::default() };
        let config = SandboxConfig { shape, ..SandboxConfig::default() };
        let world = World::start(config).await;
        let pairs = world.pairs();
        let (sick, healthy) = (&pairs[0], &pairs[1]);
        assert_ne!(sick.target.account, healthy.target.account);
        let account: &str = &sick.target.account;
        world.fault(&serde_json::json!({ "target": account, "kind": "unauthorized", "count": 100 })).await;
        let _daemon = Daemon::start(&world, &data).await;
        world.write_text(&sick.source, "waits").await;
        world.write_text(&healthy.source, "goes").await;
        assert_eq!(world.wait_for(&healthy.target, 1).await, ["goes"]);
        let path = format!("sessions/{account}");
        eventually("the session to be parked", || async {
            let output = verb(&data, &["status", "--json"]).await;
            let view: Value = serde_json::from_slice(&output.stdout).ok()?;
            let node = view["items"].as_array()?.iter().find(|node| node["path"] == path.as_str())?.clone();
            (node["state"] == "parked").then_some(())
        })
        .await;
        let queue = format!("queues/{account}");
        eventually("its message to wait in its lane", || async {
            let output = verb(&data, &["status", "--json"]).await;
            let view: Value = serde_json::from_slice(&output.stdout).ok()?;
            let node = view["items"].as_array()?.iter().find(|node| node["path"] == queue.as_str())?.clone();
            (node["observable"]["lanes"] == 1).then_some(())
        })
        .await;
        let reconnect = verb(&data, &["reconnect", account]).await;
        assert!(!reconnect.status.success());
        assert!(String::from_utf8_lossy(&reconnect.stderr).contains("needs login"));
    }

    async fn an_unreachable_platform_backs_off_and_loses_nothing(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0);
        let refused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let base = format!("http://{refused}");
        let first = Daemon::start_with(&world, &data, &[("SWITCHYARD_DISCORD__API_BASE", base.as_str())]).await;
        world.write_text(&pair.source, "kept").await;
        let path = format!("sessions/{}", pair.target.account);
        eventually("the session to wait", || async {
            let output = verb(&data, &["status", "--json"]).await;
            let view: Value = serde_json::from_slice(&output.stdout).ok()?;
            let node = view["items"].as_array()?.iter().find(|node| node["path"] == path.as_str())?.clone();
            (node["observable"]["connection"] == "waiting_to_retry").then_some(())
        })
        .await;
        assert!(first.terminate().await.success());
        let _second = Daemon::start(&world, &data).await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["kept"]);
    }
}
