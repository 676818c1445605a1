//! Headers that every answer has, whoever made it.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// Where nothing else is said: an answer is data, for nobody's page, frame, cache or referrer (OWASP REST Security Cheat
/// Sheet, "Security headers").
pub(crate) const DEFAULTS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// For a year, where the daemon itself speaks TLS (RFC 6797).
pub(crate) const TRANSPORT: (HeaderName, &str) = (STRICT_TRANSPORT_SECURITY, "max-age=31536000");

/// What the layers within want the answer to carry, whatever becomes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerHeaders(Rc<RefCell<Vec<(HeaderName, HeaderValue)>>>);

impl AnswerHeaders {
    /// Adds a header.
    pub(crate) fn push(&self, name: HeaderName, value: HeaderValue) {
        self.0.borrow_mut().push((name, value));
    }

    /// Everything that was added.
    pub(super) fn take(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.0.take()
    }
}

/// Puts the defaults where nothing else was said, and what was added.
pub(super) fn complete(headers: &mut HeaderMap, added: Vec<(HeaderName, HeaderValue)>, tls: bool) {
    for (name, value) in DEFAULTS.iter().chain(tls.then_some(&TRANSPORT)) {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    for (name, value) in added {
        headers.append(name, value);
    }
}
