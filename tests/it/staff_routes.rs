//! The staff's routes over real sockets: from where they answer, for whom, and what is put on record.

use reqwest::Method;
use serde_json::{Value, json};
use switchyard::http::api::Access;
use switchyard::http::table;

use crate::staff_support::{PASSWORD, StaffServer};

const ALLOWLIST: &str = "/api/v1/admin/allowlist";
const AUDIT: &str = "/api/v1/admin/audit";
const ID: &str = "0193a0b0-0000-7000-8000-000000000001";

/// Headers of a request that reaches the server by a trusted proxy on loopback, and whether the list
/// `203.0.113.0/24, 2001:db8:1::/48, 198.51.100.7` admits it.
const CASES: &[(&[(&str, &str)], bool)] = &[
    (&[], false),
    (&[("x-forwarded-for", "203.0.113.9")], true),
    (&[("x-forwarded-for", "203.0.113.0")], true),
    (&[("x-forwarded-for", "203.0.113.255")], true),
    (&[("x-forwarded-for", "203.0.112.255")], false),
    (&[("x-forwarded-for", "203.0.114.0")], false),
    (&[("x-forwarded-for", "198.51.100.7")], true),
    (&[("x-forwarded-for", "198.51.100.8")], false),
    (&[("x-forwarded-for", "::ffff:203.0.113.9")], true),
    (&[("x-forwarded-for", "::ffff:cb00:7109")], true),
    (&[("x-forwarded-for", "::ffff:198.51.100.8")], false),
    (&[("x-forwarded-for", "::203.0.113.9")], false),
    (&[("x-forwarded-for", "2001:db8:1::9")], true),
    (&[("x-forwarded-for", "2001:db8:1:ffff::")], true),
    (&[("x-forwarded-for", "2001:db8:2::9")], false),
    (&[("x-forwarded-for", "[2001:db8:1::9]:443")], true),
    (&[("x-forwarded-for", "203.0.113.9:443")], true),
    (&[("x-forwarded-for", "127.0.0.1")], false),
    (&[("x-forwarded-for", "::1")], false),
    (&[("x-forwarded-for", "10.1.2.3")], false),
    (&[("x-forwarded-for", "203.0.113.9, 10.1.2.3")], true),
    (&[("x-forwarded-for", "203.0.113.9, 198.51.100.8")], false),
    (&[("x-forwarded-for", "203.0.113.9, 198.51.100.8, 10.1.2.3")], false),
    (&[("x-forwarded-for", "198.51.100.8, 203.0.113.9")], true),
    (&[("x-forwarded-for", "198.51.100.8, 203.0.113.9, 10.1.2.3")], true),
    (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.8")], false),
    (&[("x-forwarded-for", "198.51.100.8"), ("x-forwarded-for", "203.0.113.9")], true),
    (&[("x-forwarded-for", "")], false),
    (&[("x-forwarded-for", "unknown")], false),
    (&[("x-forwarded-for", "203.0.113.9, unknown")], false),
    (&[("x-forwarded-for", "203.0.113.9, ")], false),
    (&[("x-forwarded-for", "203.0.113.009")], false),
    (&[("x-forwarded-for", "3405803785")], false),
    (&[("x-forwarded-for", "203.0.113.9 198.51.100.8")], false),
    (&[("x-forwarded-for", "203.0.113.0/24")], false),
    (&[("x-forwarded-for", "203.0.113.9%eth0")], false),
    (&[("x-real-ip", "203.0.113.9")], false),
    (&[("x-client-ip", "203.0.113.9")], false),
    (&[("true-client-ip", "203.0.113.9")], false),
    (&[("cf-connecting-ip", "203.0.113.9")], false),
    (&[("forwarded", "for=203.0.113.9")], true),
    (&[("forwarded", "for=\"[2001:db8:1::9]:443\";proto=https")], true),
    (&[("forwarded", "for=203.0.113.9, for=198.51.100.8")], false),
    (&[("forwarded", "for=198.51.100.8, for=203.0.113.9")], true),
    (&[("forwarded", "for=\"203.0.113.9, for=198.51.100.8")], false),
    (&[("forwarded", "for=unknown")], false),
    (&[("forwarded", "for=_203.0.113.9")], false),
    (&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "198.51.100.8")], false),
    (&[("forwarded", "for=198.51.100.8"), ("x-forwarded-for", "203.0.113.9")], false),
    (&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9")], true),
];

/// One-time codes are an admin's own: the operator, who orders everything here, has none.
const NO_TARGET: [&str; 2] = ["enroll_admin_totp", "confirm_admin_totp"];

