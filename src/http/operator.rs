//! Who is the operator: a caller on this machine, with no proxy between, that holds the token of this run.

use std::net::SocketAddr;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;
use switchyard_actors::ports::Rng;

use crate::services::operator::OperatorAccess;

use super::problem::{Problem, ProblemCode};

/// Knows the token of this run without holding it.
pub(crate) struct OperatorVerifier {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl OperatorVerifier {
    pub(crate) fn new(access: &OperatorAccess, rng: &dyn Rng) -> Self {
        let mut bytes = [0_u8; 32];
        rng.fill(&mut bytes);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let tag = hmac::sign(&key, access.token().as_bytes());
        Self { key, tag }
    }

    /// # Errors
    /// 403 for a caller that is elsewhere or may be, 401 for one without the token.
    pub(crate) fn check(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<(), Problem> {
        let local = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        if !local {
            return Err(Problem::new(
                ProblemCode::Forbidden,
                "the operator's routes answer callers on the daemon's own machine only",
            ));
        }
        if let Some(name) = headers.keys().map(|name| name.as_str()).find(|name| forwards(name)) {
            return Err(Problem::new(
                ProblemCode::Forbidden,
                format!(
                    "the request came by a proxy ({name}): the operator's routes answer direct callers only"
                ),
            ));
        }
        if self.accepts(headers) {
            return Ok(());
        }
        Err(Problem::new(ProblemCode::Unauthorized, "the operator's token of this run is needed as bearer"))
    }

    /// Compares in constant time. The scheme's name is not case-sensitive (RFC 9110, section 11.1).
    pub(crate) fn accepts(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION);
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| {
                hmac::verify(&self.key, token.trim().as_bytes(), self.tag.as_ref()).is_ok()
            })
    }
}

/// Headers that a proxy adds: with one, a loopback peer says nothing about the caller.
pub(super) fn forwards(name: &str) -> bool {
    let known = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
    ];
    let families = ["x-forwarded", "x-original-forwarded", "x-envoy-", "x-cluster-client", "x-amzn-"];
    known.contains(&name) || families.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::crypto::SystemRng;

    #[test]
    fn the_token_counts_on_this_machine_only() {
        let access = OperatorAccess::generate("127.0.0.1:80".parse().unwrap(), &SystemRng);
        let verifier = OperatorVerifier::new(&access, &SystemRng);
        let mut headers = HeaderMap::new();
        let token = HeaderValue::from_str(&format!("Bearer {}", access.token())).unwrap();
        headers.insert(AUTHORIZATION, token);
        let told = |peer: Option<&str>, headers: &HeaderMap| {
            let peer = peer.map(|peer| peer.parse().unwrap());
            verifier.check(peer, headers).map_err(|problem| problem.code())
        };
        for peer in ["127.0.0.1:5", "127.8.9.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert_eq!(told(Some(peer), &headers), Ok(()), "{peer}");
            assert_eq!(told(Some(peer), &HeaderMap::new()), Err(ProblemCode::Unauthorized), "{peer}");
        }
        for peer in
            ["192.0.2.1:5", "10.0.0.1:5", "0.0.0.0:5", "169.254.0.1:5", "[2001:db8::1]:5", "[fe80::1]:5"]
        {
            assert_eq!(told(Some(peer), &headers), Err(ProblemCode::Forbidden), "{peer}");
        }
        assert_eq!(told(None, &headers), Err(ProblemCode::Forbidden), "of whom nothing is known");
    }
}
