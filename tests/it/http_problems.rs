//! Every error is a problem document: those of handlers, of the framework, and of the protocol layer below it.

use reqwest::Method;
use switchyard::http::problem::ProblemCode;
use switchyard::services::admin::AdminError;
use switchyard_actors::model::AccountId;

use crate::http_support::{FakeAdmin, Harness, noon, problem, raw_problem};

const RESTART: &str = "/api/v1/admin/actors/restart";
const SUPERVISION: &str = "/api/v1/admin/supervision";

fn harness() -> Harness {
    Harness::start(FakeAdmin::with_paths(&["root", "pairs"]))
}

#[actix_web::test]
async fn unknown_paths_and_methods() {
    let harness = harness();
    for path in ["/", "/nowhere", "/api/v1/nowhere", "/healthz/"] {
        let document = problem(harness.anonymous(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::NotFound, "{path}");
    }
    let response = harness.anonymous(Method::DELETE, "/healthz").send().await.unwrap();
    let allow = response.headers().get("allow").unwrap().to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
    assert_eq!(problem(response).await.code, ProblemCode::MethodNotAllowed);
    let response = harness.operator(Method::GET, RESTART).send().await.unwrap();
    assert_eq!(response.headers().get("allow").unwrap(), "POST");
    assert_eq!(problem(response).await.code, ProblemCode::MethodNotAllowed);
    harness.stop().await;
}

#[actix_web::test]
async fn bodies_that_cannot_be_taken() {
    let harness = harness();
    let send = |kind: Option<&str>, body: &str| {
        let request = harness.operator(Method::POST, RESTART).body(body.to_owned());
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        async { problem(request.send().await.unwrap()).await }
    };
    let json = Some("application/json");
    assert_eq!(send(None, "{\"path\":\"pairs\"}").await.code, ProblemCode::UnsupportedMediaType);
    assert_eq!(send(Some("text/plain"), "{}").await.code, ProblemCode::UnsupportedMediaType);
    let latin = Some("application/json; charset=latin1");
    assert_eq!(send(latin, "{}").await.code, ProblemCode::UnsupportedMediaType);
    assert_eq!(send(json, "{\"path\":").await.code, ProblemCode::MalformedBody);
    assert_eq!(send(json, "").await.code, ProblemCode::MalformedBody);
    let long = format!("{{\"path\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(send(json, &long).await.code, ProblemCode::BodyTooLarge);
    for (body, pointer) in [
        ("{\"path\":\"pairs\",\"force\":true}", "/force"),
        ("{}", "/path"),
        ("{\"path\":7}", "/path"),
        ("{\"path\":\"a//b\"}", "/path"),
    ] {
        let document = send(json, body).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{body}");
        let [error] = document.errors.as_slice() else { panic!("{document:?}") };
        assert_eq!(error.pointer.as_deref(), Some(pointer), "{body}");
    }
    assert!(harness.admin.orders.lock().unwrap().is_empty(), "nothing of it reached the daemon");
    harness.stop().await;
}

#[actix_web::test]
async fn queries_and_paths_at_fault_are_named() {
    let harness = harness();
    for (path, parameter) in [
        ("/api/v1/admin/supervision?colour=red", "colour"),
        ("/api/v1/admin/supervision?limit=0", "limit"),
        ("/api/v1/admin/supervision?limit=201", "limit"),
        ("/healthz?verbose=1", "verbose"),
    ] {
        let document = problem(harness.operator(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{path}");
        assert_eq!(document.errors.first().unwrap().parameter.as_deref(), Some(parameter), "{path}");
    }
    for path in ["/api/v1/admin/supervision?limit=many", "/api/v1/admin/supervision?prefix=a//b"] {
        let document = problem(harness.operator(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(document.code, ProblemCode::InvalidRequest, "{path}");
    }
    let path = "/api/v1/admin/sessions/not-an-id/reconnect";
    let document = problem(harness.operator(Method::POST, path).send().await.unwrap()).await;
    assert_eq!(document.errors.first().unwrap().parameter.as_deref(), Some("id"));
    harness.stop().await;
}

#[actix_web::test]
async fn what_the_service_refuses_keeps_its_meaning() {
    let harness = harness();
    let account: AccountId = "0193a0b0-0000-7000-8000-000000000001".parse().unwrap();
    let path = format!("/api/v1/admin/sessions/{account}/reconnect");
    for (refusal, code, wait) in [
        (AdminError::NotFound("account".into()), ProblemCode::NotFound, None),
        (AdminError::Conflict("the child is stopping".into()), ProblemCode::Conflict, None),
        (AdminError::NeedsLogin(account), ProblemCode::NeedsLogin, None),
        (
            AdminError::PlatformWait(noon() + chrono::TimeDelta::milliseconds(4_200)),
            ProblemCode::PlatformWait,
            Some("5"),
        ),
        (
            AdminError::PlatformWait(noon() - chrono::TimeDelta::seconds(1)),
            ProblemCode::PlatformWait,
            Some("0"),
        ),
        (AdminError::Unavailable("the store does not answer".into()), ProblemCode::Unavailable, None),
    ] {
        let detail = refusal.to_string();
        *harness.admin.refusal.lock().unwrap() = Some(refusal);
        let response = harness.operator(Method::POST, &path).send().await.unwrap();
        assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().unwrap()), wait);
        let document = problem(response).await;
        assert_eq!((document.code, document.detail), (code, detail));
    }
    harness.stop().await;
}

#[actix_web::test]
async fn a_panic_in_a_handler_answers_and_the_server_goes_on() {
    let harness = harness();
    let response =
        harness.operator(Method::GET, &format!("{SUPERVISION}?prefix=panic")).send().await.unwrap();
    let document = problem(response).await;
    assert_eq!(document.code, ProblemCode::InternalError);
    assert!(!document.detail.contains("planted"), "{document:?}");
    let response = harness.operator(Method::GET, SUPERVISION).send().await.unwrap();
    assert_eq!(response.status(), 200);
    harness.stop().await;
}

#[actix_web::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let harness = Harness::migrating(FakeAdmin::with_paths(&["root"]), &[("http.answer_timeout", "50ms")]);
    harness.serve();
    let response = harness.operator(Method::GET, &format!("{SUPERVISION}?prefix=hang")).send().await.unwrap();
    assert_eq!(problem(response).await.code, ProblemCode::AnswerTimeout);
    harness.stop().await;
}

#[actix_web::test]
async fn requests_that_do_not_arrive_in_time() {
    let keys = [("http.head_timeout", "100ms"), ("http.body_timeout", "100ms")];
    let harness = Harness::migrating(FakeAdmin::with_paths(&["root"]), &keys);
    harness.serve();
    let slow_head = harness.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await;
    assert_eq!(raw_problem(&slow_head).code, ProblemCode::RequestTimeout);
    let slow_body = format!(
        "POST {RESTART} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 20\r\n\r\n{{",
        harness.access.token()
    );
    let slow_body = harness.raw(slow_body.as_bytes()).await;
    assert_eq!(raw_problem(&slow_body).code, ProblemCode::RequestTimeout);
    harness.stop().await;
}

#[actix_web::test]
async fn bytes_that_are_not_http() {
    let harness = harness();
    for bytes in ["GET /healthz\r\n\r\n", "nonsense\r\n\r\n", "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n"] {
        let document = raw_problem(&harness.raw(bytes.as_bytes()).await);
        assert_eq!(document.code, ProblemCode::MalformedRequest, "{bytes}");
    }
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(200_000));
    assert_eq!(raw_problem(&harness.raw(long.as_bytes()).await).code, ProblemCode::HeadTooLarge);
    let expects = "POST /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: miracles\r\ncontent-length: 1\r\n\r\nx";
    assert!(raw_problem(&harness.raw(expects.as_bytes()).await).status >= 400);
    harness.stop().await;
}
