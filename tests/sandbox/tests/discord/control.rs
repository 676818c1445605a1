//! The control API: shapes, defaults, and refusals as problem documents.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{self, World};

#[tokio::test]
async fn the_identity_names_everything_that_was_seeded() {
    let world = harness::start().await;
    let (status, identity) = world.control(Method::GET, "", None).await;
    assert_eq!(status, StatusCode::OK);
    let seed = world.sandbox.seed();
    assert_eq!(identity["seed"], json!(7));
    assert_eq!(identity["limits"], json!("none"));
    assert_eq!(identity["control"], json!(world.sandbox.control_url()));
    let telegram = json!({
        "dc_id": 2,
        "address": world.sandbox.telegram_address().to_string(),
        "api_id": 1,
        "api_hash": seed.telegram.api_hash,
    });
    assert_eq!(identity["telegram"], telegram);
    let discord = world.sandbox.discord_address();
    let expected =
        json!({"api_base": format!("http://{discord}"), "gateway": format!("ws://{discord}/gateway")});
    assert_eq!(identity["discord"], expected);
    assert_eq!(identity["user"], json!({"id": seed.user.id, "name": seed.user.name}));
    let user = json!({
        "id": seed.telegram.users[0].account,
        "kind": "telegram_user",
        "name": "Telegram User 1",
        "platform_id": "1001",
        "phone": seed.telegram.users[0].phone,
        "code": seed.telegram.users[0].code.reveal(),
    });
    assert_eq!(identity["accounts"][0], user);
    let bot = json!({
        "id": world.bot(0).account,
        "kind": "discord_bot",
        "name": "switchyard-1",
        "platform_id": world.bot(0).id.to_string(),
        "token": world.bot(0).token.reveal(),
    });
    assert_eq!(identity["accounts"][1], bot);
    let chat = json!({
        "platform": "telegram", "chat": "-1001000000001", "title": "Source 1", "readable": true, "writable": true,
    });
    assert_eq!(identity["chats"][0], chat);
    // Three sources and three targets, one protected group, one broadcast channel, two read-only channels.
    assert_eq!(identity["chats"].as_array().unwrap().len(), 10);
    let pair = json!({
        "id": seed.pairs[0].id,
        "source": {"platform": "telegram", "chat": "-1001000000001", "account": user["id"]},
        "target": {"platform": "discord", "chat": world.channel(0, 0), "account": bot["id"]},
    });
    assert_eq!(identity["pairs"][0], pair);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn messages_are_written_listed_changed_and_deleted() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let path = format!("/discord/chats/{channel}/messages");
    let first = world.write(&channel, "first").await;
    let body = json!({"from": "ines", "text": "second", "reply_to": first, "media": null, "album": []});
    let (status, second) = world.control(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::OK);
    let second = second["id"].as_str().unwrap();
    let (_, listed) = world.control(Method::GET, &format!("{path}?after=&limit=1000"), None).await;
    let persons = &world.sandbox.seed().discord.persons;
    let expected = json!({
        "id": first, "from": persons[0].id.to_string(), "text": "first", "entities": [], "media": null,
        "album": [], "reply_to": null, "edited_at": null, "at": listed["items"][0]["at"],
    });
    assert_eq!(listed["items"][0], expected);
    assert_eq!(listed["items"][1]["from"], json!(persons[2].id.to_string()));
    assert_eq!(listed["items"][1]["reply_to"], json!(first));
    let (_, after) = world.control(Method::GET, &format!("{path}?after={first}"), None).await;
    assert_eq!(after["items"].as_array().unwrap().len(), 1);
    let (_, one) = world.control(Method::GET, &format!("{path}?limit=1"), None).await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let (status, edited) =
        world.control(Method::PATCH, &format!("{path}/{second}"), Some(json!({"text": "changed"}))).await;
    assert_eq!((status, &edited["text"]), (StatusCode::OK, &json!("changed")));
    assert!(edited["edited_at"].is_string());
    let (_, got) = world.control(Method::GET, &format!("{path}/{second}"), None).await;
    assert_eq!(got, edited);
    let (status, _) = world.control(Method::DELETE, &format!("{path}/{first}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.texts(&channel).await, ["changed"]);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn both_platforms_are_driven_in_one_shape() {
    let world = harness::start().await;
    let path = format!("/telegram/chats/{}/messages", world.sandbox.seed().pairs[0].source.chat);
    let entities = json!([{"type": "bold", "offset": 0, "length": 4}]);
    let body = json!({"text": "bold 😀", "entities": entities});
    let (status, answer) = world.control(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    world.write(&world.channel(0, 0), "plain").await;
    let (_, there) = world.control(Method::GET, &path, None).await;
    let discord = format!("/discord/chats/{}/messages", world.channel(0, 0));
    let (_, here) = world.control(Method::GET, &discord, None).await;
    let (there, here) = (there["items"].as_array().unwrap(), here["items"].as_array().unwrap());
    let keys = |item: &Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(there.last().unwrap()), keys(&here[0]));
    assert_eq!(there.last().unwrap()["id"], answer["id"]);
    assert_eq!(there.last().unwrap()["entities"], entities);
    let own = json!(world.sandbox.seed().telegram.users[0].user_id.to_string());
    assert_ne!(there.last().unwrap()["from"], own, "somebody else writes");
    world.sandbox.stop().await;
}

async fn refused(world: &World, method: Method, path: &str, body: Option<Value>, status: u16, code: &str) {
    let (seen, problem) = world.control(method.clone(), path, body).await;
    assert_eq!((seen.as_u16(), &problem["code"]), (status, &json!(code)), "{method} {path}: {problem}");
    assert_eq!(problem["status"], json!(status));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    assert_eq!(problem["type"], json!(format!("urn:switchyard:sandbox:{code}")));
}

#[tokio::test]
async fn refusals_are_problem_documents() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let messages = format!("/discord/chats/{channel}/messages");
    let post = |body: Value| refused(&world, Method::POST, &messages, Some(body), 422, "invalid_field");
    post(json!({"text": "x", "media": {}})).await;
    post(json!({"text": "x", "album": [{}]})).await;
    post(json!({"text": "x", "poll": {}})).await;
    post(json!({"text": 5})).await;
    post(json!({"text": " "})).await;
    post(json!({"text": "x".repeat(2001)})).await;
    post(json!({"text": "x", "from": "nobody"})).await;
    post(json!({"text": "x", "from": world.bot(0).id.to_string()})).await;
    post(json!({"text": "x", "reply_to": "5"})).await;
    post(json!({"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 1}]})).await;
    let get = |path: String, status, code| {
        let world = &world;
        async move { refused(world, Method::GET, &path, None, status, code).await }
    };
    get(format!("{messages}?limit=0"), 422, "invalid_field").await;
    get(format!("{messages}?limit=1001"), 422, "invalid_field").await;
    get(format!("{messages}?before=5"), 422, "invalid_field").await;
    get("/discord/chats/5/messages".into(), 404, "unknown_chat").await;
    get(format!("{messages}/5"), 404, "unknown_message").await;
    get("/mail".into(), 404, "unknown_route").await;
    get("/matrix/chats/5/messages".into(), 404, "unknown_route").await;
    refused(&world, Method::PUT, &messages, None, 405, "method_not_allowed").await;
    refused(&world, Method::POST, &messages, None, 400, "malformed_body").await;
    let large = json!({"text": "x".repeat(300_000)});
    refused(&world, Method::POST, &messages, Some(large), 413, "body_too_large").await;
    assert!(world.texts(&channel).await.is_empty());
    world.sandbox.stop().await;
}

#[tokio::test]
async fn faults_clock_and_keys_are_checked() {
    let world = harness::start().await;
    let account = world.bot(0).account;
    let faults = [
        json!({"target": "discord", "kind": "slow"}),
        json!({"target": "discord", "kind": "slow", "count": 1, "seconds": 1}),
        json!({"target": "discord", "kind": "slow", "count": 0}),
        json!({"target": "discord", "kind": "slow", "count": 1, "wait": -1}),
        json!({"target": "discord", "kind": "earthquake", "count": 1}),
        json!({"target": "matrix", "kind": "slow", "count": 1}),
        json!({"target": "018f0000-0000-7000-8000-000000000000", "kind": "slow", "count": 1}),
    ];
    for fault in faults {
        refused(&world, Method::POST, "/faults", Some(fault), 422, "invalid_field").await;
    }
    world.fault(json!({"target": account, "kind": "flood_wait", "count": 3, "wait": 7})).await;
    world.fault(json!({"target": "telegram", "kind": "drop_connection", "seconds": 30})).await;
    let (_, listed) = world.control(Method::GET, "/faults", None).await;
    let first = json!({"target": account, "kind": "flood_wait", "count": 3, "wait": 7.0});
    assert_eq!(listed["items"][0], first);
    assert_eq!(listed["items"][1]["target"], json!("telegram"));
    let clock = [json!({}), json!({"advance_seconds": -1}), json!({"advance_seconds": 1e12})];
    for body in clock {
        refused(&world, Method::POST, "/clock", Some(body), 422, "invalid_field").await;
    }
    let (status, clock) = world.control(Method::POST, "/clock", Some(json!({"advance_seconds": 90.5}))).await;
    assert_eq!((status, &clock["offset_seconds"]), (StatusCode::OK, &json!(90.5)));
    let keys = "/telegram/auth-keys";
    refused(&world, Method::POST, keys, Some(json!({"auth_key": "00"})), 422, "invalid_field").await;
    let body = json!({"auth_key": "00".repeat(256), "user_id": "x"});
    refused(&world, Method::POST, keys, Some(body), 422, "invalid_field").await;
    assert_eq!(world.violations().await, json!({}));
    world.sandbox.stop().await;
}
