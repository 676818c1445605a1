//! What every answer has, whoever asks and whatever comes of it: headers, origins, names of what was wrong, limits, keys.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use switchyard::http::problem::ProblemCode;

use crate::http_support::{FakeAdmin, Harness, good, problem};

const SUPERVISION: &str = "/api/v1/admin/supervision";
const RESTART: &str = "/api/v1/admin/actors/restart";
const APP: &str = "https://app.example";

fn with_origins() -> Harness {
    let keys = [
        ("http.cors_origins", "https://app.example, http://localhost:3000"),
        ("http.answer_timeout", "300ms"),
    ];
    let harness = Harness::migrating(FakeAdmin::with_paths(&["root", "pairs"]), &keys);
    harness.serve();
    harness
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let mut values = response.headers().get_all(name).iter();
    let first = values.next().map(|value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} is there once");
    first
}

fn is_guarded(response: &Response) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(header(response, name), Some(value), "{name} of {response:?}");
    }
    assert!(header(response, "x-request-id").is_some());
    assert!(header(response, "access-control-allow-credentials").is_none());
}

#[actix_web::test]
async fn every_answer_is_guarded_errors_included() {
    let harness = with_origins();
    let asked = [
        (harness.anonymous(Method::GET, "/healthz"), 200),
        (harness.anonymous(Method::HEAD, "/healthz"), 200),
        (harness.operator(Method::GET, SUPERVISION), 200),
        (harness.operator(Method::POST, RESTART).json(&json!({"path": "pairs"})), 202),
        (harness.anonymous(Method::GET, "/nowhere"), 404),
        (harness.anonymous(Method::DELETE, "/healthz"), 405),
        (harness.anonymous(Method::OPTIONS, "/healthz"), 405),
        (harness.operator(Method::GET, &format!("{SUPERVISION}?limit=-1")), 400),
        (harness.anonymous(Method::GET, SUPERVISION), 401),
        (harness.operator(Method::POST, RESTART).body("{}"), 415),
        (harness.operator(Method::GET, &format!("{SUPERVISION}?prefix=panic")), 500),
        (harness.operator(Method::GET, &format!("{SUPERVISION}?prefix=hang")), 503),
    ];
    for (request, status) in asked {
        let response = request.header("origin", APP).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        is_guarded(&response);
        assert_eq!(header(&response, "access-control-allow-origin"), Some(APP), "{response:?}");
    }
    let below = harness.raw(b"nonsense\r\n\r\n").await.to_ascii_lowercase();
    for line in [
        "cache-control: no-store",
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
    ] {
        assert!(below.contains(line), "{below}");
    }
    harness.stop().await;
}

#[actix_web::test]
async fn only_origins_that_were_named_read_answers() {
    let harness = with_origins();
    for (origin, allowed) in [
        (Some("https://app.example"), true),
        (Some("http://localhost:3000"), true),
        (Some("http://app.example"), false),
        (Some("https://app.example:443"), false),
        (Some("https://app.example.evil.example"), false),
        (Some("https://evil.example"), false),
        (Some("HTTPS://APP.EXAMPLE"), false),
        (Some("null"), false),
        (Some("*"), false),
        (Some(""), false),
        (None, false),
    ] {
        let asked = |method: Method| {
            let request = harness.anonymous(method, "/healthz");
            match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            }
        };
        let answer = asked(Method::GET).send().await.unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), origin.filter(|_| allowed), "{origin:?}");
        assert_eq!(header(&answer, "access-control-expose-headers").is_some(), allowed, "{origin:?}");
        assert_eq!(header(&answer, "vary"), Some("Origin"), "{origin:?}");
        assert_eq!(good(answer, 200).await["status"], "live");

        let preflight =
            asked(Method::OPTIONS).header("access-control-request-method", "POST").send().await.unwrap();
        assert_eq!(preflight.status().as_u16(), if allowed { 204 } else { 405 }, "{origin:?}");
        is_guarded(&preflight);
        assert_eq!(
            header(&preflight, "access-control-allow-origin"),
            origin.filter(|_| allowed),
            "{origin:?}"
        );
        if allowed {
            let methods = header(&preflight, "access-control-allow-methods").unwrap();
            let headers = header(&preflight, "access-control-allow-headers").unwrap();
            assert!(methods.contains("PATCH") && headers.contains("idempotency-key"), "{methods}; {headers}");
            assert_eq!(header(&preflight, "access-control-max-age"), Some("600"));
        }
    }
    harness.stop().await;

    let closed = Harness::start(FakeAdmin::with_paths(&["root"]));
    let answer = closed.anonymous(Method::GET, "/healthz").header("origin", APP).send().await.unwrap();
    assert!(header(&answer, "access-control-allow-origin").is_none() && header(&answer, "vary").is_none());
    closed.stop().await;
}

#[actix_web::test]
async fn arrays_are_no_objects_and_garbage_is_no_end() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root", "pairs"]));
    let send = |body: &str| {
        let request = harness.operator(Method::POST, RESTART).header("content-type", "application/json");
        let request = request.body(body.to_owned());
        async { problem(request.send().await.unwrap()).await }
    };
    let document = send(r#"["pairs"]"#).await;
    assert_eq!(document.code, ProblemCode::InvalidRequest);
    assert_eq!(document.errors.first().unwrap().pointer.as_deref(), Some(""));
    for body in
        [r#"{"path":"pairs"} x"#, r#"{"path":"pairs"}{"path":"root"}"#, "\u{feff}{\"path\":\"pairs\"}"]
    {
        assert_eq!(send(body).await.code, ProblemCode::MalformedBody, "{body}");
    }
    let deep = format!("{{\"path\":{}", "[".repeat(100_000));
    assert_eq!(send(&deep).await.code, ProblemCode::InvalidRequest);
    assert!(harness.admin.orders.lock().unwrap().is_empty(), "nothing of it reached the daemon");
    harness.stop().await;
}

#[actix_web::test]
async fn a_parameter_at_fault_is_named_with_its_name() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    for (path, name) in [
        ("/api/v1/pairs?limit=-1", "limit"),
        ("/api/v1/pairs?limit=many", "limit"),
        ("/api/v1/pairs?cursor=x", "cursor"),
        ("/api/v1/admin/supervision?prefix=a//b", "prefix"),
        ("/api/v1/pairs?limit=1&limit=2", "limit"),
    ] {
        let document = problem(harness.operator(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{path}");
        assert_eq!(document.errors.first().unwrap().parameter.as_deref(), Some(name), "{path}");
    }
    harness.stop().await;
}

#[actix_web::test]
async fn keys_that_are_none_are_refused() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root", "pairs"]));
    let long = "k".repeat(256);
    for key in ["", "a b", "\"open", long.as_str()] {
        let order = harness.operator(Method::POST, RESTART).header("idempotency-key", key);
        let document = problem(order.json(&json!({"path": "pairs"})).send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{key}");
        assert_eq!(document.errors.first().unwrap().parameter.as_deref(), Some("Idempotency-Key"));
    }
    let two =
        harness.operator(Method::POST, RESTART).header("idempotency-key", "a").header("idempotency-key", "b");
    let document = problem(two.json(&json!({"path": "pairs"})).send().await.unwrap()).await;
    assert_eq!(document.code, ProblemCode::InvalidRequest);
    assert!(harness.admin.orders.lock().unwrap().is_empty());
    // By their method already the same however often they are sent: the header says nothing there.
    let read =
        harness.operator(Method::GET, SUPERVISION).header("idempotency-key", "a b").send().await.unwrap();
    let _page: Value = good(read, 200).await;
    harness.stop().await;
}
