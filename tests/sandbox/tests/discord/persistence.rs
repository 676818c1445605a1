//! A world that goes on where it was: after a stop, under a key, and never under another seed.

use std::path::Path;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::{Limits, Sandbox, SandboxConfig, SandboxError, WorldKey};

use crate::harness::{World, config, parts};

fn kept(folder: &Path) -> SandboxConfig {
    SandboxConfig {
        data_dir: Some(folder.to_owned()),
        world_key: Some(WorldKey::new([3; 32])),
        ..config(Limits::None)
    }
}

async fn items(world: &World, channel: &str) -> Value {
    world.control(Method::GET, &format!("/discord/chats/{channel}/messages"), None).await.1
}

#[tokio::test]
async fn a_restart_goes_on_where_the_world_was() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(kept(folder.path())).await;
    let channel = world.channel(0, 0);
    let first = world.write(&channel, "a secret sentence").await;
    let second = world.write(&channel, "to be changed").await;
    let third = world.write(&channel, "to be deleted").await;
    let message = |id: &str| format!("/discord/chats/{channel}/messages/{id}");
    world.control(Method::PATCH, &message(&second), Some(json!({"text": "changed"}))).await;
    world.control(Method::DELETE, &message(&third), None).await;
    let body = json!({"content": "by a bot", "nonce": "n", "enforce_nonce": true});
    let (_, sent) = parts(world.send(0, &channel, body.clone()).await).await;
    world.advance(100.0).await;
    let before = items(&world, &channel).await;
    world.sandbox.stop().await;

    let world = World::start(kept(folder.path())).await;
    assert_eq!(items(&world, &channel).await, before);
    let (_, repeated) = parts(world.send(0, &channel, body).await).await;
    assert_eq!(repeated["id"], sent["id"], "the nonce still stands");
    let offset = world.control(Method::POST, "/clock", Some(json!({"advance_seconds": 0}))).await.1;
    assert_eq!(offset["offset_seconds"], json!(100.0), "time does not go back");
    let later = world.write(&channel, "later").await;
    let number = |id: &str| id.parse::<u64>().unwrap();
    assert!(number(&later) > number(sent["id"].as_str().unwrap()));
    assert!(number(&second) > number(&first));
    let at: DateTime<Utc> =
        serde_json::from_value(items(&world, &channel).await["items"][3]["at"].clone()).unwrap();
    assert!(at > serde_json::from_value::<DateTime<Utc>>(before["items"][2]["at"].clone()).unwrap());
    world.sandbox.stop().await;

    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("secret sentence") && !text.contains("by a bot"));
    }
}

#[tokio::test]
async fn a_restart_keeps_webhooks_rights_threads_and_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(kept(folder.path())).await;
    let channel = world.channel(0, 0);
    let account = world.bot(0).account;
    let rights = format!("/discord/bots/{account}/permissions");
    world.control(Method::POST, &rights, Some(json!({"manage_webhooks": true}))).await;
    let intents = format!("/discord/bots/{account}/intents");
    world.control(Method::POST, &intents, Some(json!({"message_content": false}))).await;
    let hooks = format!("/channels/{channel}/webhooks");
    let (_, made) = parts(world.call(0, Method::POST, &hooks, Some(&json!({"name": "bridge"}))).await).await;
    let (_, gone) = parts(world.call(0, Method::POST, &hooks, Some(&json!({"name": "gone"}))).await).await;
    let path = |hook: &Value| {
        format!("/webhooks/{}/{}", hook["id"].as_str().unwrap(), hook["token"].as_str().unwrap())
    };
    world.call_bare(Method::DELETE, &path(&gone), None).await.unwrap();
    let body = json!({"content": "through a hook", "username": "Ada"});
    let wait = format!("{}?wait=true", path(&made));
    let (_, sent) = parts(world.call_bare(Method::POST, &wait, Some(&body)).await).await;
    let threads = format!("/channels/{channel}/threads");
    let (_, thread) = parts(world.call(0, Method::POST, &threads, Some(&json!({"name": "t"}))).await).await;
    let thread = thread["id"].as_str().unwrap().to_owned();
    world.send(0, &thread, json!({"content": "inside"})).await.unwrap();
    let archived = json!({"archived": true});
    world.call(0, Method::PATCH, &format!("/channels/{thread}"), Some(&archived)).await.unwrap();
    let bulk = format!("/discord/chats/{channel}/messages/bulk-delete");
    let written = world.write(&channel, "to be deleted").await;
    world.control(Method::POST, &bulk, Some(json!({"ids": [written]}))).await;
    let closed = format!("/discord/chats/{}/permissions", world.channel(0, 1));
    world.control(Method::POST, &closed, Some(json!({"send_messages": false}))).await;
    world.sandbox.stop().await;

    let world = World::start(kept(folder.path())).await;
    let message = format!("{}/messages/{}", path(&made), sent["id"].as_str().unwrap());
    let (_, again) = parts(world.call_bare(Method::GET, &message, None).await).await;
    assert_eq!((&again["author"], &again["webhook_id"]), (&sent["author"], &made["id"]));
    let (status, _) = parts(world.call_bare(Method::GET, &path(&gone), None).await).await;
    assert_eq!(status.as_u16(), 404);
    assert_eq!(world.texts(&channel).await, ["through a hook"]);
    assert_eq!(world.texts(&thread).await, ["inside"]);
    let (_, channel) = parts(world.call(0, Method::GET, &format!("/channels/{thread}"), None).await).await;
    assert_eq!(channel["thread_metadata"]["archived"], json!(true));
    let (_, view) = world.control(Method::POST, &rights, Some(json!({}))).await;
    assert_eq!((&view["manage_webhooks"], &view["message_content"]), (&json!(true), &json!(false)));
    let (status, _) = parts(world.send(0, &world.channel(0, 1), json!({"content": "x"})).await).await;
    assert_eq!(status.as_u16(), 403);
    world.sandbox.stop().await;
}

