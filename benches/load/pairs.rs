//! What the API costs: a list of 50 pairs from SQLite, authenticated by an API key, beside a bare actix-web handler that answers
//! the same bytes, in one run, by the same client at the same concurrency.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SeedShape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::daemon::Scene;
use super::measure::{Times, head, now};

const PAIRS: u16 = 50;
const CONNECTIONS: usize = 8;
/// Requests of a round, over all connections.
const REQUESTS: usize = 2_000;
/// Rounds of each, in turn.
const ROUNDS: usize = 4;
const PASSWORD: &str = "correct horse battery staple";
const LIST: &str = "/api/v1/pairs?limit=50";

/// What came of one side.
#[derive(Default)]
struct Side {
    times: Times,
    /// Requests a second, of each round.
    rates: Vec<f64>,
}

impl Side {
    fn best(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }
}

pub(crate) async fn run() {
    let counts = PairCounts { discord_to_discord: PAIRS, ..PairCounts::default() };
    let shape =
        SeedShape { telegram_bots: 0, discord_bots: 2, webhooks: 0, pairs: counts, ..SeedShape::default() };
    let scene = Scene::start(shape, &[]).await;
    let key = customer(&scene).await;
    let listed =
        scene.http.get(format!("{}{LIST}", scene.base)).header("x-api-key", &key).send().await.unwrap();
    assert_eq!(listed.status(), 200);
    let body = listed.text().await.unwrap();
    let items: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(items["items"].as_array().unwrap().len(), usize::from(PAIRS));
    println!(
        "\na list of {PAIRS} pairs: {} bytes; {CONNECTIONS} connections, {ROUNDS} rounds of {REQUESTS}",
        body.len()
    );

    let bare = web::Bytes::from(body);
    let server = HttpServer::new(move || {
        let body = bare.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().route("/api/v1/pairs", web::get().to(answer))
    });
    // As many workers as the daemon has by default.
    let server = server.workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
    let plain = server.addrs()[0].to_string();
    let running = server.run();
    let stop = running.handle();
    actix_web::rt::spawn(running);

    let address = scene.base.trim_start_matches("http://").to_owned();
    let head_line = format!("x-api-key: {key}\r\n");
    let (mut ours, mut theirs) = (Side::default(), Side::default());
    for _ in 0..ROUNDS {
        round(&address, &head_line, &mut ours).await;
        round(&plain, "", &mut theirs).await;
    }
    head("an authenticated list of 50 pairs (SQLite) beside a bare handler of the same bytes");
    println!("{} {:10.0} requests/s", ours.times.line("switchyard"), ours.best());
    println!("{} {:10.0} requests/s", theirs.times.line("bare actix-web"), theirs.best());
    println!("throughput, ratio of the best rounds: {:.4}", ours.best() / theirs.best());
    stop.stop(false).await;
}

/// As many requests as a round has, over a few connections at once.
async fn round(address: &str, head: &str, side: &mut Side) {
    let request = format!("GET {LIST} HTTP/1.1\r\nHost: {address}\r\n{head}\r\n");
    let began = now();
    let callers = (0..CONNECTIONS).map(|_| caller(address, &request));
    let mut count = 0_u32;
    for times in futures_util::future::join_all(callers).await {
        count += u32::try_from(times.count()).unwrap();
        side.times.extend(times);
    }
    side.rates.push(f64::from(count) / began.elapsed().as_secs_f64());
}

/// One connection that asks again as soon as it is answered.
async fn caller(address: &str, request: &str) -> Times {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut times = Times::default();
    for _ in 0..REQUESTS / CONNECTIONS {
        let asked = now();
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), answered(&mut stream, &mut buffer)).await.unwrap();
        times.add(asked.elapsed());
    }
    times
}

/// Reads one answer, whose length is declared.
async fn answered(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let more = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(more > 0, "the server hung up");
        filled += more;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length: usize = length.split_whitespace().next().unwrap().parse().unwrap();
        while filled < end + 4 + length {
            let more = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(more > 0, "the server hung up");
            filled += more;
        }
        return;
    }
}

/// A customer with two bots and the pairs between them; answers an API key of theirs.
async fn customer(scene: &Scene) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let who = json!({ "email": "bench@example.org", "password": PASSWORD });
    scene.call("", Method::POST, "/api/v1/auth/register", Some(who.clone())).await;
    let signed_in = scene.call("", Method::POST, "/api/v1/auth/login", Some(who)).await;
    let token = text(&signed_in["access_token"]);
    let mut known = BTreeMap::new();
    let accounts = scene.seed["accounts"].as_array().unwrap();
    for bot in accounts.iter().filter(|account| account["kind"] == "discord_bot") {
        let id = text(&bot["id"]);
        scene.order(Method::DELETE, &format!("/api/v1/accounts/{id}?force=true"), None).await;
        let order = json!({ "kind": "discord_bot", "token": bot["token"] });
        let connected = scene.call(&token, Method::POST, "/api/v1/accounts", Some(order)).await;
        known.insert(id, connected["account"]["id"].clone());
    }
    for pair in scene.seed["pairs"].as_array().unwrap() {
        let end = |end: &Value| json!({ "account": known[&text(&end["account"])], "chat": end["chat"] });
        let order = json!({ "source": end(&pair["source"]), "target": end(&pair["target"]) });
        scene.call(&token, Method::POST, "/api/v1/pairs", Some(order)).await;
    }
    let order = json!({ "name": "bench", "scopes": ["pairs:read"] });
    text(&scene.call(&token, Method::POST, "/api/v1/me/api-keys", Some(order)).await["secret"])
}
