//! Operations of a running daemon from outside: streams across a kill, paused queues, dead letters, jobs.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{DEADLINE, Daemon, DataDir, World, eventually};
use crate::harness::operator::ok;

/// The API of the daemon that works on a folder, as its operator.
struct Api {
    base: String,
    token: String,
    http: Client,
}

impl Api {
    fn of(data: &DataDir) -> Self {
        let read =
            |name: &str| std::fs::read_to_string(data.path().join(name)).expect("a file").trim().to_owned();
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { base: format!("http://{}", read("http-address")), token: read("operator-token"), http }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A job that was ordered, once it is over.
    async fn job(&self, path: &str, order: &Value) -> Value {
        let (status, job) = self.send(Method::POST, path, Some(order)).await;
        assert_eq!(status, 202, "{path}: {job}");
        let path = format!("/api/v1/admin/jobs/{}", job["id"].as_str().expect("an id"));
        eventually("the job to be over", || async {
            let job = self.get(&path).await;
            matches!(job["state"].as_str(), Some("done" | "failed")).then_some(job)
        })
        .await
    }

    async fn stream(&self, after: Option<i64>) -> Stream {
        let request = self.http.get(format!("{}/api/v1/admin/events", self.base)).bearer_auth(&self.token);
        let request = match after {
            Some(after) => request.header("last-event-id", after.to_string()),
            None => request,
        };
        let answer = request.send().await.expect("a stream");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream { answer, rest: String::new() }
    }
}

/// A stream as a client reads it.
struct Stream {
    answer: Response,
    rest: String,
}

impl Stream {
    /// The next event: name, number, data. None when the stream ended or broke off.
    async fn next(&mut self) -> Option<(String, i64, Value)> {
        loop {
            if let Some((message, rest)) = self.rest.split_once("\n\n") {
                let message = message.to_owned();
                self.rest = rest.to_owned();
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
                let Some(event) = field("event: ") else { continue };
                let id = field("id: ").expect("a number").parse().expect("a number");
                let data = serde_json::from_str(field("data: ").expect("data")).expect("JSON");
                return Some((event.to_owned(), id, data));
            }
            let chunk = tokio::time::timeout(DEADLINE, self.answer.chunk()).await.expect("in time");
            self.rest.push_str(std::str::from_utf8(&chunk.ok()??).expect("text"));
        }
    }

    /// Reads until an event of which something is true; answers all on the way, this one last.
    async fn until(&mut self, what: &str, is: impl Fn(&str, &Value) -> bool) -> Vec<(i64, String)> {
        let mut seen = Vec::new();
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let next = tokio::time::timeout_at(end, self.next()).await;
            let Ok(Some((event, id, data))) = next else { panic!("no {what} after {seen:?}") };
            let topic = !matches!(event.as_str(), "ready" | "reset" | "end");
            if topic {
                seen.push((id, event.clone()));
            }
            if is(&event, &data) {
                return seen;
            }
        }
    }
}

fn about(pair: &str) -> impl Fn(&str, &Value) -> bool {
    let pair = pair.to_owned();
    move |event, data| event == "pair.changed" && data["data"]["pair"] == *pair
}

