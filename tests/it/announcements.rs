//! Announcements through the whole daemon against the sandbox's Bot API, killed on the way; and the bot's conversation
//! (feature A9).

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use switchyard::clock::SystemClock;
use switchyard::services::operator::OperatorAccess;
use switchyard_actors::ports::Clock;
use switchyard_sandbox::{Limits, SandboxConfig};
use uuid::Uuid;

use crate::harness::daemon::{Daemon, DataDir, World, eventually};

const USERS: i64 = 500;
/// Channels of each user, beside the private chat.
const CHANNELS: i64 = 19;
const CHATS: usize = 10_000;
/// What a daemon may have on its way when it is killed (`bot.sends_max`).
const UNDER_WAY: u64 = 16;

fn channel(user: i64, n: i64) -> i64 {
    -1_001_000_000_000 - user * 100 - n
}

async fn store(data: &DataDir) -> DatabaseConnection {
    let file = || format!("sqlite://{}", data.path().join("switchyard.sqlite").display());
    Database::connect(data.store_url().map_or_else(file, str::to_owned)).await.expect("the store")
}

fn uuid(store: &DatabaseConnection, number: i64) -> String {
    let id = Uuid::from_u128(u128::try_from(number).unwrap());
    match store.get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("'{id}'"),
        _ => format!("x'{}'", id.simple()),
    }
}

/// Users with linked chats, written into the store of a daemon that does not run.
async fn people(data: &DataDir, users: i64, channels: i64) {
    let store = store(data).await;
    for user in 1..=users {
        let id = uuid(&store, user);
        let mut chats: Vec<String> =
            (0..channels).map(|n| format!("({}, {id}, 'channel', 'C', 0)", channel(user, n))).collect();
        chats.push(format!("({user}, {id}, 'private', '', 0)"));
        let statements = [
            format!("INSERT INTO users (id, name, created_at) VALUES ({id}, 'Ada', 0)"),
            format!(
                "INSERT INTO bot_chats (chat_id, user_id, kind, title, linked_at) VALUES {}",
                chats.join(", ")
            ),
        ];
        for statement in statements {
            store.execute_unprepared(&statement).await.expect("a row");
        }
    }
    store.close().await.expect("the store closes");
}

/// The operator's calls of the API.
struct Api {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    fn of(data: &DataDir) -> Self {
        let access = OperatorAccess::read(&data.path()).expect("a running daemon");
        let base = format!("http://{}/api/v1/admin/announcements", access.address());
        Self { client: reqwest::Client::new(), base, token: access.token().to_owned() }
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut call = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        self.call(reqwest::Method::POST, path, body).await
    }

