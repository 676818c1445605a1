//! The gateway by hand: what clients that misbehave are told, and what a resume needs.

use std::time::Duration;

use flate2::{Decompress, FlushDecompress};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use switchyard_sandbox::Limits;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::{self, DEADLINE, World, config, limited};

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    inflate: Option<Decompress>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    Payload(Value),
    Closed(Option<u16>),
}

impl Socket {
    pub(crate) async fn open(world: &World, query: &str) -> Self {
        let url = format!("{}?v=10&encoding=json{query}", world.sandbox.discord().gateway_url());
        let (stream, _) = connect_async(url).await.unwrap();
        let inflate = query.contains("zlib-stream").then(|| Decompress::new(true));
        Self { stream, inflate }
    }

    pub(crate) async fn hello(world: &World) -> Self {
        let mut socket = Self::open(world, "").await;
        assert_eq!(socket.payload().await["op"], json!(10));
        socket
    }

    /// Identified, with READY and GUILD_CREATE read; answers the session's id as well.
    pub(crate) async fn ready(world: &World) -> (Self, String) {
        let mut socket = Self::hello(world).await;
        socket.send(identify(world, 33_281)).await;
        let ready = socket.payload().await;
        assert_eq!((&ready["t"], &ready["s"]), (&json!("READY"), &json!(1)));
        assert_eq!(socket.payload().await["t"], json!("GUILD_CREATE"));
        (socket, ready["d"]["session_id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn send(&mut self, payload: Value) {
        self.stream.send(Message::Text(payload.to_string())).await.unwrap();
    }

    /// Sends bytes as text, or as a binary message if they are none; the server may have closed before.
    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        let message = match String::from_utf8(bytes) {
            Ok(text) => Message::Text(text),
            Err(error) => Message::Binary(error.into_bytes()),
        };
        let _ = self.stream.send(message).await;
    }

    pub(crate) async fn got(&mut self) -> Got {
        let message = tokio::time::timeout(DEADLINE, self.stream.next()).await.expect("nothing came");
        match message {
            Some(Ok(Message::Text(text))) => Got::Payload(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Binary(bytes))) => {
                let mut text = Vec::with_capacity(1 << 20);
                let inflate = self.inflate.as_mut().unwrap();
                inflate.decompress_vec(&bytes, &mut text, FlushDecompress::Sync).unwrap();
                Got::Payload(serde_json::from_slice(&text).unwrap())
            }
            Some(Ok(Message::Close(frame))) => Got::Closed(frame.map(|frame| frame.code.into())),
            None | Some(Err(_)) => Got::Closed(None),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn payload(&mut self) -> Value {
        match self.got().await {
            Got::Payload(payload) => payload,
            Got::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Got::Closed(code) = self.got().await {
                return code;
            }
        }
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        self.stream.close(Some(frame)).await.unwrap();
        self.closed().await;
    }
}

pub(crate) fn identify(world: &World, intents: u64) -> Value {
    let token = world.bot(0).token.reveal();
    json!({"op": 2, "d": {"token": token, "intents": intents, "properties": {"os": "linux"}}})
}

pub(crate) fn resume(world: &World, session: &str, seq: u64) -> Value {
    let token = world.bot(0).token.reveal();
    json!({"op": 6, "d": {"token": token, "session_id": session, "seq": seq}})
}

#[tokio::test]
async fn heartbeats_are_answered_and_ready_tells_who_one_is() {
    let world = harness::start().await;
    let mut socket = Socket::hello(&world).await;
    socket.send(json!({"op": 1, "d": null})).await;
    assert_eq!(socket.payload().await["op"], json!(11));
    socket.send(identify(&world, 1)).await;
    let ready = socket.payload().await["d"].clone();
    assert_eq!(ready["user"]["id"], json!(world.bot(0).id.to_string()));
    assert_eq!(ready["resume_gateway_url"], json!(world.sandbox.discord().gateway_url()));
    let guild = world.bot(0).guild.to_string();
    assert_eq!(ready["guilds"], json!([{"id": guild, "unavailable": true}]));
    let created = socket.payload().await["d"].clone();
    assert_eq!(created["id"], json!(guild));
    assert_eq!(created["member_count"], json!(7));
    assert_eq!(created["channels"].as_array().unwrap().len(), 3);
    socket.send(json!({"op": 3, "d": {}})).await;
    socket.send(json!({"op": 8, "d": {"guild_id": guild, "query": "ga", "limit": 5, "nonce": "x"}})).await;
    let chunk = socket.payload().await;
    assert_eq!((&chunk["t"], &chunk["d"]["nonce"]), (&json!("GUILD_MEMBERS_CHUNK"), &json!("x")));
    assert_eq!(chunk["d"]["members"][0]["user"]["username"], json!("gail"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn misbehaviour_is_closed_with_its_code() {
    let world = harness::start().await;
    let mut wrong_token = identify(&world, 1);
    wrong_token["d"]["token"] = json!("a.b.c");
    let mut wrong_shard = identify(&world, 1);
    wrong_shard["d"]["shard"] = json!([2, 2]);
    let table = [
        (wrong_token, 4004),
        (wrong_shard, 4010),
        (identify(&world, 1 << 30), 4013),
        (identify(&world, 1 << 1), 4014),
        (identify(&world, 1 << 8), 4014),
        (json!({"op": 3, "d": {}}), 4003),
        (json!({"op": 2, "d": {}}), 4002),
        (json!({"op": 77, "d": {}}), 4001),
        (json!({"op": 1, "d": "x".repeat(5000)}), 4002),
        (json!({"op": 6, "d": {"token": "a.b.c", "session_id": "x", "seq": 0}}), 4004),
    ];
    for (payload, code) in table {
        let mut socket = Socket::hello(&world).await;
        socket.send(payload.clone()).await;
        assert_eq!(socket.closed().await, Some(code), "{payload}");
    }
    let (mut twice, _) = Socket::ready(&world).await;
    twice.send(identify(&world, 1)).await;
    assert_eq!(twice.closed().await, Some(4005));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_unauthorised_account_can_neither_identify_nor_resume() {
    let world = harness::start().await;
    let (socket, session) = Socket::ready(&world).await;
    socket.close(4000).await;
    world.fault(json!({"target": world.bot(0).account, "kind": "unauthorized", "count": 2})).await;
    for payload in [identify(&world, 1), resume(&world, &session, 2)] {
        let mut socket = Socket::hello(&world).await;
        socket.send(payload).await;
        assert_eq!(socket.closed().await, Some(4004));
    }
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 2)).await;
    assert_eq!(socket.payload().await["t"], json!("RESUMED"), "the fault is used up");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_account_without_connection_stays_without_while_the_fault_lasts() {
    let world = harness::start().await;
    let (mut socket, session) = Socket::ready(&world).await;
    world.fault(json!({"target": world.bot(0).account, "kind": "drop_connection", "seconds": 3600})).await;
    assert_eq!(socket.payload().await["op"], json!(7));
    assert_eq!(socket.closed().await, Some(4000));
    for payload in [identify(&world, 1), resume(&world, &session, 2)] {
        let mut socket = Socket::hello(&world).await;
        socket.send(payload).await;
        assert_eq!(socket.closed().await, None, "cut without a word");
    }
    world.advance(3600.0).await;
    Socket::ready(&world).await;
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_session_is_resumed_from_where_its_client_was() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let (socket, session) = Socket::ready(&world).await;
    socket.close(4000).await;
    world.write(&channel, "missed").await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &session, 1)).await;
    let replayed: Vec<Value> = vec![socket.payload().await, socket.payload().await, socket.payload().await];
    let names: Vec<_> = replayed.iter().map(|event| (event["t"].clone(), event["s"].clone())).collect();
    assert_eq!(names[0], (json!("GUILD_CREATE"), json!(2)));
    assert_eq!(names[1], (json!("MESSAGE_CREATE"), json!(3)));
    assert_eq!(names[2], (json!("RESUMED"), json!(4)));
    assert_eq!(replayed[1]["d"]["content"], json!("missed"));
    let mut second = Socket::hello(&world).await;
    second.send(resume(&world, &session, 4)).await;
    assert_eq!(second.payload().await["t"], json!("RESUMED"));
    assert_eq!(socket.closed().await, Some(4000), "a session has one connection");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_session_that_is_gone_is_invalid() {
    let world = harness::start().await;
    let invalid = json!({"t": null, "s": null, "op": 9, "d": false});
    let (socket, closed) = Socket::ready(&world).await;
    socket.close(1000).await;
    let (socket, expired) = Socket::ready(&world).await;
    socket.close(4000).await;
    // The connection is lost for the server before its time runs out.
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &expired, 2)).await;
    assert_eq!(socket.payload().await["t"], json!("RESUMED"));
    socket.close(4000).await;
    world.advance(181.0).await;
    for session in [closed.as_str(), expired.as_str(), "unknown"] {
        let mut socket = Socket::hello(&world).await;
        socket.send(resume(&world, session, 2)).await;
        assert_eq!(socket.got().await, Got::Payload(invalid.clone()));
        socket.send(identify(&world, 1)).await;
        assert_eq!(socket.payload().await["t"], json!("READY"), "the connection can identify anew");
    }
    let (socket, future) = Socket::ready(&world).await;
    socket.close(4000).await;
    let mut socket = Socket::hello(&world).await;
    socket.send(resume(&world, &future, 99)).await;
    assert_eq!(socket.closed().await, Some(4007));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn zlib_stream_is_one_stream_of_payloads() {
    let world = harness::start().await;
    let mut socket = Socket::open(&world, "&compress=zlib-stream").await;
    assert_eq!(socket.payload().await["op"], json!(10));
    socket.send(identify(&world, 33_281)).await;
    assert_eq!(socket.payload().await["t"], json!("READY"));
    assert_eq!(socket.payload().await["t"], json!("GUILD_CREATE"));
    world.write(&world.channel(0, 0), "compressed").await;
    assert_eq!(socket.payload().await["d"]["content"], json!("compressed"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_connection_without_heartbeats_times_out() {
    let mut config = config(Limits::None);
    config.discord.heartbeat = Duration::from_millis(50);
    let world = World::start(config).await;
    let mut socket = Socket::hello(&world).await;
    assert_eq!(socket.closed().await, Some(4009));
    assert_eq!(world.violations().await["discord.heartbeat_missed"], json!(1));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn published_limits_bind_identifies_and_payloads() {
    let world = World::start(limited()).await;
    let (mut socket, _) = Socket::ready(&world).await;
    let mut second = Socket::hello(&world).await;
    second.send(identify(&world, 1)).await;
    assert_eq!(second.payload().await["op"], json!(9), "less than five seconds later");
    assert_eq!(world.violations().await["discord.identify_rate"], json!(1));
    world.advance(5.0).await;
    second.send(identify(&world, 1)).await;
    assert_eq!(second.payload().await["t"], json!("READY"));
    let remaining = world.http(0).get_bot_gateway().await.unwrap().session_start_limit.remaining;
    assert_eq!(remaining, 998);
    for _ in 0..119 {
        socket.send(json!({"op": 1, "d": null})).await;
        assert_eq!(socket.payload().await["op"], json!(11));
    }
    assert_eq!(world.violations().await["discord.gateway_rate_limit"], Value::Null);
    socket.send(json!({"op": 1, "d": null})).await;
    assert_eq!(socket.closed().await, Some(4008), "the 121st payload, the identify included");
    assert_eq!(world.violations().await["discord.gateway_rate_limit"], json!(1));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_drop_fault_says_reconnect_or_cuts_what_has_not_identified() {
    let world = harness::start().await;
    let (mut socket, _) = Socket::ready(&world).await;
    world.fault(json!({"target": "discord", "kind": "drop_connection", "count": 1})).await;
    assert_eq!(socket.payload().await["op"], json!(7));
    assert_eq!(socket.closed().await, Some(4000));
    world.fault(json!({"target": "discord", "kind": "drop_connection", "seconds": 60})).await;
    let mut refused = Socket::open(&world, "").await;
    assert_eq!(refused.got().await, Got::Closed(None), "cut before hello");
    world.sandbox.stop().await;
}
