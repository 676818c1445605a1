//! JSON that no client sends, on every door: refused in the door's own way, and never the end of anything.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::gateway_protocol::{Got, Socket, identify};
use crate::harness::{self, World, config};
use switchyard_sandbox::Limits;

/// A small generator with a fixed start: a failure is the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const KEYS: [&str; 40] = [
    "text",
    "from",
    "entities",
    "media",
    "album",
    "reply_to",
    "type",
    "offset",
    "length",
    "url",
    "user",
    "id",
    "target",
    "kind",
    "count",
    "seconds",
    "wait",
    "advance_seconds",
    "auth_key",
    "user_id",
    "content",
    "nonce",
    "enforce_nonce",
    "allowed_mentions",
    "parse",
    "users",
    "message_reference",
    "message_id",
    "flags",
    "embeds",
    "op",
    "d",
    "s",
    "token",
    "intents",
    "properties",
    "session_id",
    "seq",
    "shard",
    "guild_id",
];
const WORDS: [&str; 12] = [
    "",
    " ",
    "x",
    "😀",
    "-1",
    "777000",
    "1001",
    "bold",
    "\u{0}",
    "<@1>",
    "@everyone",
    "18446744073709551615",
];

/// Any JSON at all.
fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 7 } else { 11 }) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(random.one_of(&[0, 1, 2, 2_000, i64::MAX, i64::MIN, -1])),
        3 => json!(random.one_of(&[0.5, -0.0, 1e300, 1e-300])),
        4 => json!(u64::MAX),
        5 => json!(random.one_of(&WORDS)),
        6 => json!("word ".repeat(random.below(1_000))),
        7 | 8 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let fields = (0..random.below(5)).map(|_| (random.one_of(&KEYS).to_owned(), value(random, depth)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A right body with one field that is anything, or anything.
fn damaged(random: &mut Random, right: &Value) -> Vec<u8> {
    let mut body = right.clone();
    match random.below(5) {
        0 => body = object(random, 3),
        1 => body[random.one_of(&KEYS)] = value(random, 3),
        2 => return (0..random.below(60)).map(|_| u8::try_from(random.below(256)).unwrap()).collect(),
        3 => return "[".repeat(random.below(20_000)).into_bytes(),
        _ => {
            let field = body.as_object().unwrap().keys().nth(random.below(3)).cloned();
            body[field.unwrap_or_default()] = value(random, 3);
        }
    }
    let mut bytes = body.to_string().into_bytes();
    if random.below(10) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

struct Control {
    client: reqwest::Client,
    base: String,
}

impl Control {
    async fn status(&self, method: Method, path: &str, body: Vec<u8>) -> u16 {
        let request = self.client.request(method, format!("{}/sandbox{path}", self.base)).body(body);
        request.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn the_control_api_refuses_what_it_cannot_read() {
    let world = harness::start().await;
    let control = Control { client: reqwest::Client::new(), base: world.sandbox.control_url() };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let source = world.sandbox.seed().pairs[0].source.chat.clone();
    let (telegram, discord) = (
        format!("/telegram/chats/{source}/messages"),
        format!("/discord/chats/{}/messages", world.channel(0, 0)),
    );
    let written = json!({"text": "x", "from": null, "reply_to": null});
    let (_, first) = world.control(Method::POST, &telegram, Some(written.clone())).await;
    let bold = json!({"text": "bold", "entities": [{"type": "bold", "offset": 0, "length": 4}]});
    let patched = format!("{telegram}/{}", first["id"].as_str().unwrap());
    let doors = [
        (Method::POST, telegram.clone(), written),
        (Method::POST, telegram.clone(), bold.clone()),
        (Method::POST, discord.clone(), json!({"text": "x", "from": "gail"})),
        (Method::PATCH, patched, bold),
        (Method::POST, "/faults".to_owned(), json!({"target": "nobody", "kind": "slow", "count": 1})),
        (Method::POST, "/clock".to_owned(), json!({"advance_seconds": 0})),
        (Method::POST, "/telegram/auth-keys".to_owned(), json!({"auth_key": "00", "user_id": 1001})),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..150 {
        for (method, path, right) in &doors {
            let body = damaged(&mut random, right);
            let status = control.status(method.clone(), path, body.clone()).await;
            let body = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
            assert!([200, 400, 413, 422].contains(&status), "{status} for {method} {path} {body}");
            seen.insert(status);
        }
    }
    assert!(seen.is_superset(&[200, 400, 422].into()), "{seen:?}");
    for path in
        ["/telegram/chats/%00/messages", "/discord/chats/-1/messages/x", "/telegram/chats//messages", "/x"]
    {
        assert_eq!(control.status(Method::GET, path, Vec::new()).await, 404, "{path}");
    }
    assert_eq!(control.status(Method::GET, &telegram, Vec::new()).await, 200);
    world.write(&world.channel(0, 0), "still here").await;
    world.sandbox.stop().await;
}

#[tokio::test]
async fn rest_refuses_what_it_cannot_read() {
    let world = harness::start().await;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let path =
        format!("{}/api/v10/channels/{}/messages", world.sandbox.discord().api_base(), world.channel(0, 0));
    let authorization = format!("Bot {}", world.bot(0).token.reveal());
    let right = json!({
        "content": "x", "nonce": "n", "enforce_nonce": true, "flags": 4,
        "allowed_mentions": {"parse": [], "users": ["1"]}, "message_reference": {"message_id": "1"},
    });
    let client = reqwest::Client::new();
    let own = world.send(0, &world.channel(0, 0), json!({"content": "mine"})).await.unwrap();
    let own: Value = own.json().await.unwrap();
    let patched = format!("{path}/{}", own["id"].as_str().unwrap());
    for n in 0..800 {
        let body = damaged(&mut random, &right);
        let request = if n % 3 == 0 { client.patch(&patched) } else { client.post(&path) };
        let request =
            request.header("authorization", &authorization).header("content-type", "application/json");
        let status = request.body(body.clone()).send().await.unwrap().status().as_u16();
        let body = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
        assert!([200, 400].contains(&status), "{status} for {body}");
    }
    world.send(0, &world.channel(0, 0), json!({"content": "still here"})).await.unwrap();
    assert_eq!(world.texts(&world.channel(0, 0)).await.last().unwrap(), "still here");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn webhooks_threads_and_bulk_deletes_refuse_what_they_cannot_read() {
    let mut config = config(Limits::None);
    config.shape.webhooks = 1;
    let world = World::start(config).await;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let rights = format!("/discord/bots/{}/permissions", world.bot(0).account);
    let all = json!({"manage_messages": true, "manage_webhooks": true, "manage_threads": true});
    world.control(Method::POST, &rights, Some(all)).await;
    let base = format!("{}/api/v10", world.sandbox.discord().api_base());
    let channel = format!("{base}/channels/{}", world.channel(0, 0));
    let hook = &world.sandbox.seed().discord.webhooks[0];
    let execute = json!({"content": "x", "username": "Ada", "avatar_url": "https://a.b/c", "flags": 4,
        "allowed_mentions": {"parse": [], "users": ["1"]}});
    let calls = [
        (format!("{base}/webhooks/{}/{}", hook.id, hook.token.reveal()), execute),
        (format!("{channel}/webhooks"), json!({"name": "bridge"})),
        (format!("{channel}/threads"), json!({"name": "topic", "type": 11})),
        (format!("{channel}/messages/bulk-delete"), json!({"messages": ["5", "6"]})),
    ];
    let client = reqwest::Client::new();
    for n in 0..400 {
        let (path, right) = &calls[n % calls.len()];
        let body = damaged(&mut random, right);
        let request = client.post(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bot {}", world.bot(0).token.reveal()));
        let status = request.body(body.clone()).send().await.unwrap().status().as_u16();
        let body = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
        assert!([200, 204, 400].contains(&status), "{status} for {body} at {path}");
    }
    assert_eq!(world.send(0, &world.channel(0, 0), json!({"content": "x"})).await.unwrap().status(), 200);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn the_gateway_answers_or_closes() {
    let world = harness::start().await;
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let mut codes = std::collections::BTreeSet::new();
    for n in 0..200 {
        let mut socket = Socket::hello(&world).await;
        let right = if n % 2 == 0 { identify(&world, 513) } else { json!({"op": 8, "d": {"guild_id": "1"}}) };
        let mut payload = damaged(&mut random, &right);
        if n % 5 == 0 {
            let mut wrong = right;
            wrong["d"][random.one_of(&KEYS)] = value(&mut random, 3);
            payload = wrong.to_string().into_bytes();
        }
        socket.send_bytes(payload).await;
        socket.send_bytes(br#"{"op":1,"d":null}"#.to_vec()).await;
        loop {
            match socket.got().await {
                Got::Payload(payload) if payload["op"] == json!(11) => break,
                Got::Payload(_) => {}
                Got::Closed(code) => {
                    codes.insert(code);
                    break;
                }
            }
        }
    }
    assert!(codes.len() > 2, "{codes:?}");
    Socket::ready(&world).await;
    world.sandbox.stop().await;
}
