//! The Bot API by requests made by hand, over real sockets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::ClockMode;
use crate::config::{Limits, SandboxConfig};
use crate::sandbox::Sandbox;

struct Stage {
    sandbox: Sandbox,
    http: reqwest::Client,
    base: String,
}

impl Stage {
    async fn start(config: SandboxConfig) -> Self {
        // A second installation is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        let base = format!("{}/bot{}", sandbox.bot().api_base(), sandbox.seed().bot.token.reveal());
        Self { sandbox, http: reqwest::Client::new(), base }
    }

    async fn call(&self, method: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{method}", self.base)).json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn send(&self, chat: i64, text: &str) -> Value {
        self.call("sendMessage", json!({"chat_id": chat, "text": text, "parse_mode": "HTML"})).await
    }

    async fn control(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/sandbox/{path}", self.sandbox.control_url());
        let answer = self.http.request(method, url).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.control(reqwest::Method::POST, path, body).await
    }
}

fn refusal(answer: &Value) -> (i64, &str) {
    (answer["error_code"].as_i64().unwrap(), answer["description"].as_str().unwrap())
}

#[tokio::test]
async fn a_person_writes_and_the_bot_answers() {
    let stage = Stage::start(SandboxConfig::default()).await;
    assert_eq!(stage.call("getMe", json!({})).await["result"]["username"], "switchyard_sandbox_bot");
    let unknown = stage.send(2001, "hi").await;
    assert_eq!(refusal(&unknown), (400, "Bad Request: chat not found"));

    stage.post("bot/chats/2001/messages", json!({"text": "/start abc"})).await;
    let updates = stage.call("getUpdates", json!({"timeout": 30})).await;
    let update = &updates["result"][0];
    assert_eq!(update["message"]["text"], "/start abc");
    assert_eq!(update["message"]["entities"][0]["type"], "bot_command");
    let next = update["update_id"].as_i64().unwrap() + 1;
    let again = stage.call("getUpdates", json!({})).await;
    assert_eq!(again["result"].as_array().unwrap().len(), 1, "not confirmed, so told again");
    let none = stage.call("getUpdates", json!({"offset": next})).await;
    assert_eq!(none["result"], json!([]), "the offset confirmed it");

    let sent = stage.send(2001, "<b>hi</b> &amp; bye").await;
    assert_eq!(sent["result"]["text"], "hi & bye");
    assert_eq!(sent["result"]["entities"][0]["type"], "bold");
    let listed = stage.control(reqwest::Method::GET, "bot/messages", Value::Null).await;
    assert_eq!(listed["items"][0]["text"], "hi & bye");
    assert_eq!(listed["items"][0]["chat"], "2001");
    stage.sandbox.stop().await;
}

#[tokio::test]
async fn refusals_are_telegrams_own() {
    let stage = Stage::start(SandboxConfig::default()).await;
    stage.post("bot/chats", json!({"first": 1, "count": 3})).await;
    let broken = stage.send(1, "<b>x").await;
    assert!(refusal(&broken).1.starts_with("Bad Request: can't parse entities: "), "{broken}");
    assert_eq!(refusal(&stage.send(1, " ").await).1, "Bad Request: message text is empty");
    assert_eq!(refusal(&stage.send(1, &"x".repeat(4097)).await).1, "Bad Request: message is too long");
    stage.post("bot/chats/2/role", json!({"role": "kicked"})).await;
    let blocked = stage.send(2, "hi").await;
    assert_eq!(refusal(&blocked), (403, "Forbidden: bot was blocked by the user"));
    let group = json!({"id": -7, "kind": "group", "title": "G", "admins": [3]});
    stage.post("bot/chats", group).await;
    assert_eq!(
        refusal(&stage.send(-7, "hi").await),
        (403, "Forbidden: bot is not a member of the group chat")
    );
    stage.post("bot/chats/-7/role", json!({"role": "member"})).await;
    stage.post("bot/chats/-7/migrate", json!({"to": -1_000_000_000_007_i64})).await;
    let moved = stage.send(-7, "hi").await;
    assert_eq!(moved["parameters"]["migrate_to_chat_id"], -1_000_000_000_007_i64);
    let bare = stage.sandbox.bot().api_base();
    let wrong = stage.http.get(format!("{bare}/bot1:x/getMe")).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    stage.sandbox.stop().await;
}

#[tokio::test]
async fn an_older_poller_is_told_of_the_newer_one() {
    let stage = Stage::start(SandboxConfig::default()).await;
    let first = tokio::spawn({
        let (http, url) = (stage.http.clone(), format!("{}/getUpdates?timeout=50", stage.base));
        async move { http.get(url).send().await.unwrap().status() }
    });
    // The second one asks until the first is ended by it: whichever is older.
    let second = loop {
        let answer = stage.call("getUpdates", json!({"timeout": 0})).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if first.is_finished() {
            break answer;
        }
    };
    assert_eq!(first.await.unwrap(), 409);
    assert_eq!(second["ok"], true);
    stage.call("setWebhook", json!({"url": "https://x.example/"})).await;
    let hooked = stage.call("getUpdates", json!({})).await;
    assert_eq!(refusal(&hooked).0, 409);
    stage.sandbox.stop().await;
}

