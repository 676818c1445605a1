//! Planted secrets are found in no file of the data folder and in no log (feature S2, S4).

use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, World, eventually, verb};

const PLANTED: &str = "planted-secret-text-4711";

/// Every form in which a secret could lie in a file: as it is, in UTF-16, in base64, in hexadecimal.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let utf16 = String::from_utf8_lossy(secret).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret).into_bytes();
    vec![secret.to_vec(), utf16, base64, hex::encode(secret).into_bytes()]
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

daemon_on_both_databases! {
    async fn planted_secrets_are_nowhere_on_disk_or_in_logs(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_LOG__LEVEL", "trace")];
        let mut daemon = Some(Daemon::start_with(&world, &data, &env).await);
        let pair = world.pairs().remove(0);
        for n in 0..20 {
            world.write_text(&pair.source, &format!("{PLANTED} {n}")).await;
        }
        world.wait_for(&pair.target, 20).await;
        verb(&data, &["status"]).await;
        let mut secrets: Vec<Vec<u8>> = vec![PLANTED.as_bytes().to_vec()];
        for account in world.seed["accounts"].as_array().expect("accounts") {
            if let Some(token) = account["token"].as_str() {
                secrets.push(token.as_bytes().to_vec());
            }
        }
        let keys = world.sandbox.registered_auth_keys();
        assert!(!keys.is_empty() && secrets.len() > 1, "there is something to look for");
        // A part of a key is enough to know it by; whole keys could be cut by a page's end.
        secrets.extend(keys.iter().map(|key| key[..32].to_vec()));
        for when in ["while it runs", "after the end"] {
            let contents = data.contents().await;
            let names = |part: &str| contents.iter().any(|(name, _)| name.ends_with(part));
            if data.store_url().is_some() {
                assert!(names("table account_secrets") && names("table delivery_parts"), "the tables are searched");
            } else {
                assert!(names("-wal") || when == "after the end");
            }
            for (place, content) in &contents {
                for form in secrets.iter().flat_map(|secret| forms(secret)) {
                    assert!(!holds(content, &form), "a secret lies in {place} {when}");
                }
            }
            if when == "while it runs" {
                assert!(daemon.take().expect("a daemon").terminate().await.success());
            }
        }
    }

    async fn an_embedded_sandbox_keeps_its_world_sealed_too(data) {
        switchyard::crypto::install_ring_provider();
        let daemon = Daemon::start_embedded(&data).await;
        let log = data.read_log();
        let mark = log.find("/sandbox (limits").expect("the report names the control API");
        let start = log[..mark].rfind("http://").expect("an address");
        let control = &log[start..mark];
        let seed = fetch(&format!("{control}/sandbox")).await;
        let chat = |end: &str| {
            let end = &seed["pairs"][0][end];
            let (platform, chat) = (end["platform"].as_str().expect("text"), end["chat"].as_str().expect("text"));
            format!("{control}/sandbox/{platform}/chats/{chat}/messages")
        };
        let body = serde_json::json!({ "text": PLANTED });
        let client = reqwest::Client::new();
        assert!(client.post(chat("source")).json(&body).send().await.unwrap().status().is_success());
        eventually("the message to arrive", || async {
            let page = fetch(&chat("target")).await;
            (page["items"].as_array().expect("items").len() == 1).then_some(())
        })
        .await;
        let tokens = seed["accounts"].as_array().expect("accounts").iter();
        let tokens =
            tokens.filter_map(|account| account["token"].as_str()).map(|token| token.as_bytes().to_vec());
        let secrets: Vec<Vec<u8>> = tokens.chain([PLANTED.as_bytes().to_vec()]).collect();
        assert!(secrets.len() > 1);
        daemon.kill();
        assert!(data.files().iter().any(|file| file.to_string_lossy().contains("telegram")), "the world is kept");
        for (place, content) in data.contents().await {
            for form in secrets.iter().flat_map(|secret| forms(secret)) {
                assert!(!holds(&content, &form), "a secret lies in {place}");
            }
        }
    }
}

async fn fetch(url: &str) -> serde_json::Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}
