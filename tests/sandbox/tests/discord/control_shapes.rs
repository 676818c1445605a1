//! The control API's shapes on the Telegram side, its order and its limits, and what it does not have yet.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{self, World, config};
use switchyard_sandbox::Limits;

fn source(world: &World) -> String {
    format!("/telegram/chats/{}/messages", world.sandbox.seed().pairs[0].source.chat)
}

#[tokio::test]
async fn an_item_has_every_field_and_its_entities() {
    let world = harness::start().await;
    let path = source(&world);
    let entities = json!([
        {"type": "text_link", "offset": 0, "length": 4, "url": "https://example.org"},
        {"type": "pre", "offset": 5, "length": 2, "language": "rust"},
        {"type": "text_mention", "offset": 8, "length": 1, "user": {"id": 2002}},
        {"type": "custom_emoji", "offset": 9, "length": 1, "custom_emoji_id": "5368324170671202286"},
    ]);
    let body =
        json!({"from": "2003", "text": "link 😀 ab", "entities": entities, "media": null, "album": []});
    let (status, posted) = world.control(Method::POST, &path, Some(body)).await;
    assert_eq!((status, &posted), (StatusCode::OK, &json!({"id": "2"})));
    let (_, listed) = world.control(Method::GET, &path, None).await;
    let at = listed["items"][0]["at"].clone();
    assert!(at.is_string());
    let item = json!({
        "id": "2", "from": "2003", "text": "link 😀 ab", "entities": entities, "media": null, "album": [],
        "reply_to": null, "edited_at": null, "at": at,
    });
    assert_eq!(listed, json!({"items": [item]}));
    assert_eq!(world.control(Method::GET, &format!("{path}/2"), None).await.1, item);
    let bold = json!([{"type": "bold", "offset": 0, "length": 3}]);
    let change = json!({"text": "now bold", "entities": bold});
    let (_, edited) = world.control(Method::PATCH, &format!("{path}/2"), Some(change)).await;
    assert_eq!((&edited["text"], &edited["entities"]), (&json!("now bold"), &bold));
    assert!(edited["edited_at"].is_string());
    let reply = json!({"text": "an answer", "reply_to": "2"});
    let (_, posted) = world.control(Method::POST, &path, Some(reply)).await;
    let (_, answer) =
        world.control(Method::GET, &format!("{path}/{}", posted["id"].as_str().unwrap()), None).await;
    assert_eq!(answer["reply_to"], json!("2"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_text_has_at_most_4096_utf16_units() {
    let world = harness::start().await;
    let path = source(&world);
    for (text, status) in [
        ("a".repeat(4096), StatusCode::OK),
        ("😀".repeat(2048), StatusCode::OK),
        ("a".repeat(4097), StatusCode::UNPROCESSABLE_ENTITY),
        ("😀".repeat(2048) + "a", StatusCode::UNPROCESSABLE_ENTITY),
        (" \n ".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(world.control(Method::POST, &path, Some(json!({"text": text}))).await.0, status);
        let patched = world.control(Method::PATCH, &format!("{path}/2"), Some(json!({"text": text}))).await;
        assert_eq!(patched.0, status);
    }
    let (_, listed) = world.control(Method::GET, &path, None).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    world.sandbox.stop().await;
}

/// Pages through a chat, `limit` messages at a time.
async fn pages(world: &World, path: &str, limit: &str) -> (Vec<String>, usize) {
    let (mut texts, mut after, mut calls) = (Vec::new(), String::new(), 0);
    loop {
        let (_, page) =
            world.control(Method::GET, &format!("{path}?after={after}&limit={limit}"), None).await;
        calls += 1;
        let items = page["items"].as_array().unwrap();
        let Some(last) = items.last() else { return (texts, calls) };
        after = last["id"].as_str().unwrap().to_owned();
        texts.extend(items.iter().map(|item| item["text"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn pages_after_an_id_hold_every_message_once_oldest_first() {
    let world = harness::start().await;
    let chat = &world.sandbox.seed().pairs[0].source.chat;
    let target = world.channel(0, 0);
    let new = |n: usize| switchyard_sandbox::messages::NewMessage {
        from: None,
        text: n.to_string(),
        entities: Vec::new(),
        reply_to: None,
    };
    for n in 0..1_500 {
        world.sandbox.telegram().post_message(chat, &new(n)).unwrap();
        world.sandbox.discord().post_message(&target, &new(n)).unwrap();
    }
    let all: Vec<_> = (0..1_500).map(|n| n.to_string()).collect();
    for path in [source(&world), format!("/discord/chats/{target}/messages")] {
        let (_, first) = world.control(Method::GET, &path, None).await;
        assert_eq!(first["items"].as_array().unwrap().len(), 1_000, "at most 1000 without being asked");
        assert_eq!(pages(&world, &path, "1000").await, (all.clone(), 3));
        assert_eq!(pages(&world, &path, "7").await, (all.clone(), 216));
        // A message that is gone still marks its place.
        let id = first["items"][10]["id"].as_str().unwrap().to_owned();
        world.control(Method::DELETE, &format!("{path}/{id}"), None).await;
        let (_, page) = world.control(Method::GET, &format!("{path}?after={id}&limit=1"), None).await;
        assert_eq!(page["items"][0]["text"], json!("11"));
        for query in ["after=x", "after=1.5", "limit=0", "limit=1001", "limit=-1", "limit=x", "before=1"] {
            let (status, problem) = world.control(Method::GET, &format!("{path}?{query}"), None).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}?{query}: {problem}");
        }
    }
    world.sandbox.stop().await;
}

#[tokio::test]
async fn what_comes_later_is_refused_and_what_does_not_exist_is_not_found() {
    let world = harness::start().await;
    let path = source(&world);
    for (field, value) in [
        ("media", json!({"kind": "photo"})),
        ("album", json!([{"kind": "photo"}])),
        ("buttons", json!([])),
        ("from", json!("nobody")),
        ("from", json!("1002")),
        ("reply_to", json!("99")),
        ("entities", json!([{"type": "bold", "offset": 0, "length": 9}])),
        ("entities", json!([{"type": "sparkling", "offset": 0, "length": 1}])),
        ("entities", json!([{"type": "text_link", "offset": 0, "length": 1}])),
        ("entities", json!([{"type": "custom_emoji", "offset": 0, "length": 1, "custom_emoji_id": "x"}])),
    ] {
        let mut body = json!({"text": "x"});
        body[field] = value;
        let (status, problem) = world.control(Method::POST, &path, Some(body.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {problem}");
    }
    for (method, path) in [
        (Method::GET, "/mail"),
        (Method::GET, "/bot/nothing"),
        (Method::POST, "/paypal/webhooks"),
        (Method::POST, "/nowpayments/ipn"),
        (Method::GET, "/"),
        (Method::GET, "/faults/"),
        (Method::GET, "/telegram/chats/-100/messages"),
        (Method::GET, "/telegram/chats/5/messages"),
        (Method::GET, "/telegram/chats/x/messages"),
        (Method::DELETE, &format!("{path}/99")),
        (Method::PATCH, &format!("{path}/1")),
    ] {
        let (status, problem) = world.control(method.clone(), path, Some(json!({"text": "x"}))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {problem}");
    }
    let beside = format!("{}/sandboxes", world.sandbox.control_url());
    assert_eq!(reqwest::get(beside).await.unwrap().status(), StatusCode::NOT_FOUND);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn every_seeded_chat_is_named_and_can_be_read() {
    let world = harness::start().await;
    let (_, identity) = world.control(Method::GET, "", None).await;
    let chats = identity["chats"].as_array().unwrap();
    let titles: Vec<_> = chats.iter().map(|chat| chat["title"].as_str().unwrap()).collect();
    for title in
        ["Source 3", "News of Telegram User 1", "Protected of Telegram User 1", "target-3", "read-only"]
    {
        assert!(titles.contains(&title), "{title} in {titles:?}");
    }
    for chat in chats {
        let (platform, id) = (chat["platform"].as_str().unwrap(), chat["chat"].as_str().unwrap());
        let path = format!("/{platform}/chats/{id}/messages");
        assert_eq!(world.control(Method::GET, &path, None).await.0, StatusCode::OK, "{chat}");
        assert!(chat["writable"].is_boolean());
    }
    world.sandbox.stop().await;
}

#[tokio::test]
async fn the_same_seed_is_the_same_world() {
    let (one, two) = (World::start(config(Limits::None)).await, World::start(config(Limits::None)).await);
    let identity = async |world: &World| {
        let (_, mut identity) = world.control(Method::GET, "", None).await;
        for field in ["control", "discord"] {
            identity[field] = Value::Null;
        }
        identity["telegram"]["address"] = Value::Null;
        identity["bot"]["api_base"] = Value::Null;
        identity
    };
    assert_eq!(identity(&one).await, identity(&two).await);
    for n in 0..5 {
        let body = json!({"text": n.to_string()});
        let first = one.control(Method::POST, &source(&one), Some(body.clone())).await;
        let second = two.control(Method::POST, &source(&two), Some(body)).await;
        assert_eq!(first, second, "the same ids");
    }
    one.sandbox.stop().await;
    two.sandbox.stop().await;
}
