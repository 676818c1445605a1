//! Pairs of a running daemon by its API: changes, filters, circles, limits of plans, and what platforms say of chats.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::{fails, list, ok, second_word, seeded};
use crate::harness::people::answer;

/// The API of a running daemon, for its operator.
struct Api {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Api {
    fn of(data: &DataDir) -> Self {
        let file =
            |name: &str| std::fs::read_to_string(data.path().join(name)).expect("a file").trim().to_owned();
        let base = format!("http://{}/api/v1", file("http-address"));
        Self { base, token: file("operator-token"), http: reqwest::Client::new() }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Option<String>, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().expect("a tag").to_owned());
        (answer.status(), tag, answer.json().await.unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.call(Method::GET, path, None, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|pair| pair["id"].as_str().expect("an id").to_owned()).collect()
}

daemon_on_both_databases! {
    async fn a_change_takes_effect_at_once_and_loses_nothing(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let (api, pair) = (Api::of(&data), world.pairs().remove(0));
        let path = format!("/pairs/{}", pair.id);
        let (_, tag, before) = api.call(Method::GET, &path, None, None).await;
        let tag = tag.expect("a tag");
        assert_eq!((before["state"].as_str(), before["name"].is_null()), (Some("forwarding"), true));
        world.write_text(&pair.source, "1").await;
        world.wait_for(&pair.target, 1).await;
        let hold = json!({ "name": "News", "enabled": false });
        let (status, new_tag, held) = api.call(Method::PATCH, &path, Some(&tag), Some(&hold)).await;
        assert_eq!(status, StatusCode::OK, "{held}");
        assert_eq!((held["name"].as_str(), &held["paused"]), (Some("News"), &json!(["admin"])));
        assert_ne!(new_tag.as_deref(), Some(tag.as_str()));
        for id in 2..=20 {
            world.write_text(&pair.source, &id.to_string()).await;
        }
        let (status, _, problem) = api.call(Method::PATCH, &path, Some(&tag), Some(&json!({ "enabled": true }))).await;
        assert_eq!((status, problem["code"].as_str()), (StatusCode::PRECONDITION_FAILED, Some("precondition_failed")));
        let (_, _, shown) = api.call(Method::GET, &path, None, None).await;
        assert_eq!(shown["state"], "paused", "the one who came late changed nothing");
        assert_eq!(world.texts(&pair.target).await, ["1"], "nothing goes out of a pair that is held");
        let go = json!({ "enabled": true, "name": null });
        let (status, _, gone_on) = api.call(Method::PATCH, &path, new_tag.as_deref(), Some(&go)).await;
        assert_eq!((status, &gone_on["paused"]), (StatusCode::OK, &json!([])));
        let all: Vec<String> = (1..=20).map(|id: u32| id.to_string()).collect();
        assert_eq!(world.wait_for(&pair.target, 20).await, all);
        for wrong in [json!({ "name": "" }), json!({ "name": "a\nb" }), json!({ "source": {} }), json!({ "name": "x".repeat(101) })] {
            let (status, _, problem) = api.call(Method::PATCH, &path, None, Some(&wrong)).await;
            assert_eq!((status, problem["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{wrong}");
        }
        let said = ok(&data, &["pairs", "change", &pair.id, "--name", "By hand"], "").await;
        assert!(said.contains("By hand") && said.contains("forwards"), "{said}");
    }

    async fn lists_are_filtered_and_sorted_page_by_page(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let (api, pairs) = (Api::of(&data), world.pairs());
        let all = ids(&api.get("/pairs").await);
        assert_eq!(all.len(), pairs.len());
        let last = ids(&api.get("/pairs?sort=-created").await);
        assert_eq!(last, all.iter().rev().cloned().collect::<Vec<_>>());
        let page = api.get("/pairs?sort=-created&limit=3").await;
        let cursor = page["next_cursor"].as_str().expect("more");
        let rest = api.get(&format!("/pairs?sort=-created&cursor={cursor}")).await;
        assert_eq!([ids(&page), ids(&rest)].concat(), last);
        let account = pairs[0].source.account.as_str();
        let with = |pair: &&crate::harness::daemon::SeededPair| pair.source.account == account || pair.target.account == account;
        let of_account = ids(&api.get(&format!("/pairs?account={account}")).await);
        assert_eq!(of_account.len(), pairs.iter().filter(with).count());
        api.call(Method::PATCH, &format!("/pairs/{}", pairs[1].id), None, Some(&json!({ "name": "Großes Archiv", "enabled": false }))).await;
        assert_eq!(ids(&api.get("/pairs?state=paused").await), [pairs[1].id.clone()]);
        assert_eq!(ids(&api.get("/pairs?state=forwarding").await).len(), pairs.len() - 1);
        assert_eq!(ids(&api.get("/pairs?query=ARCHIV").await), [pairs[1].id.clone()]);
        let chat = &pairs[0].target.chat;
        assert!(ids(&api.get(&format!("/pairs?query={chat}")).await).contains(&pairs[0].id));
        let (status, _, problem) = api.call(Method::GET, "/pairs?state=asleep", None, None).await;
        assert_eq!((status, problem["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_request")));
    }

    async fn circles_are_refused_unless_they_are_meant(data) {
        let counts = PairCounts { telegram_to_telegram: 0, discord_to_telegram: 0, telegram_to_discord: 0, discord_to_discord: 3 };
        let shape = SeedShape { discord_bots: 1, pairs: counts, ..SeedShape::default() };
        let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let place = |end: &crate::harness::daemon::End| format!("{}:{}", end.account, end.chat);
        // first.target -> second.source -> second.target (seeded) -> first.source would close the circle.
        let (a, b, c, d) = (place(&pairs[0].source), place(&pairs[0].target), place(&pairs[1].source), place(&pairs[1].target));
        let add = ["pairs", "add", "--from"];
        ok(&data, &[add.as_slice(), &[&b, "--to", &a]].concat(), "").await;
        ok(&data, &[add.as_slice(), &[&b, "--to", &c]].concat(), "").await;
        let close = [add.as_slice(), &[&d, "--to", &a]].concat();
        let (code, complaint) = fails(&data, &close, "").await;
        assert!(code == 69 && complaint.contains("allow_cycle") && complaint.contains(&pairs[1].id), "{complaint}");
        let said = ok(&data, &[close.as_slice(), &["--allow-cycle"]].concat(), "").await;
        assert!(said.trim_end().ends_with("forwards"), "{said}");
        world.write_text(&pairs[0].source, "around").await;
        assert_eq!(world.wait_for(&pairs[0].target, 1).await, ["around"]);
        world.write_text(&pairs[1].source, "again").await;
        world.wait_for(&pairs[1].target, 1).await;
        for end in [&pairs[0].source, &pairs[0].target, &pairs[1].source, &pairs[1].target] {
            let texts = world.texts(end).await;
            assert!(texts.len() <= 3, "copies are never forwarded: {texts:?}");
        }
    }

    async fn of_two_pairs_that_close_a_circle_together_one_is_added(data) {
        let counts = PairCounts { telegram_to_telegram: 0, discord_to_telegram: 0, telegram_to_discord: 0, discord_to_discord: 2 };
        let shape = SeedShape { discord_bots: 1, pairs: counts, ..SeedShape::default() };
        let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
        let _daemon = Daemon::start(&world, &data).await;
        let (pairs, api) = (world.pairs(), crate::harness::people::Api::of(&data));
        let end = |end: &crate::harness::daemon::End| json!({ "account": end.account, "chat": end.chat });
        let add = |from: &Value, to: &Value| {
            answer(api.operator(Method::POST, "/pairs").json(&json!({ "source": from, "target": to })))
        };
        let (a, b, c, d) = (end(&pairs[0].source), end(&pairs[0].target), end(&pairs[1].source), end(&pairs[1].target));
        for _ in 0..5 {
            let (one, other) = tokio::join!(add(&b, &c), add(&d, &a));
            let (added, refused) = if one.0 == 201 { (one, other) } else { (other, one) };
            assert_eq!((added.0, refused.0), (201, 409), "{} {}", added.1, refused.1);
            assert_eq!(refused.1["code"], "pair_cycle");
            let path = format!("/pairs/{}", added.1["id"].as_str().expect("an id"));
            assert_eq!(answer(api.operator(Method::DELETE, &path)).await.0, 200);
        }
    }

    async fn a_chat_that_the_platform_refuses_is_named_at_once(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        let from = format!("{}:{}", pair.source.account, pair.source.chat);
        let nowhere = format!("{}:123456789", pair.target.account);
        let (code, complaint) = fails(&data, &["pairs", "add", "--from", &from, "--to", &nowhere], "").await;
        assert!(code == 64 && complaint.contains("cannot write to its target"), "{code} {complaint}");
        // What cannot be asked now is taken, and says what it waits for.
        let account = pair.target.account.as_str();
        world.fault(&json!({ "target": account, "kind": "unauthorized", "count": 1000 })).await;
        world.write_text(&pair.source, "x").await;
        eventually("the account to need a login", || async {
            let accounts = list(&data, "accounts").await;
            let sick = accounts.iter().find(|found| found["id"] == account)?;
            (sick["health"]["status"] == "needs_login").then_some(())
        })
        .await;
        let said = ok(&data, &["pairs", "add", "--from", &from, "--to", &nowhere], "").await;
        assert!(!second_word(&said).is_empty());
        let pairs = list(&data, "pairs").await;
        let new = pairs.iter().find(|found| found["id"] == second_word(&said).as_str()).expect("the pair");
        assert!(new["text"].as_str().expect("a text").contains("needs login"), "{new}");
    }

    async fn a_plan_limits_pairs_and_accounts_and_says_so(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pairs = world.pairs();
        assert!(pairs.len() >= 3, "as many as the plan allows");
        let _daemon = Daemon::start_with(&world, &data, &[("SWITCHYARD_PLANS__OPERATOR", "free")]).await;
        let from = format!("{}:{}", pairs[0].source.account, pairs[0].source.chat);
        let to = format!("{}:{}", pairs[1].target.account, pairs[1].target.chat);
        let (_, complaint) = fails(&data, &["pairs", "add", "--from", &from, "--to", &to], "").await;
        assert!(complaint.contains("plan free allows 3 pairs"), "{complaint}");
        for pair in &pairs[2..] {
            ok(&data, &["pairs", "remove", &pair.id], "").await;
        }
        ok(&data, &["pairs", "add", "--from", &from, "--to", &to, "--name", "the third"], "").await;
        let plans = Api::of(&data).get("/plans").await;
        assert_eq!((&plans["default"], &plans["items"][0]["pairs"]), (&json!("free"), &json!(3)));
        let said = ok(&data, &["plans", "list"], "").await;
        assert!(said.contains("business") && said.contains("9.00 USD"), "{said}");
        // An account that is there is renewed all the same; one that comes is too many.
        let token = seeded(&world, "discord_bot", 0)["token"].as_str().expect("a token").to_owned();
        ok(&data, &["accounts", "add-bot", "--discord"], &token).await;
        let bot = seeded(&world, "discord_bot", 0)["id"].as_str().expect("an id").to_owned();
        ok(&data, &["accounts", "remove", &bot, "--yes"], "").await;
        let accounts = list(&data, "accounts").await.len();
        assert!(accounts >= 3, "{accounts}");
        let (_, complaint) = fails(&data, &["accounts", "add-bot", "--discord"], &token).await;
        assert!(complaint.contains("plan free allows 3 accounts"), "{complaint}");
    }
}
