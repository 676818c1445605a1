//! Rate limits as clients see them: headers, 429s, and what is counted.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{self, World, limited, number, parts};

#[tokio::test]
async fn every_answer_shows_its_bucket() {
    let world = World::start(limited()).await;
    let channel = world.channel(0, 0);
    let sent = world.send(0, &channel, json!({"content": "x"})).await.unwrap();
    assert_eq!(number(&sent, "x-ratelimit-limit"), 5.0);
    assert_eq!(number(&sent, "x-ratelimit-remaining"), 4.0);
    assert_eq!(number(&sent, "x-ratelimit-reset-after"), 5.0);
    assert!(number(&sent, "x-ratelimit-reset") > 1_700_000_000.0);
    let hash = sent.headers()["x-ratelimit-bucket"].clone();
    let failed = world.send(0, &channel, json!({})).await.unwrap();
    assert_eq!(failed.status(), StatusCode::BAD_REQUEST);
    assert_eq!(number(&failed, "x-ratelimit-remaining"), 3.0, "a refused body counts as well");
    assert_eq!(failed.headers()["x-ratelimit-bucket"], hash);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn the_sixth_message_in_five_seconds_is_refused_and_counted() {
    let world = World::start(limited()).await;
    let channel = world.channel(0, 0);
    for n in 0..5 {
        let sent = world.send(0, &channel, json!({"content": format!("{n}")})).await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    assert_eq!(world.violations().await, json!({}));
    world.advance(0.5).await;
    let refused = world.send(0, &channel, json!({"content": "5"})).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-scope"], "user");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0.0);
    let header = number(&refused, "retry-after");
    let body: Value = refused.json().await.unwrap();
    let exact = body["retry_after"].as_f64().unwrap();
    assert_eq!((exact, header), (4.5, 5.0), "the header is whole seconds");
    assert_eq!(body["global"], json!(false));
    assert_eq!(body["message"], json!("You are being rate limited."));
    let again = world.send(0, &channel, json!({"content": "6"})).await.unwrap();
    assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
    let counted =
        json!({"discord.rate_limit": 1, "discord.call_during_wait": 1, "discord.invalid_request": 2});
    assert_eq!(world.violations().await, counted);
    let other = world.channel(0, 1);
    let (status, _) = parts(world.send(0, &other, json!({"content": "x"})).await).await;
    assert_eq!(status, StatusCode::OK, "another channel has a bucket of its own");
    world.advance(4.5).await;
    let (status, _) = parts(world.send(0, &channel, json!({"content": "7"})).await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.texts(&channel).await, ["0", "1", "2", "3", "4", "7"]);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_address_with_too_many_invalid_requests_is_shut_out_in_html() {
    let mut config = limited();
    config.discord.max_invalid_requests = 3;
    let world = World::start(config).await;
    for _ in 0..3 {
        let answer = world.call_as("Bot nobody", Method::GET, "/users/@me", None).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let answer = world.call(0, Method::GET, "/users/@me", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().get("retry-after").is_none());
    assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    world.advance(3600.0).await;
    let answer = world.call(0, Method::GET, "/users/@me", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn without_limits_a_storm_is_taken_in() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    for n in 0..300 {
        let sent = world.send(0, &channel, json!({"content": format!("{n}")})).await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        assert!(number(&sent, "x-ratelimit-remaining") > 900_000.0);
    }
    assert_eq!(world.violations().await, json!({}));
    world.sandbox.stop().await;
}