#[tokio::test]
async fn an_admin_makes_the_bot_one_and_the_bot_posts() {
    let stage = Stage::start(SandboxConfig::default()).await;
    let channel = -1_001_000_000_005_i64;
    let new =
        json!({"id": channel, "kind": "channel", "title": "News", "username": "news", "admins": [2002]});
    stage.post("bot/chats", new).await;
    stage.post(&format!("bot/chats/{channel}/role"), json!({"role": "administrator"})).await;
    let updates = stage.call("getUpdates", json!({"allowed_updates": ["my_chat_member"]})).await;
    let change = &updates["result"][0]["my_chat_member"];
    assert_eq!(change["from"]["id"], 2002);
    assert_eq!(change["new_chat_member"]["status"], "administrator");
    assert_eq!(stage.send(channel, "post").await["ok"], true);
    let admins = stage.call("getChatAdministrators", json!({"chat_id": "@news"})).await;
    assert_eq!(admins["result"].as_array().unwrap().len(), 2);
    stage.post(&format!("bot/chats/{channel}/messages"), json!({"text": "unwanted kind"})).await;
    let updates = stage.call("getUpdates", json!({})).await;
    assert_eq!(updates["result"].as_array().unwrap().len(), 1, "only my_chat_member is wanted");
    stage.sandbox.stop().await;
}

#[tokio::test]
async fn published_limits_answer_429_and_faults_strike() {
    let clock = ClockMode::Frozen;
    let stage =
        Stage::start(SandboxConfig { limits: Limits::Published, clock, ..SandboxConfig::default() }).await;
    stage.post("bot/chats", json!({"first": 1, "count": 40})).await;
    for chat in 1..=30 {
        assert_eq!(stage.send(chat, "hi").await["ok"], true);
    }
    let refused = stage.send(31, "hi").await;
    assert_eq!(refusal(&refused), (429, "Too Many Requests: retry after 1"));
    assert_eq!(refused["parameters"]["retry_after"], 1);
    stage.post("clock", json!({"advance_seconds": 61})).await;
    stage.post("faults", json!({"target": "bot", "kind": "lost_answer", "count": 1})).await;
    let lost = stage.http.get(format!("{}/sendMessage?chat_id=31&text=lost", stage.base)).send().await;
    assert!(lost.is_err(), "no answer comes");
    let written = stage.control(reqwest::Method::GET, "bot/chats/31/messages", Value::Null).await;
    assert_eq!(written["items"][0]["text"], "lost", "and yet it was written");
    stage.post("faults", json!({"target": "bot", "kind": "flood_wait", "count": 1, "wait": 7})).await;
    assert_eq!(stage.send(32, "hi").await["parameters"]["retry_after"], 7);
    stage.post("clock", json!({"advance_seconds": 1})).await;
    assert_eq!(refusal(&stage.send(33, "hi").await).0, 429, "the wait binds the whole bot");
    let counted = stage.control(reqwest::Method::GET, "violations", Value::Null).await;
    assert_eq!((&counted["bot.rate_limit"], &counted["bot.call_during_wait"]), (&json!(1), &json!(1)));
    stage.sandbox.stop().await;
}

#[tokio::test]
async fn the_world_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = || SandboxConfig { data_dir: Some(folder.path().to_owned()), ..SandboxConfig::default() };
    let stage = Stage::start(config()).await;
    stage.post("bot/chats/2001/messages", json!({"text": "/start"})).await;
    stage.send(2001, "welcome").await;
    stage.sandbox.stop().await;
    let stage = Stage::start(config()).await;
    let listed = stage.control(reqwest::Method::GET, "bot/chats/2001/messages", Value::Null).await;
    let texts: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["text"].clone()).collect();
    assert_eq!(texts, ["/start", "welcome"]);
    let updates = stage.call("getUpdates", json!({})).await;
    assert_eq!(updates["result"][0]["message"]["text"], "/start");
    stage.sandbox.stop().await;
}

/// python-telegram-bot, which knows nothing of us.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_telegram_bot_agrees() {
    let Some(python) = std::env::var_os("SWITCHYARD_PEERS_PYTHON") else {
        println!(
            "SKIPPED: python_telegram_bot_agrees needs SWITCHYARD_PEERS_PYTHON (tests/peers/requirements.txt)"
        );
        return;
    };
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let mut script = std::process::Command::new(python);
    script.arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/bot_api.py"));
    script.args(["--sandbox", &sandbox.control_url()]);
    let script = tokio::task::spawn_blocking(move || script.output());
    let output = tokio::time::timeout(Duration::from_secs(180), script).await.unwrap().unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    sandbox.stop().await;
}
