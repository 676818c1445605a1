//! What a gateway does to its clients: asks them to come back, forgets their sessions, falls silent.

use serde_json::{Value, json};

use crate::gateway_protocol::{Got, Socket, identify, resume};
use crate::harness::{self, World, config, limited};
use switchyard_sandbox::Limits;

async fn strike(world: &World, kind: &str) {
    world.fault(json!({"target": world.bot(0).account, "kind": kind, "count": 1})).await;
}

fn invalid(resumable: bool) -> Value {
    json!({"t": null, "s": null, "op": 9, "d": resumable})
}

#[tokio::test]
async fn asked_to_reconnect_a_client_resumes_without_loss() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let (mut socket, session) = Socket::ready(&world).await;
    strike(&world, "reconnect").await;
    assert_eq!(socket.payload().await["op"], json!(7));
    world.write(&channel, "still told here").await;
    assert_eq!(socket.payload().await["s"], json!(3), "the connection is the client's to close");
    socket.close(4000).await;
    world.write(&channel, "missed").await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 3)).await;
    assert_eq!(socket.payload().await["d"]["content"], json!("missed"));
    assert_eq!(socket.payload().await["t"], json!("RESUMED"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_invalid_session_is_resumed_only_if_it_may_be() {
    let world = harness::start().await;
    let (mut socket, session) = Socket::ready(&world).await;
    strike(&world, "invalid_session_resumable").await;
    assert_eq!(socket.got().await, Got::Payload(invalid(true)));
    world.write(&world.channel(0, 0), "missed").await;
    socket.send(resume(&world, &session, 2)).await;
    assert_eq!(socket.payload().await["d"]["content"], json!("missed"));
    assert_eq!(socket.payload().await["t"], json!("RESUMED"));
    strike(&world, "invalid_session").await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)));
    socket.send(resume(&world, &session, 4)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)), "the session is gone");
    socket.send(identify(&world, 33_281)).await;
    let ready = socket.payload().await;
    assert_eq!(ready["t"], json!("READY"), "a new session, and what was missed is not told");
    assert_ne!(ready["d"]["session_id"], json!(session));
    assert_eq!(socket.payload().await["t"], json!("GUILD_CREATE"));
    world.write(&world.channel(0, 0), "after").await;
    assert_eq!(socket.payload().await["d"]["content"], json!("after"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn identify_and_resume_can_be_answered_with_an_invalid_session() {
    let world = harness::start().await;
    let (socket, session) = Socket::ready(&world).await;
    socket.close(4000).await;
    strike(&world, "invalid_session_resumable").await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 2)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(true)));
    socket.send(resume(&world, &session, 2)).await;
    assert_eq!(socket.payload().await["t"], json!("RESUMED"));
    socket.close(4000).await;
    strike(&world, "invalid_session").await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 3)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)));
    strike(&world, "invalid_session").await;
    socket.send(identify(&world, 1)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)));
    socket.send(identify(&world, 1)).await;
    assert_eq!(socket.payload().await["t"], json!("READY"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_zombie_answers_nothing_until_its_client_comes_back() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let (mut zombie, session) = Socket::ready(&world).await;
    strike(&world, "zombie").await;
    world.write(&channel, "into the void").await;
    zombie.send(json!({"op": 1, "d": 2})).await;
    let mut other = Socket::hello(&world).await;
    other.send(resume(&world, &session, 2)).await;
    assert_eq!(other.payload().await["d"]["content"], json!("into the void"));
    assert_eq!(other.payload().await["t"], json!("RESUMED"));
    assert_eq!(zombie.got().await, Got::Closed(Some(4000)), "no event and no answer to its heartbeat");
    other.send(json!({"op": 1, "d": 4})).await;
    assert_eq!(other.payload().await["op"], json!(11), "the fault is used up");
    strike(&world, "zombie").await;
    drop(other);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn events_that_are_no_longer_kept_end_a_session() {
    let mut config = config(Limits::None);
    config.discord.sessions.replay_events = 4;
    let world = World::start(config).await;
    let (socket, session) = Socket::ready(&world).await;
    socket.close(4000).await;
    for n in 0..4 {
        world.write(&world.channel(0, 0), &n.to_string()).await;
    }
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 2)).await;
    for n in 0..4 {
        assert_eq!(socket.payload().await["d"]["content"], json!(n.to_string()), "in order");
    }
    socket.close(4000).await;
    world.write(&world.channel(0, 0), "one too many").await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 2)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn what_happens_while_a_bot_is_away_is_never_reported() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let edited = world.write(&channel, "to be edited").await;
    let deleted = world.write(&channel, "to be deleted").await;
    let (socket, _) = Socket::ready(&world).await;
    socket.close(1000).await;
    let path = |id: &str| format!("/discord/chats/{channel}/messages/{id}");
    world.control(reqwest::Method::PATCH, &path(&edited), Some(json!({"text": "edited"}))).await;
    world.control(reqwest::Method::DELETE, &path(&deleted), None).await;
    let (mut socket, _) = Socket::ready(&world).await;
    world.write(&channel, "next").await;
    let next = socket.payload().await;
    assert_eq!((&next["t"], &next["s"]), (&json!("MESSAGE_CREATE"), &json!(3)));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_days_identifies_are_counted_by_the_clock() {
    let mut config = limited();
    config.discord.session_starts = 2;
    let world = World::start(config).await;
    let limit = async || world.http(0).get_bot_gateway().await.unwrap().session_start_limit;
    assert_eq!((limit().await.total, limit().await.remaining), (2, 2));
    let (mut first, _) = Socket::ready(&world).await;
    world.advance(10.0).await;
    let (socket, second) = Socket::ready(&world).await;
    socket.close(4000).await;
    world.advance(10.0).await;
    assert_eq!(limit().await.remaining, 0);
    let mut socket = Socket::hello(&world).await;
    socket.send(identify(&world, 1)).await;
    assert_eq!(socket.closed().await, Some(4004));
    assert_eq!(first.closed().await, Some(4000), "every session ends");
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &second, 2)).await;
    assert_eq!(socket.got().await, Got::Payload(invalid(false)));
    assert_eq!(world.violations().await, json!({"discord.identify_budget": 1}));
    world.advance(86_400.0 - 20.0).await;
    assert_eq!(limit().await.remaining, 1, "a day after the first one");
    socket.send(identify(&world, 1)).await;
    assert_eq!(socket.payload().await["t"], json!("READY"));
    world.sandbox.stop().await;
}
