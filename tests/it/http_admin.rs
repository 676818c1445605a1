//! The operator's routes and the health checks, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use reqwest::Method;
use serde_json::json;
use switchyard::http::api::Access;
use switchyard::http::problem::ProblemCode;
use switchyard::http::table;
use switchyard::services::admin::Health;
use switchyard_actors::supervision::NodeState;

use crate::http_support::{FakeAdmin, Harness, good, problem};

const ACCOUNT: &str = "0193a0b0-0000-7000-8000-000000000001";
const SUPERVISION: &str = "/api/v1/admin/supervision";

/// About what the operator does not have: one-time codes and a profile of its own. (The order that
/// confirms them is refused for its body before that.)
const OF_ONE_CALLER_ALONE: [&str; 3] = ["enroll_admin_totp", "get_me", "get_my_plan"];

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

#[actix_web::test]
async fn every_route_lets_in_whom_its_access_class_says() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    for route in table() {
        let path = route.path.replace("{id}", ACCOUNT);
        let call = |request: reqwest::RequestBuilder| async move { request.send().await.unwrap() };
        let anonymous = call(harness.anonymous(method(route.method.as_str()), &path)).await;
        let wrong = call(harness.anonymous(method(route.method.as_str()), &path).bearer_auth("wrong")).await;
        let right = call(harness.operator(method(route.method.as_str()), &path)).await;
        match route.access {
            Access::Open | Access::StaffDoor => {
                assert_eq!((anonymous.status(), wrong.status()), (right.status(), right.status()));
            }
            _ => {
                assert_eq!(anonymous.headers().get("www-authenticate").unwrap(), "Bearer", "{path}");
                assert_eq!(problem(anonymous).await.code, ProblemCode::Unauthorized, "{path}");
                assert_eq!(problem(wrong).await.code, ProblemCode::Unauthorized, "{path}");
            }
        }
        if route.access == Access::Person || OF_ONE_CALLER_ALONE.contains(&route.id) {
            assert_eq!(
                problem(right).await.code,
                ProblemCode::Forbidden,
                "{path} is the caller's own affair"
            );
        } else {
            assert!(![401, 403, 404, 405].contains(&right.status().as_u16()), "{path}: {right:?}");
        }
    }
    let hidden = harness.anonymous(Method::GET, "/api/v1/admin/nowhere").send().await.unwrap();
    assert_eq!(problem(hidden).await.code, ProblemCode::Unauthorized, "what exists is nobody else's affair");
    let missing = harness.operator(Method::GET, "/api/v1/admin/nowhere").send().await.unwrap();
    assert_eq!(problem(missing).await.code, ProblemCode::NotFound);
    harness.stop().await;
}

#[actix_web::test]
async fn the_token_counts_for_direct_callers_only() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    for header in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded", "Via", "X-Real-IP"] {
        let request = harness.operator(Method::GET, SUPERVISION).header(header, "127.0.0.1");
        let document = problem(request.send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::Forbidden, "{header}");
    }
    let token = harness.access.token();
    for (value, status) in [
        (format!("Bearer {token}"), 200),
        (format!("bearer {token}"), 200),
        (format!("Basic {token}"), 401),
        (token.to_owned(), 401),
        (format!("Bearer {token}x"), 401),
        ("Bearer ".to_owned(), 401),
    ] {
        let request = harness.anonymous(Method::GET, SUPERVISION).header("authorization", &value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{value}");
    }
    let twice = harness.operator(Method::GET, SUPERVISION).header("authorization", "Bearer other");
    assert_eq!(twice.send().await.unwrap().status().as_u16(), 401);
    harness.stop().await;
}

