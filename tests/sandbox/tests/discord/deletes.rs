//! Edits, deletes and replies as the gateway tells of them, and what link previews do to edits.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway_protocol::Socket;
use crate::harness::{self, parts};

#[tokio::test]
async fn many_messages_go_at_a_time() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(world.write(&channel, &n.to_string()).await);
    }
    let (mut socket, _) = Socket::ready(&world).await;
    let path = format!("/channels/{channel}/messages/bulk-delete");
    let bulk = |ids: &[String]| json!({"messages": ids});
    let (_, refused) = parts(world.call(0, Method::POST, &path, Some(&bulk(&ids[..2]))).await).await;
    assert_eq!(refused["code"], json!(50013));
    let rights = format!("/discord/bots/{}/permissions", world.bot(0).account);
    world.control(Method::POST, &rights, Some(json!({"manage_messages": true}))).await;
    let (_, refused) = parts(world.call(0, Method::POST, &path, Some(&bulk(&ids[..1]))).await).await;
    assert_eq!(refused["code"], json!(50016));
    let old = json!({"messages": [ids[0], "175928847299117063"]});
    let (_, refused) = parts(world.call(0, Method::POST, &path, Some(&old)).await).await;
    assert_eq!(refused["code"], json!(50034));
    let (status, _) = parts(world.call(0, Method::POST, &path, Some(&bulk(&ids[..2]))).await).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let told = socket.payload().await;
    let guild = world.bot(0).guild.to_string();
    let expected = json!({"ids": ids[..2], "channel_id": channel, "guild_id": guild});
    assert_eq!((&told["t"], &told["d"]), (&json!("MESSAGE_DELETE_BULK"), &expected));
    let path = format!("/discord/chats/{channel}/messages/bulk-delete");
    let (status, _) = world.control(Method::POST, &path, Some(json!({"ids": ids[2..4]}))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(socket.payload().await["d"]["ids"], json!(ids[2..4]));
    let (status, _) = world.control(Method::POST, &path, Some(json!({"ids": ids[..1]}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is gone already");
    let own = format!("/channels/{channel}/messages/{}", ids[4]);
    let (status, _) = parts(world.call(0, Method::DELETE, &own, None).await).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "with the permission, others' messages as well");
    assert_eq!(socket.payload().await["d"]["id"], json!(ids[4]));
    assert_eq!(world.texts(&channel).await, ["5"]);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_preview_of_a_link_comes_as_an_update_that_is_no_edit() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let (mut socket, _) = Socket::ready(&world).await;
    let id = world.write(&channel, "see https://example.org/x").await;
    let created = socket.payload().await;
    assert_eq!((&created["t"], &created["d"]["embeds"]), (&json!("MESSAGE_CREATE"), &json!([])));
    let update = socket.payload().await;
    assert_eq!((&update["t"], &update["d"]["id"]), (&json!("MESSAGE_UPDATE"), &json!(id)));
    assert_eq!(update["d"]["edited_timestamp"], Value::Null);
    assert_eq!(update["d"]["content"], json!("see https://example.org/x"));
    assert_eq!(update["d"]["embeds"][0]["url"], json!("https://example.org/x"));
    world.fault(json!({"target": "discord", "kind": "partial_update", "count": 1})).await;
    world.write(&channel, "https://example.org/y").await;
    assert_eq!(socket.payload().await["t"], json!("MESSAGE_CREATE"));
    let partial = socket.payload().await["d"].clone();
    let names: Vec<_> = partial.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["channel_id", "embeds", "guild_id", "id"], "neither author nor text");
    world.write(&channel, "<https://example.org/z>").await;
    assert_eq!(socket.payload().await["t"], json!("MESSAGE_CREATE"));
    let path = format!("/discord/chats/{channel}/messages/{id}");
    world.control(Method::PATCH, &path, Some(json!({"text": "edited"}))).await;
    let edited = socket.payload().await["d"].clone();
    assert_eq!((&edited["content"], &edited["author"]["username"]), (&json!("edited"), &json!("gail")));
    assert!(edited["edited_timestamp"].is_string());
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_reply_names_its_message_and_one_to_nothing_is_refused_or_no_reply() {
    let world = harness::start().await;
    let (channel, elsewhere) = (world.channel(0, 0), world.channel(0, 1));
    let asked = world.write(&channel, "a question").await;
    let reply = |extra: Value| {
        let mut reference = json!({"message_id": asked});
        reference.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"content": "an answer", "message_reference": reference})
    };
    let (_, sent) = parts(world.send(0, &channel, reply(json!({"channel_id": channel}))).await).await;
    assert_eq!((&sent["type"], &sent["message_reference"]["message_id"]), (&json!(19), &json!(asked)));
    assert_eq!(sent["referenced_message"]["content"], json!("a question"));
    for wrong in [json!({"message_id": "5"}), json!({"channel_id": elsewhere})] {
        let (status, refused) = parts(world.send(0, &channel, reply(wrong.clone())).await).await;
        assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(50035)), "{wrong}");
        let mut lenient = wrong;
        lenient["fail_if_not_exists"] = json!(false);
        let (status, plain) = parts(world.send(0, &channel, reply(lenient)).await).await;
        assert_eq!((status, &plain["type"]), (StatusCode::OK, &json!(0)), "a message like any other");
    }
    let gone = format!("/discord/chats/{channel}/messages/{asked}");
    world.control(Method::DELETE, &gone, None).await;
    let path = format!("/channels/{channel}/messages/{}", sent["id"].as_str().unwrap());
    let (_, orphan) = parts(world.call(0, Method::GET, &path, None).await).await;
    assert_eq!((&orphan["type"], &orphan["referenced_message"]), (&json!(19), &Value::Null));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn history_shows_no_nonces_and_the_gateway_does() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let (mut socket, _) = Socket::ready(&world).await;
    let body = json!({"content": "once", "nonce": "n", "enforce_nonce": true});
    let (_, sent) = parts(world.send(0, &channel, body.clone()).await).await;
    assert_eq!(sent["nonce"], json!("n"));
    assert_eq!(socket.payload().await["d"]["nonce"], json!("n"));
    let (_, again) = parts(world.send(0, &channel, body).await).await;
    assert_eq!((&again["id"], &again["nonce"]), (&sent["id"], &json!("n")));
    let one = format!("/channels/{channel}/messages/{}", sent["id"].as_str().unwrap());
    let (_, got) = parts(world.call(0, Method::GET, &one, None).await).await;
    let all = format!("/channels/{channel}/messages?limit=100");
    let (_, listed) = parts(world.call(0, Method::GET, &all, None).await).await;
    assert_eq!((&got["content"], got.get("nonce"), listed[0].get("nonce")), (&json!("once"), None, None));
    world.sandbox.stop().await;
}
