//! Faults on demand at Discord's REST API: who is struck, and what took effect.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{self, DEADLINE, World, parts};

async fn status(world: &World, bot: usize, channel: &str) -> StatusCode {
    world.send(bot, channel, json!({"content": "x"})).await.unwrap().status()
}

#[tokio::test]
async fn a_flood_wait_binds_one_account_until_it_is_over() {
    let world = harness::start().await;
    let (one, two) = (world.channel(0, 0), world.channel(1, 0));
    let account = world.bot(0).account;
    world.fault(json!({"target": account, "kind": "flood_wait", "count": 1, "wait": 60})).await;
    let me = world.call(0, Method::GET, "/users/@me", None).await.unwrap();
    assert_eq!(me.status(), StatusCode::OK, "it strikes at a write");
    let refused = world.send(0, &one, json!({"content": "x"})).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "60");
    assert_eq!(refused.headers()["x-ratelimit-scope"], "global");
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["retry_after"], &body["global"]), (&json!(60.0), &json!(true)));
    assert_eq!(status(&world, 1, &two).await, StatusCode::OK, "the other account is free");
    assert_eq!(world.violations().await, json!({}));
    assert_eq!(status(&world, 0, &world.channel(0, 1)).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.violations().await["discord.call_during_wait"], json!(1));
    world.advance(60.0).await;
    assert_eq!(status(&world, 0, &one).await, StatusCode::OK);
    assert_eq!(world.texts(&one).await.len(), 1);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_slow_mode_binds_all_who_write_in_a_channel_and_counts_against_nobody() {
    let world = harness::start().await;
    let (slow, free) = (world.channel(0, 0), world.channel(0, 1));
    let target = format!("discord:{slow}");
    world.fault(json!({"target": target, "kind": "slowmode_wait", "count": 1, "wait": 30})).await;
    assert_eq!(status(&world, 0, &free).await, StatusCode::OK, "another channel");
    let refused = world.send(0, &slow, json!({"content": "x"})).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-scope"], "shared");
    assert!(refused.headers().get("x-ratelimit-global").is_none());
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["retry_after"], &body["global"]), (&json!(30.0), &json!(false)));
    assert_eq!(world.violations().await, json!({}));
    assert_eq!(status(&world, 0, &slow).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.violations().await, json!({"discord.call_during_wait": 1}), "no invalid request");
    assert_eq!(status(&world, 0, &free).await, StatusCode::OK);
    world.advance(30.0).await;
    assert_eq!(status(&world, 0, &slow).await, StatusCode::OK);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_server_error_has_no_effect() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    world.fault(json!({"target": "discord", "kind": "server_error", "count": 2})).await;
    assert_eq!(status(&world, 0, &channel).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(&world, 1, &world.channel(1, 0)).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(status(&world, 0, &channel).await, StatusCode::OK);
    assert_eq!(world.texts(&channel).await.len(), 1);
    world.fault(json!({"target": "discord", "kind": "server_error", "count": 1})).await;
    assert!(world.http(0).get_gateway().await.is_err(), "GET /gateway fails too");
    world.fault(json!({"target": "discord", "kind": "server_error", "seconds": 60})).await;
    assert_eq!(status(&world, 0, &channel).await, StatusCode::INTERNAL_SERVER_ERROR);
    let (status_code, _) = world.control(Method::DELETE, "/faults", None).await;
    assert_eq!(status_code, StatusCode::NO_CONTENT);
    assert_eq!(status(&world, 0, &channel).await, StatusCode::OK);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_lost_answer_leaves_a_message_that_its_nonce_finds() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    world.fault(json!({"target": "discord", "kind": "lost_answer", "count": 1})).await;
    let body = json!({"content": "sent", "nonce": "n", "enforce_nonce": true});
    assert!(world.send(0, &channel, body.clone()).await.is_err(), "no answer comes");
    assert_eq!(world.texts(&channel).await, ["sent"]);
    let (status, repeated) = parts(world.send(0, &channel, body).await).await;
    assert_eq!((status, &repeated["content"]), (StatusCode::OK, &json!("sent")));
    assert_eq!(world.texts(&channel).await, ["sent"]);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_dropped_connection_has_no_effect() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    world.fault(json!({"target": "discord", "kind": "drop_connection", "count": 1})).await;
    assert!(world.send(0, &channel, json!({"content": "x"})).await.is_err());
    assert!(world.texts(&channel).await.is_empty());
    assert_eq!(status(&world, 0, &channel).await, StatusCode::OK);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_effect() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    world.fault(json!({"target": "discord", "kind": "slow", "count": 1, "wait": 3600})).await;
    let sending = world.send(0, &channel, json!({"content": "x"}));
    let seen = async {
        while world.texts(&channel).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = sending => panic!("answered before the wait was over: {answer:?}"),
        seen = tokio::time::timeout(DEADLINE, seen) => seen.unwrap(),
    }
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_account_that_is_unauthorised_is_told_so_and_others_are_not() {
    let world = harness::start().await;
    let (one, two) = (world.channel(0, 0), world.channel(1, 0));
    world.fault(json!({"target": world.bot(0).account, "kind": "unauthorized", "seconds": 60})).await;
    let (_, listed) = world.control(Method::GET, "/faults", None).await;
    assert_eq!(listed["items"][0]["kind"], json!("unauthorized"));
    let (status_code, body) = parts(world.send(0, &one, json!({"content": "x"})).await).await;
    assert_eq!(status_code, StatusCode::UNAUTHORIZED);
    assert_eq!(body, json!({"message": "401: Unauthorized", "code": 0}));
    let me = world.call(0, Method::GET, "/users/@me", None).await.unwrap();
    assert_eq!(me.status(), StatusCode::UNAUTHORIZED);
    assert!(world.texts(&one).await.is_empty());
    assert!(world.http(0).get_gateway().await.is_ok(), "needs no token");
    assert_eq!(status(&world, 1, &two).await, StatusCode::OK);
    world.control(Method::DELETE, "/faults", None).await;
    assert_eq!(status(&world, 0, &one).await, StatusCode::OK);
    world.fault(json!({"target": "discord", "kind": "unauthorized", "count": 1})).await;
    assert_eq!(status(&world, 1, &two).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&world, 1, &two).await, StatusCode::OK);
    assert_eq!(world.violations().await, json!({}), "the bots did nothing wrong");
    world.sandbox.stop().await;
}
