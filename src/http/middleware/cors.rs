//! Which pages of other origins may read the API's answers (fetch.spec.whatwg.org, "CORS protocol").
//!
//! Credentials travel in headers that a page sets itself, never in cookies: `Access-Control-Allow-Credentials` is not sent.

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, VARY,
};

use crate::config::Origins;

/// What a page may send.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// What a page may send beside what it always may.
const HEADERS: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, x-api-key, x-request-id";

/// What a page may read beside what it always may.
const EXPOSED: &str =
    "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, x-request-id";

/// How long a browser may remember a preflight, in seconds: a changed configuration is felt within ten minutes.
const MAX_AGE: &str = "600";

type Header = (HeaderName, HeaderValue);

/// The headers of any answer to a request with these.
pub(super) fn answer(origins: &Origins, request: &HeaderMap) -> Vec<Header> {
    if origins.is_empty() {
        return Vec::new();
    }
    // Also for those who get nothing: a cache must not show one origin what another was told.
    let mut headers = vec![(VARY, HeaderValue::from_static("Origin"))];
    if let Some(origin) = allowed(origins, request) {
        headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        headers.push((ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)));
    }
    headers
}

/// The headers of the answer to a preflight; none if this is none, or one that is not answered.
pub(super) fn preflight(origins: &Origins, method: &Method, request: &HeaderMap) -> Option<Vec<Header>> {
    if *method != Method::OPTIONS || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let origin = allowed(origins, request)?.clone();
    Some(vec![
        (VARY, HeaderValue::from_static("Origin")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE)),
    ])
}

fn allowed<'r>(origins: &Origins, request: &'r HeaderMap) -> Option<&'r HeaderValue> {
    let mut given = request.get_all(ORIGIN);
    let (Some(origin), None) = (given.next(), given.next()) else { return None };
    origin.to_str().ok().filter(|text| origins.contains(text))?;
    Some(origin)
}
