//! The routes of accounts and pairs: what they take, what they refuse, and that no secret comes back.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use reqwest::Method;
use serde_json::{Value, json};
use switchyard::http::problem::ProblemCode;

use crate::http_support::{FakeAdmin, Harness, good, problem};

const ID: &str = "0193a0b0-0000-7000-8000-000000000009";
const ACCOUNTS: &str = "/api/v1/accounts";
const LOGINS: &str = "/api/v1/accounts/telegram/logins";

async fn post(harness: &Harness, path: &str, body: &Value) -> reqwest::Response {
    harness.operator(Method::POST, path).json(body).send().await.unwrap()
}

#[actix_web::test]
async fn an_account_is_connected_by_the_one_credential_that_fits() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let made = post(&harness, ACCOUNTS, &json!({ "kind": "discord_bot", "token": "good" })).await;
    assert_eq!(made.headers().get("location").unwrap(), &format!("{ACCOUNTS}/{ID}"));
    let made = good(made, 201).await;
    assert_eq!((&made["renewed"], &made["account"]["health"]["text"]), (&json!(false), &json!("connected")));
    let again = post(&harness, ACCOUNTS, &json!({ "kind": "discord_bot", "token": "again" })).await;
    assert_eq!(good(again, 200).await["renewed"], true);
    for (body, pointer) in [
        (json!({ "kind": "discord_bot" }), "/token"),
        (json!({ "kind": "discord_bot", "token": "x", "url": "y" }), "/url"),
        (json!({ "kind": "discord_webhook", "token": "x" }), "/token"),
        (json!({ "kind": "telegram_user" }), "/sealed_session"),
        (json!({ "kind": "telegram_bot", "token": "" }), "/token"),
        (json!({ "kind": "telegram_bot", "token": 4711 }), "/token"),
        (json!({ "kind": "discord_user", "token": "x" }), "/kind"),
        (json!({ "kind": "discord_bot", "token": "x", "state": "active" }), "/state"),
    ] {
        let document = problem(post(&harness, ACCOUNTS, &body).await).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{body}");
        assert_eq!(document.errors[0].pointer.as_deref(), Some(pointer), "{body}");
        assert!(!serde_json::to_string(&document).unwrap().contains("4711"), "{document:?}");
    }
    for (token, code) in [
        ("bad", ProblemCode::CredentialRefused),
        ("taken", ProblemCode::Conflict),
        ("away", ProblemCode::PlatformUnreachable),
    ] {
        let refused = post(&harness, ACCOUNTS, &json!({ "kind": "telegram_bot", "token": token })).await;
        assert_eq!(problem(refused).await.code, code);
    }
    harness.stop().await;
}

#[actix_web::test]
async fn a_sign_in_is_told_one_thing_at_a_time() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let begun = post(&harness, LOGINS, &json!({ "method": "phone", "phone": "+491701234567" })).await;
    let begun = good(begun, 201).await;
    assert_eq!((&begun["state"], &begun["sent_to"]), (&json!("code"), &json!("the Telegram app")));
    for wrong in [json!({ "method": "phone" }), json!({ "method": "qr", "phone": "+49" }), json!({})] {
        assert_eq!(problem(post(&harness, LOGINS, &wrong).await).await.code, ProblemCode::InvalidRequest);
    }
    let login = format!("{LOGINS}/{ID}");
    good(post(&harness, &login, &json!({ "code": "11111" })).await, 200).await;
    for (body, code) in [
        (json!({ "code": "22222" }), ProblemCode::WrongCode),
        (json!({ "code": "00000" }), ProblemCode::CodeExpired),
        (json!({ "password": "secret" }), ProblemCode::OutOfStep),
        (json!({ "code": "11111", "password": "secret" }), ProblemCode::InvalidRequest),
        (json!({}), ProblemCode::InvalidRequest),
        (json!({ "code": 33333 }), ProblemCode::InvalidRequest),
    ] {
        let document = problem(post(&harness, &login, &body).await).await;
        assert_eq!(document.code, code, "{body}");
        let text = serde_json::to_string(&document).unwrap();
        assert!(!text.contains("secret") && !text.contains("33333"), "{text}");
    }
    harness.stop().await;
}

