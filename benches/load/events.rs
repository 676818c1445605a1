//! How long it takes from a change to its arrival at the admin stream, with 10,000 queues. The aim: p99 within 1 s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use switchyard_sandbox::{PairCounts, SeedShape};
use tokio::sync::watch;
use tokio::time::Instant;

use super::daemon::Scene;
use super::measure::{Times, against, head, now};

/// As many as the promise speaks of.
pub(crate) const QUEUES: u16 = 10_000;
/// Callers who change something at the same time, and how often each does.
const CALLERS: usize = 4;
const CHANGES: usize = 60;
const TARGET: Duration = Duration::from_secs(1);
const ARRIVAL_MAX: Duration = Duration::from_secs(60);

/// When which queue was told of in which state, and a count that grows with each.
#[derive(Clone)]
struct Arrivals {
    at: Arc<Mutex<HashMap<(String, String), Instant>>>,
    grew: watch::Receiver<u64>,
}

impl Arrivals {
    /// When the stream told this; taken out, so that it can be told again.
    async fn of(&mut self, account: &str, state: &str) -> Instant {
        let key = (account.to_owned(), state.to_owned());
        let wait = async {
            loop {
                let at = self.at.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                match at {
                    Some(at) => return at,
                    None => self.grew.changed().await.expect("the stream lives"),
                }
            }
        };
        tokio::time::timeout(ARRIVAL_MAX, wait).await.expect("the stream tells it")
    }
}

/// Reads the stream as a client does, for ever.
async fn listen(
    mut answer: Response,
    arrivals: Arc<Mutex<HashMap<(String, String), Instant>>>,
    grew: watch::Sender<u64>,
) {
    let mut rest = String::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let at = now();
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((message, left)) = rest.split_once("\n\n") {
            let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
            if field("event: ") == Some("queue.state") {
                let data: Value = serde_json::from_str(field("data: ").unwrap()).unwrap();
                let text = |name: &str| data["data"][name].as_str().unwrap_or_default().to_owned();
                arrivals
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert((text("account"), text("state")), at);
                grew.send_modify(|count| *count += 1);
            }
            rest = left.to_owned();
        }
    }
}

/// Pauses and resumes queues of its own, one after the other; answers the times from the call, and from the answer.
async fn changes(scene: &Scene, queues: Vec<String>, mut arrivals: Arrivals) -> (Times, Times) {
    let (mut called, mut answered) = (Times::default(), Times::default());
    for queue in &queues {
        for (verb, state) in [("pause", "paused"), ("resume", "running")] {
            let asked = now();
            scene.order(Method::POST, &format!("/api/v1/admin/queues/{queue}/{verb}"), None).await;
            let told = now();
            let at = arrivals.of(queue, state).await;
            called.add(at.saturating_duration_since(asked));
            answered.add(at.saturating_duration_since(told));
        }
    }
    (called, answered)
}

pub(crate) async fn run(many: u16) {
    let shape = SeedShape { webhooks: many, pairs: PairCounts::default(), ..SeedShape::default() };
    let began = now();
    // Seeding writes each account, and each is connected once: that takes longer than readiness waits for.
    let scene = Scene::start(shape, &[("SWITCHYARD_SUPERVISION__FIRST_CONNECT_WAIT", "10m")]).await;
    let queues: Vec<String> = scene.seed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|account| account["kind"] == "discord_webhook")
        .map(|account| account["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(queues.len(), usize::from(many));
    let health = scene.order(Method::GET, "/api/v1/admin/health", None).await;
    println!("\n{many} queues stand after {:.0} s: {}", began.elapsed().as_secs_f64(), health["queues"]);

    let stream = format!("{}/api/v1/admin/events?topics=queue.state", scene.base);
    let answer = scene.http.get(stream).bearer_auth(&scene.operator).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (grow, grew) = watch::channel(0);
    let at = Arc::new(Mutex::new(HashMap::new()));
    let listening = tokio::spawn(listen(answer, Arc::clone(&at), grow));
    let arrivals = Arrivals { at, grew };
    let spread = (queues.len() / CHANGES).max(CALLERS);
    let callers = (0..CALLERS).map(|caller| {
        let own = queues.iter().skip(caller).step_by(spread).take(CHANGES).cloned().collect();
        changes(&scene, own, arrivals.clone())
    });
    let (mut called, mut answered) = (Times::default(), Times::default());
    for (from_call, from_answer) in futures_util::future::join_all(callers).await {
        called.extend(from_call);
        answered.extend(from_answer);
    }
    listening.abort();
    head(&format!("a change of one of {many} queues, until the admin stream tells it ({CALLERS} callers)"));
    println!("{}", called.line("from the call"));
    println!("{}", answered.line("from the answer (committed)"));
    against(&called, TARGET);
}
