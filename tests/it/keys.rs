//! Keys and secrets of a daemon that runs: added, rotated and retired by command line while messages flow, also across
//! kill -9; and what is set is nowhere to be read.

use std::process::Output;

use serde_json::Value;
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

const PLANTED: &str = "planted-bot-token-4711";

/// Small steps and short waits, so that there is a middle to be killed in.
const SLOW: [(&str, &str); 5] = [
    ("SWITCHYARD_VAULT__WATCH_INTERVAL", "200ms"),
    ("SWITCHYARD_VAULT__DATA_KEY_TTL", "500ms"),
    ("SWITCHYARD_VAULT__KEY_GRACE", "2s"),
    ("SWITCHYARD_VAULT__ROTATION_BATCH", "1"),
    ("SWITCHYARD_VAULT__ROTATION_PAUSE", "200ms"),
];

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn json(data: &DataDir, args: &[&str]) -> Value {
    serde_json::from_str(&said(&verb(data, args).await)).expect("JSON")
}

async fn keys(data: &DataDir) -> Value {
    json(data, &["keys", "list", "--json"]).await
}

daemon_on_both_databases! {
    async fn a_master_key_comes_takes_over_and_the_old_one_goes(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start_with(&world, &data, &SLOW).await;
        let pair = world.pairs().remove(0);
        world.write_text(&pair.source, "before").await;
        world.wait_for(&pair.target, 1).await;
        let old = keys(&data).await["sealing"].as_str().expect("a key").to_owned();
        let added = json(&data, &["keys", "add", "--json"]).await;
        let new = added["id"].as_str().expect("an id").to_owned();
        assert_eq!((added["state"].as_str(), added["wraps"].as_u64()), (Some("readable"), Some(0)));
        let early = verb(&data, &["keys", "retire", &old]).await;
        assert!(!early.status.success() && String::from_utf8_lossy(&early.stderr).contains("seals"));
        let rotation = json(&data, &["keys", "rotate", "--wait", "--json"]).await;
        assert_eq!((rotation["phase"].as_str(), rotation["to"].as_str()), (Some("finished"), Some(new.as_str())));
        assert_eq!(rotation["done"], rotation["total"]);
        world.write_text(&pair.source, "after").await;
        world.wait_for(&pair.target, 2).await;
        said(&verb(&data, &["keys", "retire", &old]).await);
        let listing = keys(&data).await;
        let state = |id: &str| {
            let keys = listing["keys"].as_array().expect("keys");
            keys.iter().find(|key| key["id"] == id).map(|key| key["state"].as_str().expect("a state").to_owned())
        };
        assert_eq!((state(&old).as_deref(), state(&new).as_deref()), (Some("retired"), Some("sealing")));
        let file = std::fs::read_to_string(listing["file"].as_str().expect("a file")).expect("the keyring");
        assert_eq!(file.split_whitespace().count(), 1, "the old key is out of the file");
        daemon.kill();
        let daemon = Daemon::start_with(&world, &data, &SLOW).await;
        world.write_text(&pair.source, "with the new key alone").await;
        assert_eq!(world.wait_for(&pair.target, 3).await.len(), 3);
        assert!(daemon.terminate().await.success());
    }

    async fn a_deep_rotation_survives_kills_and_loses_no_message(data) {
        let world = World::start(SandboxConfig::default()).await;
        let mut daemon = Daemon::start_with(&world, &data, &SLOW).await;
        let pair = world.pairs().remove(0);
        let mut written = 0;
        for _ in 0..10 {
            written += 1;
            world.write_text(&pair.source, &format!("message {written}")).await;
        }
        world.wait_for(&pair.target, written).await;
        let rotation = json(&data, &["keys", "rotate", "--deep", "--json"]).await;
        assert_eq!(rotation["finished_at"], Value::Null);
        for _ in 0..3 {
            let before = keys(&data).await["rotation"].clone();
            eventually("the rotation to come on", || async {
                let now = keys(&data).await["rotation"].clone();
                (now["phase"] != before["phase"] || now["done"] != before["done"]).then_some(())
            })
            .await;
            written += 1;
            world.write_text(&pair.source, &format!("message {written}")).await;
            daemon.kill();
            daemon = Daemon::start_with(&world, &data, &SLOW).await;
        }
        eventually("the rotation to end", || async {
            (keys(&data).await["rotation"]["phase"] == "finished").then_some(())
        })
        .await;
        written += 1;
        world.write_text(&pair.source, &format!("message {written}")).await;
        let texts = world.wait_for(&pair.target, written).await;
        for number in 1..=written {
            let text = format!("message {number}");
            assert_eq!(texts.iter().filter(|found| found.ends_with(&text)).count(), 1, "{text}: {texts:?}");
        }
        let ended = keys(&data).await["rotation"].clone();
        assert!(ended["error"].is_null() && ended["done"] == ended["total"], "{ended}");
        assert!(!data.read_log().contains("cannot be opened"), "nothing was unreadable");
        assert!(daemon.terminate().await.success());
    }

    async fn a_secret_is_set_listed_without_its_value_and_removed(data) {
        let outside = tempfile::tempdir().expect("a folder");
        let file = outside.path().join("token");
        std::fs::write(&file, PLANTED).expect("a file");
        let file = file.display().to_string();
        let early = verb(&data, &["secrets", "set", "bot-token", "--file", &file]).await;
        let why = String::from_utf8_lossy(&early.stderr).into_owned();
        assert!(!early.status.success() && why.contains("no daemon runs"), "{why}");
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_LOG__LEVEL", "trace")];
        let daemon = Daemon::start_with(&world, &data, &env).await;
        let answer = said(&verb(&data, &["secrets", "set", "bot-token", "--file", &file]).await);
        assert!(!answer.contains(PLANTED), "{answer}");
        let listing = json(&data, &["secrets", "list", "--json"]).await;
        assert_eq!(listing["items"][0]["name"], "bot-token");
        assert!(!listing.to_string().contains(PLANTED));
        for (place, content) in data.contents().await {
            let base64 = { use base64::Engine as _; base64::engine::general_purpose::STANDARD_NO_PAD.encode(PLANTED) };
            for form in [PLANTED.to_owned(), hex::encode(PLANTED), base64] {
                assert!(!content.windows(form.len()).any(|window| window == form.as_bytes()), "it lies in {place}");
            }
        }
        let unknown = verb(&data, &["secrets", "set", "another", "--file", &file]).await;
        assert!(!unknown.status.success(), "the names are a closed list");
        said(&verb(&data, &["secrets", "remove", "bot-token"]).await);
        let again = verb(&data, &["secrets", "remove", "bot-token"]).await;
        assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("not found"));
        assert!(daemon.terminate().await.success());
    }
}
