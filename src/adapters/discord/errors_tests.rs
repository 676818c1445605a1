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
