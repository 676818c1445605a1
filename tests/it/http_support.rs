//! A server on port 0 with an admin that remembers its orders, for the tests of the HTTP surface.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use switchyard::config::{Config, Flag, HttpConfig, Sources};
use switchyard::crypto::{SystemRng, install_ring_provider};
use switchyard::http::problem::{PROBLEM_JSON, ProblemDocument};
use switchyard::http::{HttpHandle, HttpState, Services, serve};
use switchyard::services::admin::{Admin, AdminError, Health};
use switchyard::services::entry::Entries;
use switchyard::services::fault::Fault;
use switchyard::services::idempotency::{Attempt, Begun, Idempotency, KeptAnswer, KeyedOrder};
use switchyard::services::limiter::{
    Allowance, ApiLimit, CallLimits, FixedLimits, Limiter, Subject, Verdict,
};
use switchyard::services::operator::OperatorAccess;
use switchyard_actors::model::AccountId;
use switchyard_actors::ports::Clock;
use switchyard_actors::supervision::{ChildPath, NodeView, Page, PageQuery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::http_bot::NoBot;
use crate::http_desk::FakeDesk;
use crate::http_nobody::Nobody;
use crate::http_ops::OutOfOrder;
use crate::http_staff::FakeStaff;

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Noon of a fixed day.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        noon()
    }
}

/// What a fake admin answers, and what it was asked.
#[derive(Default)]
pub(crate) struct FakeAdmin {
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) health: Mutex<Health>,
    pub(crate) refusal: Mutex<Option<AdminError>>,
    pub(crate) orders: Mutex<Vec<String>>,
    /// Nothing stands anywhere.
    pub(crate) lost: Mutex<bool>,
}

impl FakeAdmin {
    pub(crate) fn with_paths(paths: &[&str]) -> Self {
        let nodes = paths.iter().map(|path| node(path)).collect();
        let health = Mutex::new(Health { live: true, ready: true, ..Health::default() });
        Self { nodes, health, ..Self::default() }
    }