    async fn get(&self, id: &str) -> Value {
        let (status, body) = self.call(reqwest::Method::GET, &format!("/{id}"), None).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

async fn control(world: &World, path: &str, body: Value) {
    let url = format!("{}/sandbox/bot/{path}", world.control);
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
}

async fn counts(world: &World) -> BTreeMap<String, u64> {
    serde_json::from_value(world.get("/sandbox/bot/messages?count=true").await).unwrap()
}

async fn texts(world: &World, chat: i64) -> Vec<String> {
    let page = world.get(&format!("/sandbox/bot/chats/{chat}/messages")).await;
    page["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
}

/// The bot is an admin of every channel, and everybody started it; it is told of none of that.
async fn chats(world: &World, users: i64, channels: i64) {
    control(world, "chats", json!({"first": 1, "count": users})).await;
    let bot = world.sandbox.bot();
    for user in 1..=users {
        for id in (0..channels).map(|n| channel(user, n)) {
            let role = "administrator";
            let new = json!({"id": id, "kind": "channel", "title": "C", "admins": [user], "role": role});
            bot.set_chat(serde_json::from_value(new).unwrap()).unwrap();
        }
    }
}

/// A data folder with a store of its own that knows these people, and no daemon.
async fn prepared(world: &World, data: &DataDir, users: i64, channels: i64) {
    let daemon = Daemon::start(world, data).await;
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
    people(data, users, channels).await;
}

async fn completed(data: &DataDir, id: &str) -> Value {
    eventually("the announcement to be completed", || async {
        let found = Api::of(data).get(id).await;
        (found["state"] == "completed").then_some(found)
    })
    .await
}

const TEXT: &str = "Maintenance tonight: 22:00 <UTC>.";

daemon_on_both_databases! {
    /// Ten thousand chats, three kills: nobody twice, and only those uncertain who were being written to.
    async fn an_announcement_to_ten_thousand_reaches_each_at_most_once_over_three_kills(data) {
        let world = World::start(SandboxConfig::default()).await;
        prepared(&world, &data, USERS, CHANNELS).await;
        chats(&world, USERS, CHANNELS).await;
        let mut daemon = Daemon::start(&world, &data).await;
        let audience = json!({"plans": ["free"], "linked_chats": true, "channels": true});
        let order = json!({"kind": "system", "text": TEXT, "audience": audience});
        let (status, made) = Api::of(&data).post("", Some(order)).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["preview"]["recipients"], CHATS);
        let id = made["announcement"]["id"].as_str().unwrap().to_owned();
        for kill in 1..=3_usize {
            eventually("a share of the chats", || async {
                (counts(&world).await.len() >= CHATS * kill / 5).then_some(())
            })
            .await;
            daemon.kill();
            daemon = Daemon::start(&world, &data).await;
            if kill == 1 {
                // Channels come before private chats: all of these wait still.
                for user in 1..=20 {
                    control(&world, &format!("chats/{user}/messages"), json!({"text": "/stop"})).await;
                }
                let store = store(&data).await;
                for user in 21..=40 {
                    let row = format!(
                        "INSERT INTO user_plans (user_id, plan, state, changed_at) VALUES ({}, 'pro', 'active', 0)",
                        uuid(&store, user)
                    );
                    eventually("the plan to be written", || async {
                        store.execute_unprepared(&row).await.is_ok().then_some(())
                    })
                    .await;
                }
                store.close().await.unwrap();
            }
        }
        let done = completed(&data, &id).await;
        let outcome = |state: &str| done["progress"]["outcomes"][state].as_u64().unwrap_or(0);
        assert_eq!(done["progress"]["recipients"], CHATS, "{done}");
        assert!(outcome("uncertain") <= 3 * UNDER_WAY, "{done}");
        assert_eq!(outcome("sent") + outcome("uncertain") + outcome("skipped"), 10_000, "{done}");
        assert!(outcome("skipped") >= 40, "{done}");
        let mut reached = 0;
        for (chat, count) in counts(&world).await {
            let announced = if (1..=20).contains(&chat.parse::<i64>().unwrap()) { count - 1 } else { count };
            assert!(announced <= 1, "chat {chat} got it {announced} times");
            reached += announced;
        }
        assert!((outcome("sent")..=outcome("sent") + outcome("uncertain")).contains(&reached), "{reached} of {done}");
        for user in 1..=40 {
            let texts = texts(&world, user).await;
            assert!(!texts.iter().any(|text| text == TEXT), "user {user}: {texts:?}");
        }
        assert!(daemon.terminate().await.success(), "{}", data.read_log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_limits_hold_over_a_kill_and_a_wait_is_obeyed() {
    let (data, people_count) = (DataDir::default(), 90);
    let world = World::start(SandboxConfig { limits: Limits::Published, ..SandboxConfig::default() }).await;
    prepared(&world, &data, people_count, 0).await;
    chats(&world, people_count, 0).await;
    control(&world, "chats/90/role", json!({"role": "kicked"})).await;
    let daemon = Daemon::start(&world, &data).await;
    world.fault(&json!({"target": "bot", "kind": "flood_wait", "count": 1, "wait": 2})).await;
    let (status, made) = Api::of(&data).post("", Some(json!({"kind": "system", "text": TEXT}))).await;
    assert_eq!(status, 201, "{made}");
    let id = made["announcement"]["id"].as_str().unwrap().to_owned();
    eventually("the first third", || async { (counts(&world).await.len() >= 30).then_some(()) }).await;
    daemon.kill();
    let daemon = Daemon::start(&world, &data).await;
    let done = completed(&data, &id).await;
    assert_eq!(done["progress"]["recipients"], 90);
    // Whether the daemon hears of the block before it meets it is chance.
    let outcome = |state: &str| done["progress"]["outcomes"][state].as_u64().unwrap_or(0);
    assert_eq!(outcome("unreachable") + outcome("skipped"), 1, "{done}");
    assert!(counts(&world).await.values().all(|count| *count == 1));
    let violations = world.get("/sandbox/violations").await;
    let broken: Vec<_> =
        violations.as_object().unwrap().keys().filter(|rule| rule.starts_with("bot.")).collect();
    assert!(broken.is_empty(), "{violations}");
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}

/// What cannot be announced is refused, and says where.
async fn unsound_orders_are_refused(api: &Api) {
    for (order, pointer) in [
        (json!({"kind": "promotion", "text": "Only $5: https://paypal.me/x"}), "/text"),
        (json!({"kind": "promotion", "text": "Pro for 5 EUR"}), "/text"),
        (json!({"kind": "system", "text": ""}), "/text"),
        (
            json!({"kind": "system", "text": "x", "audience": {"linked_chats": false, "channels": false}}),
            "/audience",
        ),
        (json!({"kind": "system", "text": "x", "who": "all"}), "/who"),
    ] {
        let (status, refused) = api.post("", Some(order)).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (400, &json!(pointer)), "{refused}");
    }
    for (order, pointer) in [
        (json!({"kind": "system", "text": "x", "audience": {"plans": ["gold"]}}), "/audience/plans"),
        (json!({"kind": "system", "text": "x", "send_at": "2020-01-01T00:00:00Z"}), "/send_at"),
        (json!({"kind": "system", "text": "x", "send_at": "2099-01-01T00:00:00Z"}), "/send_at"),
        (json!({"kind": "system", "text": "x", "send_at": "+262142-12-31T23:59:59Z"}), "/send_at"),
    ] {
        let (status, refused) = api.post("", Some(order)).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (400, &json!(pointer)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_answers_people_and_announcements_are_checked() {
    let data = DataDir::default();
    let world = World::start(SandboxConfig::default()).await;
    let env = [("SWITCHYARD_BOT__ACCOUNT_PAGE", "https://switchyard.example/account")];
    let daemon = Daemon::start_with(&world, &data, &env).await;
    let say = async |text: &str, answers: usize| {
        control(&world, "chats/2001/messages", json!({ "text": text })).await;
        let bot = world.sandbox.seed().bot.id.to_string();
        let answer = eventually("an answer of the bot", || async {
            let page = world.get("/sandbox/bot/chats/2001/messages").await;
            let own = |item: &&Value| item["from"] == bot.as_str();
            let texts: Vec<_> = page["items"].as_array().unwrap().iter().filter(own).collect();
            (texts.len() >= answers).then(|| texts.last().unwrap()["text"].as_str().unwrap().to_owned())
        });
        answer.await
    };
    assert!(say("/start", 1).await.contains("/privacy"));
    assert!(say("/start wrong", 2).await.contains("unknown"));
    assert!(say("/privacy", 3).await.contains("Stored about this chat"));
    assert!(say("/stop", 4).await.contains("not linked"));
    world.fault(&json!({"target": "bot", "kind": "drop_connection", "count": 3})).await;
    assert!(say("my login code is 12345", 5).await.contains("Never send codes"));
    assert!(!data.read_log().contains(world.sandbox.seed().bot.token.reveal()), "the token is in the log");

    let api = Api::of(&data);
    unsound_orders_are_refused(&api).await;
    let offer = "More pairs: https://switchyard.example/account/plans & soon";
    let (status, shown) =
        api.post("", Some(json!({"kind": "promotion", "text": offer, "preview": true}))).await;
    assert_eq!(status, 200, "nothing is made: {shown}");
    assert_eq!(
        (&shown["announcement"], &shown["preview"]["recipients"]),
        (&Value::Null, &json!(0)),
        "{shown}"
    );
    let html = shown["preview"]["html"].as_str().unwrap();
    assert!(html.contains("plans &amp; soon") && html.contains("/offers_off"), "{html}");
    let far = SystemClock.now() + chrono::TimeDelta::days(30);
    let later = json!({"kind": "system", "text": "later", "send_at": far});
    let (status, made) = api.post("", Some(later)).await;
    assert_eq!(status, 201, "{made}");
    let id = made["announcement"]["id"].as_str().unwrap();
    assert_eq!(api.get(id).await["state"], "scheduled");
    assert_eq!(api.post(&format!("/{id}/resume"), None).await.0, 409, "it was not cancelled");
    assert_eq!(api.post(&format!("/{id}/cancel"), None).await.1["state"], "cancelled");
    assert_eq!(api.post(&format!("/{id}/resume"), None).await.1["state"], "scheduled");
    let (_, listed) = api.call(reqwest::Method::GET, "?limit=1", None).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let absent = api.call(reqwest::Method::GET, &format!("/{}", Uuid::nil()), None).await;
    assert_eq!(absent.0, 404);
    tokio::time::timeout(Duration::from_secs(60), daemon.terminate())
        .await
        .expect("a drain does not wait for polls");
}