#[actix_web::test]
async fn the_tree_comes_in_pages() {
    let mut paths = vec!["root".to_owned(), "pairs".to_owned(), "throttles/direct".to_owned()];
    paths.extend((0..300).map(|number| format!("pairs/{number:03}")));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let harness = Harness::start(FakeAdmin::with_paths(&paths));
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _ in 0..5 {
        let path = format!("{SUPERVISION}?limit=100{cursor}");
        let page = good(harness.operator(Method::GET, &path).send().await.unwrap(), 200).await;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|node| node["path"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 303);
    assert_eq!(seen.first().map(String::as_str), Some("root"));
    assert!(seen[1..].is_sorted(), "each after the one before");
    let branch = good(
        harness.operator(Method::GET, &format!("{SUPERVISION}?prefix=throttles")).send().await.unwrap(),
        200,
    )
    .await;
    assert_eq!(branch["items"].as_array().unwrap().len(), 1);
    assert_eq!(branch["items"][0]["restarts_total"], 2, "counters are there");
    harness.stop().await;
}

#[actix_web::test]
async fn the_tree_is_asked_for_by_prefix_state_and_cursor() {
    let mut admin = FakeAdmin::with_paths(&["root", "pairs", "pairs/1", "pairs/2", "queues"]);
    for at in [2, 4] {
        admin.nodes[at].state = NodeState::Parked;
    }
    let harness = Harness::start(admin);
    let paths = async |query: &str| {
        let path = format!("{SUPERVISION}?{query}");
        let page = good(harness.operator(Method::GET, &path).send().await.unwrap(), 200).await;
        let items = page["items"].as_array().unwrap().clone();
        let paths = items.iter().map(|node| node["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (paths.join(" "), page["next_cursor"].as_str().map(str::to_owned))
    };
    assert_eq!(paths("state=parked").await, ("pairs/1 queues".into(), None));
    assert_eq!(paths("state=parked&limit=1").await, ("pairs/1".into(), Some("pairs/1".into())));
    assert_eq!(paths("state=parked&limit=1&cursor=pairs/1").await, ("queues".into(), None));
    assert_eq!(paths("prefix=pairs&state=running&cursor=pairs").await, ("pairs/2".into(), None));
    assert_eq!(
        paths("prefix=pairs&cursor=pairs/1gone").await,
        ("pairs/2".into(), None),
        "nothing needs to stand there"
    );
    for (query, name, word) in [
        ("state=sleeping", "state", "`parked`"),
        ("state=", "state", "`parked`"),
        ("prefix=a//b", "prefix", "bad id"),
        ("prefix=", "prefix", "bad id"),
        ("cursor=%20", "cursor", "bad id"),
        ("prefix=pairs&cursor=queues", "cursor", "at or below pairs"),
        ("prefix=pairs&cursor=pairs-old", "cursor", "at or below pairs"),
        ("limit=0", "limit", "1 to 200"),
        ("limit=201", "limit", "1 to 200"),
        ("limit=-1", "limit", "invalid digit"),
        ("status=parked", "status", "`state`"),
    ] {
        let path = format!("{SUPERVISION}?{query}");
        let refused = problem(harness.operator(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(refused.code, ProblemCode::InvalidRequest, "{query}");
        let told = serde_json::to_value(&refused.errors).unwrap();
        assert_eq!(told[0]["parameter"], name, "{query}: {told}");
        let detail = told[0]["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{query}: {detail}");
    }
    harness.stop().await;
}

#[actix_web::test]
async fn orders_reach_the_daemon() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let restart =
        harness.operator(Method::POST, "/api/v1/admin/actors/restart").json(&json!({ "path": "pairs/1" }));
    assert_eq!(good(restart.send().await.unwrap(), 202).await, json!({ "path": "pairs/1" }));
    let path = format!("/api/v1/admin/sessions/{ACCOUNT}/reconnect");
    let reconnect = harness.operator(Method::POST, &path).send().await.unwrap();
    assert_eq!(good(reconnect, 202).await, json!({ "path": format!("sessions/{ACCOUNT}") }));
    let orders = harness.admin.orders.lock().unwrap().clone();
    assert_eq!(orders, ["restart pairs/1".to_owned(), format!("reconnect {ACCOUNT}")]);
    harness.stop().await;
}

#[actix_web::test]
async fn health_follows_the_daemon_s_life() {
    let harness = Harness::migrating(FakeAdmin::with_paths(&["root"]), &[]);
    let get = |path: &'static str| {
        let request = harness.operator(Method::GET, path);
        async { request.send().await.unwrap() }
    };
    assert_eq!(good(get("/healthz").await, 200).await["status"], "live");
    assert_eq!(problem(get("/readyz").await).await.code, ProblemCode::NotReady);
    let api = get(SUPERVISION).await;
    assert_eq!(api.headers().get("retry-after").unwrap(), "1");
    assert!(problem(api).await.detail.contains("migrated"));

    harness.serve();
    assert_eq!(good(get("/readyz").await, 200).await["status"], "ready");
    assert_eq!(get(SUPERVISION).await.status(), 200);
    *harness.admin.health.lock().unwrap() = Health {
        live: true,
        ready: false,
        reasons: vec!["notifier is parked".into(), "pairs is parked".into()],
        ..Health::default()
    };
    assert_eq!(get("/healthz").await.status(), 200);
    assert_eq!(problem(get("/readyz").await).await.detail, "notifier is parked; pairs is parked");
    assert_eq!(good(get("/healthz").await, 200).await["reasons"][0], "notifier is parked");
    // Who is not the operator of this machine hears that it is so, and not of what.
    let stranger = |path: &'static str| harness.anonymous(Method::GET, path).send();
    let told = good(stranger("/healthz").await.unwrap(), 200).await;
    assert_eq!((&told["ready"], &told["reasons"]), (&json!(false), &json!([])));
    assert_eq!(problem(stranger("/readyz").await.unwrap()).await.detail, "the daemon is not ready");
    harness.admin.health.lock().unwrap().live = false;
    assert_eq!(problem(get("/healthz").await).await.code, ProblemCode::NotReady);
    harness.admin.health.lock().unwrap().live = true;

    harness.state.drain();
    assert_eq!(get("/healthz").await.status(), 200);
    assert!(problem(get("/readyz").await).await.detail.contains("draining"));
    assert_eq!(problem(get(SUPERVISION).await).await.code, ProblemCode::NotReady);
    harness.stop().await;
}

#[actix_web::test]
async fn a_request_id_is_kept_or_made() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let id = |given: Option<&'static str>| {
        let request = harness.anonymous(Method::GET, "/healthz");
        let request = match given {
            Some(given) => request.header("x-request-id", given),
            None => request,
        };
        async { request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned() }
    };
    assert_eq!(id(Some("abc-123_x.y")).await, "abc-123_x.y");
    let (first, second) = (id(None).await, id(None).await);
    assert_ne!(first, second);
    assert!(first.parse::<uuid::Uuid>().is_ok(), "{first}");
    for unfit in ["with space", "\u{e4}", "semi;colon", ""] {
        let made =
            harness.anonymous(Method::GET, "/healthz").header("x-request-id", unfit).send().await.unwrap();
        let made = made.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(made.parse::<uuid::Uuid>().is_ok(), "{unfit:?} became {made}");
    }
    harness.stop().await;
}

#[actix_web::test]
async fn head_is_answered_like_get_and_nothing_is_cached() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    for path in ["/healthz", "/readyz"] {
        let response = harness.anonymous(Method::HEAD, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.text().await.unwrap().is_empty());
    }
    harness.stop().await;
}

#[actix_web::test]
async fn two_servers_live_in_one_process_and_stop_apart() {
    let first = Harness::start(FakeAdmin::with_paths(&["root"]));
    let second = Harness::start(FakeAdmin::with_paths(&["root"]));
    let foreign = second.anonymous(Method::GET, SUPERVISION).bearer_auth(first.access.token());
    assert_eq!(foreign.send().await.unwrap().status().as_u16(), 401, "each run has its own token");
    let address = first.address;
    first.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is free again");
    assert_eq!(second.anonymous(Method::GET, "/healthz").send().await.unwrap().status(), 200);
    second.stop().await;
}