    fn order(&self, order: String) -> Result<(), AdminError> {
        self.orders.lock().unwrap().push(order);
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

/// A running child at a path.
pub(crate) fn node(path: &str) -> NodeView {
    serde_json::from_value(json!({
        "path": path, "kind": "pair", "state": "running", "reason": null, "since": "2026-11-22T11:00:00Z", "epoch": 1,
        "shard": 0, "restarts_total": 2, "restarts_in_window": 0, "next_attempt": null, "depth": 3, "last_failure": null,
        "observable": {},
    }))
    .unwrap()
}

#[async_trait]
impl Admin for FakeAdmin {
    async fn supervision(&self, query: &PageQuery) -> Result<Page, AdminError> {
        assert_ne!(query.prefix.as_str(), "panic", "planted panic text");
        if query.prefix.as_str() == "hang" {
            std::future::pending::<()>().await;
        }
        if *self.lost.lock().unwrap() {
            return Err(AdminError::NotFound(format!("actor {}", query.prefix)));
        }
        let order = |path: &ChildPath| (!path.is_root(), path.clone());
        let wanted = |node: &&NodeView| {
            node.path.is_within(&query.prefix)
                && query.state.is_none_or(|state| state == node.state)
                && query.after.as_ref().is_none_or(|after| order(&node.path) > order(after))
        };
        let mut items: Vec<NodeView> = self.nodes.iter().filter(wanted).cloned().collect();
        items.sort_by_key(|node| order(&node.path));
        let more = items.len() > query.limit.get();
        items.truncate(query.limit.get());
        let next = items.last().filter(|_| more).map(|node| node.path.clone());
        Ok(Page { items, next })
    }

    async fn actor(&self, path: &ChildPath) -> Result<NodeView, AdminError> {
        let node = self.nodes.iter().find(|node| node.path == *path).cloned();
        node.ok_or_else(|| AdminError::NotFound(format!("actor {path}")))
    }

    async fn restart(&self, path: &ChildPath) -> Result<(), AdminError> {
        self.order(format!("restart {path}"))
    }

    async fn reconnect(&self, account: AccountId) -> Result<(), AdminError> {
        self.order(format!("reconnect {account}"))
    }

    fn health(&self) -> Health {
        self.health.lock().unwrap().clone()
    }
}

/// A fake admin beside accounts and pairs that are not there.
pub(crate) fn services(admin: Arc<FakeAdmin>) -> Services {
    let desk = Arc::new(FakeDesk);
    let entry = Arc::new(Entries::default());
    let limit = ApiLimit { requests: NonZeroU32::MAX, window: DEADLINE };
    let allowance = Arc::new(Allowance { user: limit, key: limit });
    let limits = CallLimits::new(Arc::new(NoLimits), allowance, FixedLimits { open: limit, admin: limit });
    let staff = Arc::new(FakeStaff::default());
    let identity = Arc::new(Nobody);
    let ops = Arc::new(OutOfOrder);
    Services {
        admin,
        accounts: desk.clone(),
        pairs: desk.clone(),
        membership: desk.clone(),
        users: identity.clone(),
        identity,
        entry,
        networks: staff.clone(),
        audit: staff.clone(),
        staff,
        events: ops.clone(),
        jobs: ops.clone(),
        queues: ops.clone(),
        deliveries: ops.clone(),
        bulk: ops.clone(),
        monitor: ops,
        limits,
        orders: Arc::new(NoOrders),
        keys: desk.clone(),
        secrets: desk,
        linking: Arc::new(NoBot),
        announcements: Arc::new(NoBot),
    }
}

/// Grants everything.
struct NoLimits;

#[async_trait]
impl Limiter for NoLimits {
    async fn take(&self, _: &[Subject]) -> Result<Verdict, Fault> {
        Ok(Verdict { granted: true, policies: Vec::new() })
    }
}

/// Knows no keys.
struct NoOrders;

#[async_trait]
impl Idempotency for NoOrders {
    async fn begin(&self, _: &KeyedOrder) -> Result<Begun, Fault> {
        Err(Fault::Unavailable("there is no store".to_owned()))
    }

    async fn finish(&self, _: &Attempt, _: &KeptAnswer) -> Result<(), Fault> {
        Err(Fault::Unavailable("there is no store".to_owned()))
    }

    async fn release(&self, _: &Attempt) -> Result<(), Fault> {
        Err(Fault::Unavailable("there is no store".to_owned()))
    }
}

/// A server that runs, and a client for it.
pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<HttpState>,
    pub(crate) access: OperatorAccess,
    pub(crate) admin: Arc<FakeAdmin>,
    pub(crate) handle: HttpHandle,
    client: reqwest::Client,
    task: JoinHandle<std::io::Result<()>>,
}

/// The configuration with some keys of `http` changed.
pub(crate) fn http_config(keys: &[(&'static str, &str)]) -> HttpConfig {
    let flags =
        keys.iter().map(|(key, value)| Flag { name: "--test", key, value: (*value).to_owned() }).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap().http
}

impl Harness {
    /// Serving, with default bounds.
    pub(crate) fn start(admin: FakeAdmin) -> Self {
        let harness = Self::migrating(admin, &[]);
        harness.serve();
        harness
    }

    /// Still migrating, with some bounds changed.
    pub(crate) fn migrating(admin: FakeAdmin, keys: &[(&'static str, &str)]) -> Self {
        install_ring_provider();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let access = OperatorAccess::generate(address, &SystemRng);
        let state = HttpState::migrating(&access, Arc::new(Noon), Arc::new(SystemRng));
        let server = serve(listener, Arc::clone(&state), &http_config(keys)).unwrap();
        let handle = server.handle();
        let task = tokio::spawn(server.run());
        let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
        Self { address, state, access, admin: Arc::new(admin), handle, client, task }
    }

    /// From now on it serves.
    pub(crate) fn serve(&self) {
        self.state.serve_with(services(self.admin.clone()));
    }

    /// A request without a token.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with the operator's token.
    pub(crate) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.access.token())
    }

    /// Bytes in, bytes out, until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap()
    }

    /// Stops the server and waits until it is over.
    pub(crate) async fn stop(self) {
        self.handle.stop().await;
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// The problem in a response, after checking everything that every problem has.
pub(crate) async fn problem(response: Response) -> ProblemDocument {
    let status = response.status().as_u16();
    let id = response.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(response.headers().get("content-type").unwrap(), PROBLEM_JSON);
    let document: ProblemDocument = response.json().await.unwrap();
    check(&document, status, &id);
    document
}

/// The problem in a raw response.
pub(crate) fn raw_problem(response: &str) -> ProblemDocument {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.get(9..12).unwrap().parse().unwrap();
    let header = |name: &str| {
        let found =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
        found.unwrap_or_else(|| String::from("none"))
    };
    assert_eq!(header("content-type: "), PROBLEM_JSON, "{response}");
    assert_eq!(header("content-length: "), body.len().to_string(), "{response}");
    let document: ProblemDocument = serde_json::from_str(body).unwrap();
    check(&document, status, &header("x-request-id: "));
    document
}

fn check(document: &ProblemDocument, status: u16, id: &str) {
    assert_eq!(document.status, status);
    assert_eq!(document.code.status().as_u16(), status);
    assert_eq!(document.r#type, format!("tag:switchyard.example,2026:problem/{}", document.code.as_str()));
    assert_eq!(document.title, document.code.title());
    assert_eq!(document.request_id.as_deref(), Some(id));
    assert!(!document.detail.is_empty());
}

/// The body of a good answer.
pub(crate) async fn good(response: Response, status: u16) -> Value {
    assert_eq!(response.status().as_u16(), status, "{response:?}");
    assert!(response.headers().contains_key("x-request-id"));
    response.json().await.unwrap()
}
