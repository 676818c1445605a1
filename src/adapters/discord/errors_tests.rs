//! The table against answers as Discord and the proxy before it send them.

use std::time::Duration;

use reqwest12::StatusCode;
use reqwest12::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::samples::config;
use super::*;

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
    let headers =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::from_iter(headers),
        body: body.as_bytes().to_vec(),
    }
}

fn problem(status: u16, code: u32) -> Answer {
    answer(status, &[], &format!("{{\"message\": \"no\", \"code\": {code}}}"))
}

fn retry(wait: Duration, scope: HoldScope) -> SendOutcome {
    SendOutcome::RetryAfter { wait, scope }
}

#[test]
fn waits_go_to_whom_they_concern() {
    let config = config();
    let limited = |global| format!("{{\"message\": \"\", \"retry_after\": 1.5, \"global\": {global}}}");
    let wait = Duration::from_millis(1_500);
    let user = answer(429, &[("x-ratelimit-scope", "user"), ("retry-after", "2")], &limited(false));
    assert_eq!(outcome(&user, &config), retry(wait, HoldScope::Chat), "the body tells more exactly");
    let shared = answer(429, &[("x-ratelimit-scope", "shared")], &limited(false));
    assert_eq!(outcome(&shared, &config), retry(wait, HoldScope::Chat));
    let global = answer(429, &[("x-ratelimit-scope", "global")], &limited(true));
    assert_eq!(outcome(&global, &config), retry(wait, HoldScope::Account));
    let slow = answer(400, &[], "{\"message\": \"slow mode\", \"code\": 20016, \"retry_after\": 1.5}");
    assert_eq!(outcome(&slow, &config), retry(wait, HoldScope::Chat));
}

#[test]
fn a_page_that_is_not_discords_holds_the_address() {
    let config = config();
    let page = answer(429, &[], "<html>error code: 1015</html>");
    assert_eq!(outcome(&page, &config), retry(config.block_wait, HoldScope::Egress));
    let told = answer(429, &[("retry-after", "7")], "<html></html>");
    assert_eq!(outcome(&told, &config), retry(Duration::from_secs(7), HoldScope::Egress));
}

#[test]
fn every_class_has_its_codes() {
    let config = config();
    let of = |status, code| outcome(&problem(status, code), &config);
    assert!(matches!(of(401, 0), SendOutcome::SessionDead { .. }));
    assert!(matches!(of(403, 40_333), SendOutcome::Quarantine { .. }));
    for (status, code) in [(403, 50_001), (403, 50_013), (404, 10_003), (400, 50_083), (403, 0)] {
        assert!(matches!(of(status, code), SendOutcome::PausePair { .. }), "{status} {code}");
    }
    for (status, code) in [(400, 50_035), (400, 50_006), (400, 200_000), (404, 10_008), (413, 40_005)] {
        assert!(matches!(of(status, code), SendOutcome::Refused { .. }), "{status} {code}");
    }
    for status in [500, 502, 504, 520] {
        assert!(matches!(of(status, 0), SendOutcome::Unclear { .. }), "{status}: it may have arrived");
    }
    for (status, code) in [(403, 40_001), (401, 50_014), (404, 10_015), (401, 50_027)] {
        assert!(matches!(of(status, code), SendOutcome::SessionDead { .. }), "{status} {code}");
    }
    assert!(matches!(of(403, 40_002), SendOutcome::Quarantine { .. }), "not verified");
    for (status, code) in [(400, 30_046), (403, 40_004), (403, 40_006)] {
        assert!(matches!(of(status, code), SendOutcome::Backoff { .. }), "{status} {code}: for now");
    }
    assert!(matches!(of(503, 0), SendOutcome::Backoff { .. }));
    assert!(matches!(of(500, 130_000), SendOutcome::Backoff { .. }));
    assert!(matches!(outcome(&answer(302, &[], ""), &config), SendOutcome::Backoff { .. }));
    for status in [403, 404] {
        let page = answer(status, &[], "<html>no</html>");
        assert!(
            matches!(outcome(&page, &config), SendOutcome::Backoff { .. }),
            "{status} of something in front"
        );
    }
}

#[test]
fn a_delivery_keeps_its_id_and_is_one_even_if_the_id_cannot_be_read() {
    let config = config();
    let id = MessageId::new(42).ok();
    let made = answer(200, &[], "{\"id\": \"42\", \"content\": \"x\"}");
    assert_eq!(outcome(&made, &config), SendOutcome::Delivered { message: id });
    assert_eq!(outcome(&answer(200, &[], "?"), &config), SendOutcome::Delivered { message: None });
}