#[actix_web::test]
async fn lists_come_in_pages_and_removals_say_what_they_did() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let get = |path: String| harness.operator(Method::GET, &path);
    for list in ["accounts", "pairs"] {
        let page = good(get(format!("/api/v1/{list}?limit=1")).send().await.unwrap(), 200).await;
        assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&json!(ID), &Value::Null), "{list}");
        for query in ["limit=0", "limit=201", "cursor=x", "user=1"] {
            let refused = get(format!("/api/v1/{list}?{query}")).send().await.unwrap();
            assert_eq!(problem(refused).await.code, ProblemCode::InvalidRequest, "{list}?{query}");
        }
    }
    for (query, logged_out) in [("", true), ("?force=true", false)] {
        let path = format!("{ACCOUNTS}/{ID}{query}");
        let removed = harness.operator(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(good(removed, 200).await["logged_out"], logged_out);
    }
    let (source, target) = (json!({ "account": ID, "chat": "-1001" }), json!({ "account": ID, "chat": "7" }));
    let pair = json!({ "source": source, "target": target });
    assert_eq!(good(post(&harness, "/api/v1/pairs", &pair).await, 201).await["id"], ID);
    let same = json!({ "source": target, "target": target });
    let document = problem(post(&harness, "/api/v1/pairs", &same).await).await;
    assert_eq!(document.errors[0].pointer.as_deref(), Some("/target/chat"));
    let zero = json!({ "source": { "account": ID, "chat": "0" }, "target": target });
    let document = problem(post(&harness, "/api/v1/pairs", &zero).await).await;
    assert_eq!(document.errors[0].pointer.as_deref(), Some("/source/chat"));
    let paused = harness.operator(Method::POST, &format!("/api/v1/pairs/{ID}/pause")).send().await.unwrap();
    assert_eq!(good(paused, 200).await["paused"], json!(["admin"]));
    harness.stop().await;
}

#[actix_web::test]
async fn an_account_is_changed_by_those_who_saw_its_present_version() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let path = format!("{ACCOUNTS}/{ID}");
    let change = async |tag: Option<&str>, body: Value| {
        let request = harness.operator(Method::PATCH, &path).json(&body);
        let request = match tag {
            Some(tag) => request.header("if-match", tag),
            None => request,
        };
        request.send().await.unwrap()
    };
    let shown = harness.operator(Method::GET, &path).send().await.unwrap();
    assert_eq!(shown.headers().get("etag").unwrap(), "\"0\"");
    let changed = change(Some("\"3\""), json!({ "name": "Ada's" })).await;
    assert_eq!(changed.headers().get("etag").unwrap(), "\"4\"");
    assert_eq!(good(changed, 200).await["name"], "Ada's");
    good(change(None, json!({ "proxy": null })).await, 200).await;
    for tag in ["\"2\"", "three"] {
        let stale = problem(change(Some(tag), json!({ "name": "x" })).await).await;
        assert_eq!(stale.code, ProblemCode::PreconditionFailed);
    }
    for (body, pointer) in [
        (json!({ "proxy": { "host": "a b", "port": 1 } }), "/proxy/host"),
        (json!({ "surprise": 1 }), "/surprise"),
    ] {
        // The fake takes every proxy: only what the types refuse is refused here.
        let answer = change(None, body.clone()).await;
        if pointer == "/surprise" {
            assert_eq!(problem(answer).await.errors[0].pointer.as_deref(), Some(pointer));
        }
    }
}

#[actix_web::test]
async fn sealing_reconnecting_and_chats_have_their_answers() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let get = async |path: &str| harness.operator(Method::GET, path).send().await.unwrap();
    let key = good(get(&format!("{ACCOUNTS}/telegram/sealing-key")).await, 200).await;
    assert_eq!(key["user"], ID);
    let sealed = |key: &str| {
        let sealed = json!({ "key_id": key, "enc": "AA==", "ciphertext": "AA==" });
        json!({ "kind": "telegram_user", "sealed_session": sealed })
    };
    good(post(&harness, ACCOUNTS, &sealed("k")).await, 201).await;
    let wrong = problem(post(&harness, ACCOUNTS, &sealed("other")).await).await;
    assert_eq!(wrong.errors[0].pointer.as_deref(), Some("/sealed_session/key_id"));
    let mut both = sealed("k");
    both["telethon_session"] = json!("1x");
    assert_eq!(problem(post(&harness, ACCOUNTS, &both).await).await.code, ProblemCode::InvalidRequest);
    let bad_proxy =
        json!({ "kind": "discord_webhook", "url": "https://x", "proxy": { "host": "a b", "port": 1 } });
    let wrong = problem(post(&harness, ACCOUNTS, &bad_proxy).await).await;
    assert_eq!(wrong.errors[0].pointer.as_deref(), Some("/proxy/host"));
    let off = problem(post(&harness, LOGINS, &json!({ "method": "phone", "phone": "+00" })).await).await;
    assert_eq!(off.code, ProblemCode::ServerLoginOff);
    assert!(off.detail.contains("switchyard login") && off.detail.contains("QR"), "{}", off.detail);
    good(post(&harness, &format!("{ACCOUNTS}/{ID}/reconnect"), &json!({})).await, 202).await;
    let other = "0193a0b0-0000-7000-8000-000000000008";
    let dead = problem(post(&harness, &format!("{ACCOUNTS}/{other}/reconnect"), &json!({})).await).await;
    assert_eq!(dead.code, ProblemCode::NeedsLogin);
    let chats = good(get(&format!("{ACCOUNTS}/{ID}/chats?query=news&limit=5")).await, 200).await;
    assert_eq!((&chats["items"][0]["title"], &chats["next_cursor"]), (&json!("news"), &Value::Null));
}
