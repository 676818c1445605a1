//! A customer of a running daemon: somebody who registered, with bots and pairs of their own.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::daemon::{DataDir, End, SeededPair, World};
use super::operator::ok;
use super::people::{Api, Tokens, answer};

/// Somebody who registered; their plan is the default one.
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) tokens: Tokens,
    pub(crate) pairs: Vec<SeededPair>,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Customer {
    /// Registers somebody who takes the seeded Discord bots over and joins the same chats by pairs of their own.
    pub(crate) async fn register(world: &World, data: &DataDir, email: &str) -> Self {
        let api = Api::of(data);
        let tokens = api.new_user(email).await;
        let id = text(&answer(api.user(&tokens, Method::GET, "/me")).await.1["id"]);
        let mut accounts = BTreeMap::new();
        for bot in world.seed["accounts"].as_array().expect("accounts") {
            if bot["kind"] != "discord_bot" {
                continue;
            }
            let known = text(&bot["id"]);
            ok(data, &["accounts", "remove", &known, "--yes"], "").await;
            let order = json!({ "kind": "discord_bot", "token": bot["token"] });
            let (status, made) = answer(api.user(&tokens, Method::POST, "/accounts").json(&order)).await;
            assert_eq!(status, 201, "{made}");
            accounts.insert(known, text(&made["account"]["id"]));
        }
        let mut pairs = Vec::new();
        for pair in world.pairs() {
            let own = |end: End| accounts.get(&end.account).map(|id| End { account: id.clone(), ..end });
            let (Some(source), Some(target)) = (own(pair.source), own(pair.target)) else { continue };
            let end = |end: &End| json!({ "account": end.account, "chat": end.chat });
            let order = json!({ "source": end(&source), "target": end(&target) });
            let (status, made) = answer(api.user(&tokens, Method::POST, "/pairs").json(&order)).await;
            assert_eq!(status, 201, "{made}");
            pairs.push(SeededPair { id: text(&made["id"]), source, target });
        }
        assert!(!pairs.is_empty(), "the seed has pairs between Discord bots");
        Self { id, tokens, pairs }
    }
}