daemon_on_both_databases! {
    async fn a_stream_goes_on_across_a_kill_without_gap_or_repeat(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0).id;
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let mut stream = api.stream(None).await;
        let (first, start, _) = stream.next().await.expect("a beginning");
        assert_eq!(first, "ready");
        ok(&data, &["pairs", "pause", &pair], "").await;
        let mut seen = stream.until("pause", about(&pair)).await;
        ok(&data, &["pairs", "resume", &pair], "").await;
        daemon.kill();
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let last = seen.last().map_or(start, |(id, _)| *id);
        let mut stream = api.stream(Some(last)).await;
        // What was committed before the kill and was not told any more, then what the new life brings.
        seen.extend(stream.until("the resume", about(&pair)).await);
        ok(&data, &["pairs", "pause", &pair], "").await;
        seen.extend(stream.until("the pause", about(&pair)).await);
        let mut whole = api.stream(Some(start)).await;
        let mut all = Vec::new();
        while all.len() < seen.len() {
            let (event, id, _) = whole.next().await.expect("an event");
            all.push((id, event));
        }
        assert_eq!(all, seen, "without gap or repeat");
        assert!(seen.iter().any(|(_, topic)| topic == "session.state"), "sessions are told of: {seen:?}");
        // A drain ends the stream with a word.
        let ended = tokio::spawn(async move {
            loop {
                match stream.next().await {
                    Some((event, _, data)) if event == "end" => return data["reason"].clone(),
                    Some(_) => {}
                    None => return Value::Null,
                }
            }
        });
        assert!(daemon.terminate().await.success(), "{}", data.read_log());
        assert_eq!(ended.await.expect("a reader"), "draining");
    }

    async fn an_http_actor_that_restarts_ends_its_streams_with_a_word(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let mut stream = api.stream(None).await;
        assert_eq!(stream.next().await.expect("a beginning").0, "ready");
        let (status, said) =
            api.send(Method::POST, "/api/v1/admin/actors/restart", Some(&json!({ "path": "http" }))).await;
        assert_eq!(status, 202, "{said}");
        loop {
            let (event, _, data) = stream.next().await.expect("a word before the end");
            if event == "end" {
                assert_eq!(data["reason"], "draining");
                break;
            }
        }
        let mut again = api.stream(None).await;
        assert_eq!(again.next().await.expect("a beginning").0, "ready", "others begin as before");
    }

    async fn a_paused_queue_holds_everything_across_a_restart_and_loses_nothing(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0);
        let queue = &pair.target.account;
        let daemon = Daemon::start(&world, &data).await;
        let said = ok(&data, &["queues", "pause", queue], "").await;
        assert!(said.contains("is paused"), "{said}");
        for n in 0..20 {
            world.write_text(&pair.source, &format!("m{n}")).await;
        }
        let waiting = |path: String| {
            let data = &data;
            async move {
                let queues = Api::of(data).get(&path).await;
                let queue = queues["items"].as_array().expect("queues").first().cloned()?;
                (queue["waiting"] == 20 && queue["state"] == "paused").then_some(queue)
            }
        };
        let path = "/api/v1/admin/queues?state=paused&sort=depth".to_owned();
        let view = eventually("all to wait", || waiting(path.clone())).await;
        assert_eq!((&view["id"], &view["paused"]), (&json!(queue), &json!(["admin"])));
        daemon.kill();
        let _daemon = Daemon::start(&world, &data).await;
        eventually("the pause to be known again", || waiting(path.clone())).await;
        assert_eq!(world.texts(&pair.target).await, Vec::<String>::new());
        let health = Api::of(&data).get("/api/v1/admin/health").await;
        assert_eq!((&health["queues"]["paused"], &health["store"]["deliveries_waiting"]), (&json!(1), &json!(20)));
        assert_eq!(health["worst_queues"][0]["id"], json!(queue));
        ok(&data, &["queues", "resume", queue], "").await;
        let arrived = world.wait_for(&pair.target, 20).await;
        assert_eq!(arrived, (0..20).map(|n| format!("m{n}")).collect::<Vec<_>>(), "in order, once");
    }

    async fn a_dead_letter_is_replayed_and_arrives_once(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0);
        let daemon = Daemon::start_with(&world, &data, &[("SWITCHYARD_QUEUE__TRIES_MAX", "1")]).await;
        let api = Api::of(&data);
        let letters = "/api/v1/admin/dead-letters";
        let mut written = 0;
        // The fault may meet another call of the account than the send.
        let letter = loop {
            world.fault(&json!({ "target": pair.target.account, "kind": "server_error", "count": 1 })).await;
            world.write_text(&pair.source, &format!("m{written}")).await;
            written += 1;
            let settled = eventually("the message to be settled", || async {
                let deliveries = api.get("/api/v1/deliveries").await;
                let items = deliveries["items"].as_array().expect("items").clone();
                let open = items.iter().any(|item| item["state"] == "pending");
                (items.len() == written && !open).then_some(items)
            })
            .await;
            if let Some(dead) = settled.into_iter().find(|item| item["state"] == "dead") {
                break dead;
            }
        };
        assert_eq!(letter["dead"]["reason"], "exhausted");
        let id = letter["id"].as_str().expect("an id").to_owned();
        assert_eq!(api.get(&format!("{letters}?reason=exhausted&account={}", pair.target.account)).await["items"][0]["id"], *id);
        assert_eq!(api.get(&format!("{letters}?reason=refused")).await["items"], json!([]));
        world.no_faults().await;
        let job = api.job(&format!("{letters}/replay"), &json!({ "filter": { "pair": pair.id } })).await;
        assert_eq!((&job["state"], &job["total"], &job["done"]), (&json!("done"), &json!(1), &json!(1)));
        let arrived = world.wait_for(&pair.target, written).await;
        let again = api.job(&format!("{letters}/replay"), &json!({ "ids": [id] })).await;
        assert_eq!((&again["state"], &again["done"]), (&json!("done"), &json!(0)), "it is not dead any more");
        let (status, refused) = api.send(Method::POST, &format!("/api/v1/deliveries/{id}/replay"), None).await;
        assert_eq!((status, &refused["code"]), (409, &json!("conflict")));
        // What would be sent twice would be sent before this.
        world.write_text(&pair.source, "last").await;
        let all = world.wait_for(&pair.target, written + 1).await;
        assert_eq!(all.len(), written + 1);
        assert_eq!(arrived.iter().filter(|text| **text == format!("m{}", written - 1)).count(), 1, "once");
        drop(daemon);
    }

    async fn all_pairs_of_a_user_are_paused_and_resumed_by_one_job_each(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let pairs = api.get("/api/v1/pairs").await["items"].as_array().expect("pairs").clone();
        let user = pairs[0]["user"].as_str().expect("a user").to_owned();
        let own = &world.pairs().remove(0).id;
        ok(&data, &["pairs", "pause", own], "").await;
        for (verb, paused) in [("pause", true), ("resume", false)] {
            let job = api.job(&format!("/api/v1/admin/users/{user}/pairs/{verb}"), &json!({})).await;
            assert_eq!((&job["state"], &job["done"], &job["failed"]), (&json!("done"), &json!(pairs.len()), &json!(0)));
            let now = api.get("/api/v1/pairs").await["items"].as_array().expect("pairs").clone();
            assert!(now.iter().all(|pair| (pair["paused"] != json!([])) == paused), "{now:?}");
        }
        let job = api.job(&format!("/api/v1/admin/users/{user}/pairs/delete"), &json!({})).await;
        assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(pairs.len())));
        assert_eq!(api.get("/api/v1/pairs").await["items"], json!([]));
        let jobs = api.get("/api/v1/admin/jobs").await["items"].as_array().expect("jobs").len();
        assert_eq!(jobs, 3);
    }

    async fn broken_sessions_are_reconnected_and_revoked_ones_say_so(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let job = api.job("/api/v1/admin/sessions/reconnect", &json!({ "state": "retrying" })).await;
        assert_eq!((&job["state"], &job["total"]), (&json!("done"), &json!(0)));
        let (status, refused) =
            api.send(Method::POST, "/api/v1/admin/sessions/reconnect", Some(&json!({ "state": "connected" }))).await;
        assert_eq!((status, &refused["code"]), (400, &json!("invalid_request")));
        let bot = &world.pairs().remove(0).target.account;
        world.fault(&json!({ "target": bot, "kind": "unauthorized", "seconds": 3600 })).await;
        world.fault(&json!({ "target": bot, "kind": "drop_connection", "count": 1 })).await;
        let health = |state: &'static str| {
            let api = &api;
            async move { (api.get("/api/v1/admin/health").await["sessions"][state] == 1).then_some(()) }
        };
        eventually("the session to need a login", || health("needs_login")).await;
        let job = api.job("/api/v1/admin/sessions/reconnect", &json!({ "state": "needs_login" })).await;
        assert_eq!((&job["done"], &job["failed"]), (&json!(0), &json!(1)));
        assert!(job["error"].as_str().expect("why").contains("needs login"), "{job}");
        drop(daemon);
    }
}
