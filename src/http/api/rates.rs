//! Rate limits at the door: what counts, and what an answer says of it.
//!
//! The headers are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` names each limit with its quota `q` and
//! its window `w` in seconds, `RateLimit` what is left of it, `r`, and in how many seconds more comes back, `t`.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

use crate::http::middleware::AnswerHeaders;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Services;
use crate::services::entry::Entered;
use crate::services::limiter::Verdict;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts a request of somebody who is known.
///
/// # Errors
/// 429, and 503 where nothing can be counted.
pub(super) async fn count_known(
    services: &Services,
    entered: &Entered,
    req: &HttpRequest,
) -> Result<(), Problem> {
    match services.limits.known(entered.caller, entered.via).await? {
        Some(verdict) => settle(&verdict, req),
        None => Ok(()),
    }
}

/// Counts a request of somebody of whom only the address is known.
///
/// # Errors
/// As [`count_known`].
pub(super) async fn count_unknown(
    services: &Services,
    from: IpAddr,
    req: &HttpRequest,
) -> Result<(), Problem> {
    settle(&services.limits.unknown(from).await?, req)
}

fn settle(verdict: &Verdict, req: &HttpRequest) -> Result<(), Problem> {
    if let Some(headers) = req.extensions().get::<AnswerHeaders>() {
        for (name, text) in [(RATE_LIMIT_POLICY, policies(verdict)), (RATE_LIMIT, left(verdict))] {
            if let Ok(value) = HeaderValue::from_str(&text)
                && !text.is_empty()
            {
                headers.push(name, value);
            }
        }
    }
    if verdict.granted {
        return Ok(());
    }
    let used_up =
        verdict.policies.iter().find(|policy| policy.standing.is_some_and(|left| left.remaining == 0));
    let detail = used_up.map_or_else(
        || "too many requests".to_owned(),
        |policy| {
            let (requests, window) = (policy.limit.requests, seconds(policy.limit.window));
            format!("the limit \"{}\" of {requests} requests in {window} s is used up", policy.name)
        },
    );
    Err(Problem::new(ProblemCode::TooManyRequests, detail).retry_after(verdict.retry_after()))
}

fn policies(verdict: &Verdict) -> String {
    let items = verdict.policies.iter().map(|policy| {
        format!("\"{}\";q={};w={}", policy.name, policy.limit.requests, seconds(policy.limit.window))
    });
    items.collect::<Vec<_>>().join(", ")
}

fn left(verdict: &Verdict) -> String {
    let items = verdict.policies.iter().filter_map(|policy| {
        let standing = policy.standing?;
        Some(format!("\"{}\";r={};t={}", policy.name, standing.remaining, seconds(standing.reset)))
    });
    items.collect::<Vec<_>>().join(", ")
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::services::limiter::{ApiLimit, Policy, Standing};

    #[test]
    fn headers_are_lists_of_structured_fields() {
        let policy = |name, requests, standing| Policy {
            name,
            limit: ApiLimit {
                requests: NonZeroU32::new(requests).unwrap(),
                window: Duration::from_millis(60_001),
            },
            standing,
        };
        let standing = Standing { remaining: 3, reset: Duration::from_millis(1_200) };
        let verdict = Verdict {
            granted: true,
            policies: vec![policy("user", 600, Some(standing)), policy("key", 300, None)],
        };
        assert_eq!(policies(&verdict), "\"user\";q=600;w=61, \"key\";q=300;w=61");
        assert_eq!(left(&verdict), "\"user\";r=3;t=2");
    }
}