/// What the services behind this server refuse, for they are not there.
const OUT_OF_ORDER: &[&str] = &[
    "change_user",
    "delete_user",
    "suspend_user",
    "restore_user",
    "set_user_plan",
    "add_key",
    "rotate_keys",
    "retire_key",
    "set_secret",
    "remove_secret",
    "announce",
    "cancel_announcement",
    "resume_announcement",
    "restart_queues",
    "restart_queue",
    "pause_queue",
    "resume_queue",
    "reconnect_sessions",
    "replay_dead_letters",
    "replay_delivery",
    "pause_user_pairs",
    "resume_user_pairs",
    "delete_user_pairs",
    "reconnect_account",
];

/// An order that is taken.
fn order_of(id: &str) -> Option<Value> {
    let end = |chat: &str| json!({ "account": ID, "chat": chat });
    Some(match id {
        "connect_account" => json!({ "kind": "discord_bot", "token": "good" }),
        "begin_telegram_login" => json!({ "method": "qr" }),
        "answer_telegram_login" => json!({ "code": "11111" }),
        "change_account" => json!({ "name": "another" }),
        "add_pair" => json!({ "source": end("7"), "target": end("8") }),
        "change_pair" => json!({ "enabled": false }),
        "restart_actor" => json!({ "path": "pairs/1" }),
        "add_admin" => json!({ "email": "ada@example.org", "password": PASSWORD, "role": "owner" }),
        "change_admin" => json!({ "role": "content" }),
        "set_allowlist" => json!({ "revision": 0, "networks": [{ "network": "203.0.113.0/24" }] }),
        "announce" => json!({ "kind": "system", "text": "x" }),
        "restart_queues" => json!({ "state": "parked" }),
        "reconnect_sessions" => json!({ "state": "stopped" }),
        "replay_dead_letters" => json!({ "filter": { "reason": "exhausted" } }),
        "rotate_keys" => json!({}),
        "set_secret" => json!({ "value": "planted" }),
        _ => return None,
    })
}