#[test]
fn no_answer_is_told_apart_from_no_request() {
    assert!(matches!(unanswered(CallError::NotSent(String::new())), SendOutcome::Backoff { .. }));
    assert!(matches!(unanswered(CallError::Lost(String::new())), SendOutcome::Unclear { .. }));
}

#[test]
fn hints_need_every_header() {
    let full =
        [("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "4"), ("x-ratelimit-reset-after", "0.250")];
    let hint = limits::hint(&answer(200, &full, "").headers).unwrap();
    assert_eq!((hint.limit, hint.remaining, hint.reset_after), (5, 4, Duration::from_millis(250)));
    assert_eq!(limits::hint(&answer(200, &full[..2], "").headers), None);
    let odd = [full[0], full[1], ("x-ratelimit-reset-after", "soon")];
    assert_eq!(limits::hint(&answer(200, &odd, "").headers), None);
}

#[test]
fn connecting_fails_in_its_own_vocabulary() {
    let config = config();
    assert!(matches!(connection_error(&problem(401, 0), &config), ConnectionError::NeedsLogin(_)));
    assert!(matches!(connection_error(&problem(403, 50_001), &config), ConnectionError::Refused(_)));
    assert!(matches!(connection_error(&problem(500, 0), &config), ConnectionError::Unreachable(_)));
    let limited = answer(429, &[], "{\"retry_after\": 3.0}");
    let ConnectionError::Wait { wait, .. } = connection_error(&limited, &config) else { panic!("no wait") };
    assert_eq!(wait, Duration::from_secs(3));
}

#[test]
fn what_is_done_already_counts_as_done() {
    let config = config();
    let id = MessageId::new(7).unwrap();
    let fine = answer(200, &[], "{\"id\": \"7\", \"content\": \"x\"}");
    assert_eq!(edited(&fine, &config, id), SendOutcome::Delivered { message: Some(id) });
    assert_eq!(deleted(&answer(204, &[], ""), &config), SendOutcome::Delivered { message: None });
    let gone = problem(404, 10_008);
    assert_eq!(deleted(&gone, &config), SendOutcome::Delivered { message: None });
    let SendOutcome::Refused { error } = edited(&gone, &config, id) else { panic!("an edit of nothing") };
    assert!(error.contains("gone"), "{error}");
    for (status, code) in [(403, 50_001), (404, 10_003), (400, 50_083)] {
        let refusal = problem(status, code);
        assert!(matches!(edited(&refusal, &config, id), SendOutcome::PausePair { .. }), "{status} {code}");
        assert!(matches!(deleted(&refusal, &config), SendOutcome::PausePair { .. }), "{status} {code}");
    }
    let others = problem(403, 50_005);
    assert!(matches!(edited(&others, &config, id), SendOutcome::Refused { .. }));
    assert!(matches!(edited(&answer(500, &[], ""), &config, id), SendOutcome::Unclear { .. }));
}

#[test]
fn a_refused_field_is_told_from_a_refused_message() {
    let form = |field: &str| {
        let body = format!(
            "{{\"code\": 50035, \"message\": \"Invalid Form Body\", \"errors\": {{\"{field}\": \
             {{\"_errors\": [{{\"code\": \"X\", \"message\": \"no\"}}]}}}}}}"
        );
        answer(400, &[], &body)
    };
    assert!(refuses_reply(&form("message_reference")) && !refuses_name(&form("message_reference")));
    assert!(refuses_reply(&problem(400, 160_002)));
    assert!(refuses_name(&form("username")) && !refuses_reply(&form("username")));
    assert!(!refuses_name(&form("content")) && !refuses_reply(&form("content")));
    let config = config();
    assert!(matches!(outcome(&form("content"), &config), SendOutcome::Refused { .. }));
}

#[test]
fn a_credential_is_refused_or_nothing_is_known_of_it() {
    let config = config();
    let of = |status, code| login_error(connection_error(&problem(status, code), &config));
    assert!(matches!(of(401, 0), LoginError::Refused(_)));
    assert!(matches!(of(404, 10_015), LoginError::Refused(_)));
    assert!(matches!(of(500, 0), LoginError::Unreachable(_)));
    assert!(matches!(of(404, 0), LoginError::Unreachable(_)), "something in front says so");
    let limited = login_error(connection_error(&answer(429, &[], "{\"retry_after\": 3.0}"), &config));
    assert_eq!(
        limited,
        LoginError::Wait { wait: Duration::from_secs(3), reason: "429 Too Many Requests".to_owned() }
    );
}