/// What a kill leaves on disk is what is there at that instant: a copy of the running sandbox's folder.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(kept(folder.path())).await;
    let channel = world.channel(0, 0);
    for n in 0..20 {
        world.write(&channel, &format!("person {n}")).await;
        world.send(0, &channel, json!({"content": format!("bot {n}")})).await.unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
    }
    let before = items(&world, &channel).await;
    assert_eq!(before["items"].as_array().unwrap().len(), 40);
    let after = World::start(kept(left.path())).await;
    assert_eq!(items(&after, &channel).await, before);
    after.sandbox.stop().await;
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_restart_takes_its_ports_again() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(kept(folder.path())).await;
    let again = SandboxConfig {
        control_listen: world.sandbox.control_address(),
        telegram_listen: world.sandbox.telegram_address(),
        discord_listen: world.sandbox.discord_address(),
        ..kept(folder.path())
    };
    // Connections of before are open when it stops.
    world.write(&world.channel(0, 0), "x").await;
    world.sandbox.stop().await;
    let world = World::start(again.clone()).await;
    assert_eq!(world.sandbox.discord_address(), again.discord_listen);
    assert_eq!(world.texts(&world.channel(0, 0)).await, ["x"]);
    world.sandbox.stop().await;
}

/// The daemon starts its sandbox on whatever runtime it has.
#[test]
fn a_sandbox_runs_under_actix_and_on_many_threads() {
    async fn used() {
        let world = World::start(config(Limits::None)).await;
        let channel = world.channel(0, 0);
        world.send(0, &channel, json!({"content": "x"})).await.unwrap();
        assert_eq!(world.texts(&channel).await, ["x"]);
        world.sandbox.stop().await;
    }
    actix_web::rt::System::new().block_on(used());
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    threads.block_on(async { tokio::spawn(used()).await.unwrap() });
}

#[tokio::test]
async fn a_world_has_one_owner_one_key_and_one_seed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(kept(folder.path())).await;
    let second = Sandbox::start(kept(folder.path())).await;
    assert!(matches!(second, Err(SandboxError::Journal(_))), "{second:?}");
    world.sandbox.stop().await;
    let other_seed = Sandbox::start(SandboxConfig { seed: 8, ..kept(folder.path()) }).await;
    assert!(matches!(other_seed, Err(SandboxError::Journal(_))), "{other_seed:?}");
    let no_key = Sandbox::start(SandboxConfig { world_key: None, ..kept(folder.path()) }).await;
    assert!(matches!(no_key, Err(SandboxError::Journal(_))), "{no_key:?}");
    World::start(kept(folder.path())).await.sandbox.stop().await;
}

#[tokio::test]
async fn two_sandboxes_share_nothing() {
    let (one, two) = (World::start(config(Limits::None)).await, World::start(config(Limits::None)).await);
    let channel = one.channel(0, 0);
    assert_eq!(channel, two.channel(0, 0), "the same seed");
    one.write(&channel, "here").await;
    one.fault(json!({"target": "discord", "kind": "server_error", "count": 1})).await;
    assert!(two.texts(&channel).await.is_empty());
    let (status, _) = parts(two.send(0, &channel, json!({"content": "there"})).await).await;
    assert_eq!(status.as_u16(), 200);
    one.sandbox.stop().await;
    two.sandbox.stop().await;
}

#[tokio::test]
async fn only_loopback_is_listened_on_and_a_taken_port_is_named() {
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Sandbox::start(SandboxConfig { discord_listen: anywhere, ..config(Limits::None) }).await;
    assert!(matches!(refused, Err(SandboxError::NotLoopback(address)) if address == anywhere));
    let world = World::start(config(Limits::None)).await;
    for taken in [world.sandbox.control_address(), world.sandbox.discord_address()] {
        let mut config = config(Limits::None);
        config.control_listen = taken;
        let refused = Sandbox::start(config).await;
        assert!(matches!(refused, Err(SandboxError::Listen { address, .. }) if address == taken));
    }
    world.sandbox.stop().await;
}
