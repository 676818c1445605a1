//! No global state: two whole daemons, each with its own sandbox, run in one process and do not notice each other.

use switchyard::app::App;
use switchyard::config::{Config, Flag, Sources};
use switchyard::services::sandbox::SandboxSeed;

use crate::harness::daemon::{DataDir, eventually};

fn flag(key: &'static str, value: &str) -> Flag {
    Flag { name: key, key, value: value.to_owned() }
}

fn config(data: &DataDir, seed: &str) -> Config {
    let environment = [("SWITCHYARD_SANDBOX__SEED", Some(seed)), ("SWITCHYARD_STORE__URL", data.store_url())];
    let environment =
        environment.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let sources = Sources {
        data_dir: data.path(),
        flags: vec![flag("http.listen", "127.0.0.1:0"), flag("sandbox.mode", "embedded")],
        environment: environment.collect(),
        ..Sources::default()
    };
    Config::load(&sources).expect("a configuration")
}

async fn forward(seed: &SandboxSeed, text: &str) -> Vec<String> {
    let http = reqwest::Client::new();
    let pair = seed.pairs.first().expect("a pair");
    let url = |chat: &dyn std::fmt::Display, platform: &str| {
        format!("{}/sandbox/{platform}/chats/{chat}/messages", seed.control)
    };
    let body = serde_json::json!({ "text": text });
    let written = http.post(url(&pair.source.chat, "telegram")).json(&body).send().await.expect("an answer");
    assert!(written.status().is_success());
    eventually("the message to arrive", || async {
        let page = http.get(url(&pair.target.chat, "discord")).send().await.ok()?;
        let page: serde_json::Value = page.json().await.ok()?;
        let texts: Vec<String> = page["items"]
            .as_array()?
            .iter()
            .filter_map(|item| Some(item["text"].as_str()?.to_owned()))
            .collect();
        (!texts.is_empty()).then_some(texts)
    })
    .await
}

/// Runs two daemons, each with a data folder and store of its own, where there are any.
fn two_systems(folders: impl AsyncFnOnce() -> Option<(DataDir, DataDir)>) {
    switchyard::crypto::install_ring_provider();
    let ended = switchyard::threads::run_system(async {
        let Some((one, two)) = folders().await else { return };
        let first = Box::pin(App::start(config(&one, "1"), "")).await.expect("a daemon");
        let second = Box::pin(App::start(config(&two, "2"), "")).await.expect("another");
        first.settle().await;
        second.settle().await;
        let seeds = [&first, &second].map(|app| app.started().sandbox.clone().expect("a seed"));
        assert_eq!(forward(&seeds[0], "to the first").await, ["to the first"]);
        assert_eq!(forward(&seeds[1], "to the second").await, ["to the second"]);
        assert!(first.stop().await.unfinished.is_empty());
        first.close().await;
        assert!(second.stop().await.unfinished.is_empty());
        second.close().await;
    });
    ended.expect("threads");
}

#[test]
fn two_systems_live_in_one_process() {
    two_systems(async || Some((DataDir::default(), DataDir::default())));
}

#[test]
fn two_systems_live_in_one_process_on_postgres() {
    two_systems(async || Some((DataDir::postgres().await?, DataDir::postgres().await?)));
}