async fn set(server: &StaffServer, revision: u64, networks: &[&str]) -> (u16, Value) {
    let networks: Vec<Value> = networks.iter().map(|network| json!({ "network": network })).collect();
    let order = json!({ "revision": revision, "networks": networks });
    let answer = server.operator(Method::PUT, ALLOWLIST).json(&order).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn records(server: &StaffServer, query: &str) -> Vec<Value> {
    let path = format!("{AUDIT}?limit=200{query}");
    let page: Value = server.operator(Method::GET, &path).send().await.unwrap().json().await.unwrap();
    page["items"].as_array().unwrap().clone()
}

on_both_databases! {
    /// The table, with real headers: the router, credentials and bodies are never reached from outside.
    async fn the_allow_list_decides_before_anything_else(fixture) {
        assert!(CASES.len() >= 40);
        let server = StaffServer::start(&fixture);
        let (status, list) = set(&server, 0, &["203.0.113.0/24", "2001:db8:1::/48", "198.51.100.7"]).await;
        assert_eq!(status, 200, "{list}");
        for (headers, admitted) in CASES {
            let mut request = server.anonymous(Method::GET, ALLOWLIST);
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, if *admitted { 401 } else { 403 }, "{headers:?}");
        }
        let outside = |method: Method, path: &str| {
            let request = server.anonymous(method, path).header("x-forwarded-for", "192.0.2.1");
            async move { request.send().await.unwrap().status().as_u16() }
        };
        for path in [
            ALLOWLIST, "/api/v1/admin", "/api/v1/admin/", "/api/v1/admin/nowhere", "/api/v1/admin/auth/login",
            "/api/v1/%61dmin/allowlist", "/api/v1/admi%6e/auth/login",
        ] {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                assert_eq!(outside(method.clone(), path).await, 403, "{method} {path}");
            }
        }
        assert_eq!(outside(Method::GET, "/healthz").await, 200, "what is not the staff's answers everybody");
        let token = server.operator(Method::GET, ALLOWLIST).header("x-forwarded-for", "192.0.2.1");
        assert_eq!(token.send().await.unwrap().status().as_u16(), 403, "the operator's token is for direct callers");
        assert_eq!(server.operator(Method::GET, ALLOWLIST).send().await.unwrap().status().as_u16(), 200);
        server.stop().await;
    }

    /// An admin changes the list at run time and stays inside.
    async fn an_admin_changes_the_list_without_locking_themselves_out(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin("ada@example.org", "owner").await;
        assert_eq!(set(&server, 0, &["203.0.113.0/24"]).await.0, 200);
        let from = |address: &'static str, method: Method, path: &str| {
            server.anonymous(method, path).header("x-forwarded-for", address)
        };
        let login = json!({ "email": "ada@example.org", "password": PASSWORD });
        let refused = from("192.0.2.1", Method::POST, "/api/v1/admin/auth/login").json(&login).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 403, "not even with the right password");
        let tokens = from("203.0.113.9", Method::POST, "/api/v1/admin/auth/login").json(&login).send().await.unwrap();
        let tokens: Value = tokens.json().await.unwrap();
        let put = |address: &'static str, revision: u64, network: &str| {
            let order = json!({ "revision": revision, "networks": [{ "network": network, "note": "office" }] });
            let request = from(address, Method::PUT, ALLOWLIST).json(&order);
            let request = request.bearer_auth(tokens["access_token"].as_str().unwrap());
            async move {
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
            }
        };
        let (status, problem) = put("203.0.113.9", 1, "198.51.100.0/24").await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().contains("would lock you out"), "{problem}");
        assert_eq!(put("203.0.113.9", 7, "203.0.113.9").await.0, 409, "somebody else's revision");
        let (status, list) = put("203.0.113.9", 1, "203.0.113.9").await;
        assert_eq!((status, &list["revision"]), (200, &json!(2)));
        assert_eq!(list["items"][0]["source"], "permanent");
        assert_eq!(put("203.0.113.8", 2, "203.0.113.8").await.0, 403, "outside from that moment on");
        let changed = records(&server, "&action=set_allowlist").await;
        assert_eq!(changed[0]["before"]["revision"], 1);
        assert_eq!(changed[0]["after"]["items"][2]["network"], "203.0.113.9/32");
        assert_eq!(changed[0]["actor"]["email"], "ada@example.org");
        assert_eq!(changed[0]["address"], "203.0.113.9");
        server.stop().await;
    }

    /// Each role opens what its routes say, and nothing else of the staff's.
    async fn roles_open_what_is_theirs(fixture) {
        let server = StaffServer::start(&fixture);
        for role in ["owner", "support", "billing", "content"] {
            let email = format!("{role}@example.org");
            server.admin(&email, role).await;
            let tokens = server.sign_in(&email).await;
            for spec in table().iter().filter(|spec| spec.path.starts_with("/api/v1/admin")) {
                // What would change this test's own admins or answers for ever is tried by others.
                if spec.path.contains("events") || spec.id.contains("totp") {
                    continue;
                }
                let path = spec.path.replace("{id}", ID);
                let body = (spec.method != Method::GET.as_str()).then(|| json!({ "unknown": 1 }));
                let method: Method = spec.method.as_str().parse().unwrap();
                let (status, _) = server.call(&tokens, method, &path, body.as_ref()).await;
                let open = match spec.access {
                    Access::Staff(roles) => roles.iter().any(|known| known.as_str() == role),
                    Access::Operator => false,
                    _ => true,
                };
                assert_eq!(status != 403, open, "{role}: {} {path}: {status}", spec.method);
                assert_ne!(status, 500, "{role}: {} {path}", spec.method);
            }
        }
        server.stop().await;
    }

    /// Every order of staff that may change something has its two entries; no secret is ever in one.
    async fn every_change_is_on_record_and_no_secret_is(fixture) {
        let server = StaffServer::start(&fixture);
        let changing = table();
        let changing: Vec<_> = changing
            .iter()
            .filter(|spec| spec.changes() && matches!(spec.access, Access::Staff(_) | Access::Operator | Access::User(_)))
            .collect();
        assert!(changing.len() >= 8);
        for spec in changing {
            let before = records(&server, &format!("&action={}", spec.id)).await.len();
            let path = spec.path.replace("{id}", ID);
            let request = server.operator(spec.method.as_str().parse().unwrap(), &path);
            request.json(&json!({ "planted": "planted-secret" })).send().await.unwrap();
            let found = records(&server, &format!("&action={}", spec.id)).await;
            assert_eq!(found.len(), before + 2, "{} {path}", spec.method);
            assert_eq!(found[1]["phase"], "asked");
            assert_eq!(found[0]["order"], found[1]["order"]);
            assert!(found[0]["outcome"].is_string() && found[0]["actor"]["kind"] == "operator");
        }
        let id = server.admin("ada@example.org", "owner").await;
        let order = json!({ "password": "planted-password-of-ada" });
        let path = format!("/api/v1/admin/admins/{id}");
        let done = server.operator(Method::PATCH, &path).json(&order).send().await.unwrap();
        assert_eq!(done.status().as_u16(), 200);
        let changed = records(&server, "&action=change_admin").await;
        assert_eq!(changed[0]["target"], id);
        assert!(changed[0]["after"]["asked"]["password"].as_str().unwrap().starts_with("hmac-sha256:"));
        let restart = server.operator(Method::POST, "/api/v1/admin/actors/restart");
        restart.json(&json!({ "path": "pairs/1" })).send().await.unwrap();
        assert_eq!(records(&server, "&action=restart_actor").await[0]["outcome"], "202");
        let mut texts = Vec::new();
        for name in ["audit.csv", "audit.ndjson"] {
            let path = format!("/api/v1/admin/{name}");
            let file = server.operator(Method::GET, &path).send().await.unwrap();
            assert!(file.headers().get("content-disposition").unwrap().to_str().unwrap().contains(name));
            texts.push(file.text().await.unwrap());
        }
        let count = fixture.numbers("SELECT COUNT(*) FROM audit_log").await[0];
        assert_eq!(i64::try_from(texts[0].lines().count()).unwrap(), count + 1);
        assert_eq!(i64::try_from(texts[1].lines().count()).unwrap(), count);
        for secret in ["planted", PASSWORD] {
            assert!(texts.iter().all(|text| !text.contains(secret)), "{secret}");
        }
        let verdict = server.operator(Method::GET, "/api/v1/admin/audit/verdict").send().await.unwrap();
        assert_eq!(verdict.json::<Value>().await.unwrap()["entries"], count);
        server.stop().await;
    }

    /// An entry says about what the order was, and how it is from then on; where there was something before, how that was.
    async fn what_was_done_is_on_record(fixture) {
        let server = StaffServer::start(&fixture);
        let admin = server.admin("bob@example.org", "support").await;
        let mut done = 0;
        for spec in table().iter().filter(|spec| spec.changes()) {
            if !matches!(spec.access, Access::Staff(_) | Access::Operator | Access::User(_)) || NO_TARGET.contains(&spec.id) {
                continue;
            }
            let id = if spec.id == "change_admin" { admin.as_str() } else { ID };
            let id = if spec.id == "retire_key" { "0123456789abcdef" } else { id };
            let path = spec.path.replace("{id}", id).replace("{name}", "bot-token");
            let request = server.operator(spec.method.as_str().parse().unwrap(), &path);
            let request = match order_of(spec.id) {
                Some(order) => request.json(&order),
                None => request,
            };
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            let ended = &records(&server, &format!("&action={}", spec.id)).await[0];
            if status >= 300 {
                // Keys, jobs and announcements are out of order here; what names no path is told of beforehand.
                assert!(OUT_OF_ORDER.contains(&spec.id), "{}: {text}", spec.id);
                continue;
            }
            done += 1;
            assert!(ended["target"].is_string() && !ended["after"].is_null(), "{}: {ended}", spec.id);
            let made = ["add_", "connect_", "begin_", "answer_"].iter().any(|verb| spec.id.starts_with(verb));
            assert!(made || !ended["before"].is_null(), "{}: {ended}", spec.id);
        }
        assert!(done >= 15, "everything that these services can do: {done}");
        for (id, target) in
            [("restart_queues", "queues/parked"), ("reconnect_sessions", "sessions/stopped"), ("replay_dead_letters", "dead-letters")]
        {
            assert_eq!(records(&server, &format!("&action={id}")).await[0]["target"], target);
        }
        server.stop().await;
    }

    /// NUL, which one of the databases cannot hold, is refused wherever it may come in, on both alike.
    async fn nul_is_refused_before_anything_is_kept(fixture) {
        let server = StaffServer::start(&fixture);
        let body = json!({ "email": "a\u{0}b@example.org", "password": PASSWORD, "role": "owner" });
        for (method, path, body) in [
            (Method::POST, "/api/v1/admin/admins", Some(body)),
            (Method::POST, "/api/v1/admin/announcements", Some(json!({ "kind": "system", "text": "a\u{0}b" }))),
            (Method::GET, "/api/v1/admin/audit?target=%00", None),
            (Method::GET, "/api/v1/admin/audit?action=a%00b", None),
            (Method::POST, "/api/v1/admin/sessions/%00/reconnect", None),
            (Method::DELETE, "/api/v1/pairs/a%00", None),
        ] {
            let request = server.operator(method, path);
            let request = match body {
                Some(body) => request.json(&body),
                None => request,
            };
            let answer = request.send().await.unwrap();
            let (status, problem) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_request")), "{path}: {problem}");
            let said = problem["errors"][0]["detail"].as_str().unwrap_or_default();
            assert!(said.contains("NUL"), "{path}: {problem}");
        }
        server.stop().await;
    }

    /// What cannot be put on record is not done.
    async fn without_the_record_nothing_is_done(fixture) {
        let server = StaffServer::start(&fixture);
        fixture.execute("ALTER TABLE audit_head RENAME TO audit_head_gone").await;
        let (status, problem) = set(&server, 0, &["203.0.113.0/24"]).await;
        assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.contains("audit_head"), "the driver's own words are for the log: {detail}");
        let list = server.operator(Method::GET, ALLOWLIST).send().await.unwrap();
        assert_eq!(list.json::<Value>().await.unwrap()["revision"], 0, "the list is as it was");
        server.stop().await;
    }
}
