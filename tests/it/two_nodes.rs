//! Two daemons on one PostgreSQL: what one is told the other does, and what is limited is limited for both together.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;
use tokio::time::Instant;

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::people::{Api, Tokens, answer};

/// Zeros and ones as base64: both nodes open what either sealed.
const MASTER_KEY: (&str, &str) =
    ("SWITCHYARD_VAULT__MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");

/// What a plan without a price allows in a minute: see `[plans]` in config.toml.
const FREE_REQUESTS: usize = 60;

struct Nodes {
    world: World,
    folders: [DataDir; 2],
    _daemons: [Daemon; 2],
    apis: [Api; 2],
}

impl Nodes {
    /// The first node has the accounts; `None` without PostgreSQL.
    async fn start() -> Option<Self> {
        let first = DataDir::postgres().await?;
        let second = DataDir::with_store(first.store_url().map(str::to_owned));
        let world = World::start(SandboxConfig::default()).await;
        let env = [MASTER_KEY, ("SWITCHYARD_LIMITS__OPEN_REQUESTS", "1000")];
        let daemons =
            [Daemon::start_with(&world, &first, &env).await, Daemon::start_with(&world, &second, &env).await];
        let apis = [Api::of(&first), Api::of(&second)];
        Some(Self { world, folders: [first, second], _daemons: daemons, apis })
    }

    /// The states of a node's sessions, by their paths.
    async fn sessions(&self, node: usize) -> Vec<Value> {
        let path = "/admin/supervision?prefix=sessions";
        let (status, page) = answer(self.apis[node].operator(Method::GET, path)).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().expect("nodes").clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_one_node_suspends_stops_at_the_other() {
    let Some(nodes) = Nodes::start().await else { return };
    let (world, pair) = (&nodes.world, nodes.world.pairs().remove(0));
    world.write_text(&pair.source, "before").await;
    world.wait_for(&pair.target, 1).await;
    let (_, shown) = answer(nodes.apis[1].operator(Method::GET, &format!("/pairs/{}", pair.id))).await;
    let user = shown["user"].as_str().unwrap_or_else(|| panic!("whose? {shown}")).to_owned();
    let stands_still = |node: usize| {
        let (nodes, path) = (&nodes, format!("sessions/{}", pair.source.account));
        async move {
            let session = nodes.sessions(node).await.into_iter().find(|seen| seen["path"] == *path)?;
            Some(session["observable"]["connection"] == "suspended")
        }
    };
    assert_eq!(stands_still(0).await, Some(false));
    let order = |verb: &str| nodes.apis[1].operator(Method::POST, &format!("/admin/users/{user}/{verb}"));
    let (status, said) = answer(order("suspend").json(&json!({ "reason": "a complaint" }))).await;
    assert_eq!(status, 200, "{said}");
    eventually("the first node to follow", || async { stands_still(0).await?.then_some(()) }).await;
    world.write_text(&pair.source, "meanwhile").await;
    let (status, said) = answer(order("restore")).await;
    assert_eq!(status, 200, "{said}");
    eventually("the first node to go on", || async { (!stands_still(0).await?).then_some(()) }).await;
    assert_eq!(
        world.wait_for(&pair.target, 2).await,
        ["before", "meanwhile"],
        "{}",
        nodes.folders[0].read_log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_keys_at_two_nodes_share_their_users_limit_exactly() {
    let Some(nodes) = Nodes::start().await else { return };
    for round in 0..5 {
        let began = Instant::now();
        let tokens = nodes.apis[0].new_user(&format!("ann{round}@example.org")).await;
        let mut granted = 0;
        let mut keys = Vec::new();
        for number in 0..10 {
            keys.push(key(&nodes.apis[number % 2], &tokens, number).await);
            granted += 1;
        }
        let calls = (0..FREE_REQUESTS + 40).map(|number| {
            let call = nodes.apis[number % 2].key(&keys[number % keys.len()], Method::GET, "/me");
            async move { answer(call).await.0 }
        });
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(|status| [200, 429].contains(status)), "{answers:?}");
        granted += answers.iter().filter(|status| **status == 200).count();
        // The limit is one of a minute: a round that took longer says nothing.
        if began.elapsed() < Duration::from_secs(55) {
            assert_eq!(granted, FREE_REQUESTS);
            return;
        }
    }
    panic!("this machine makes no hundred calls in a minute");
}

async fn key(api: &Api, tokens: &Tokens, number: usize) -> String {
    let order = json!({ "name": format!("key {number}"), "scopes": ["profile:read"] });
    let (status, made) = answer(api.user(tokens, Method::POST, "/me/api-keys").json(&order)).await;
    assert_eq!(status, 201, "{made}");
    made["secret"].as_str().unwrap_or_else(|| panic!("no secret in {made}")).to_owned()
}
