//! What is answered, and how it goes over the wire.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};

use super::error::ApiError;
use super::limits::{BucketState, Refusal, Scope};

/// What a shut-out address is shown, as the proxy in front of Discord would: no JSON, no headers.
const BANNED: &str = "<!DOCTYPE html><html><head><title>Access denied</title></head>\
                      <body>error code: 1015</body></html>";

/// How a call went.
pub(super) enum Outcome {
    /// `None`: no content.
    Done(Option<Value>),
    Failed(ApiError),
    Refused(Refusal),
    Banned,
    /// The connection is cut without an answer.
    Cut,
}

/// What is answered, and when.
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    pub(super) bucket: Option<BucketState>,
    pub(super) late: Duration,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, bucket: None, late: Duration::ZERO }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Outcome::Failed(error).into()
    }
}

pub(super) fn respond(answer: Answer) -> HttpResponse {
    let (status, body) = match &answer.outcome {
        Outcome::Done(Some(value)) => (StatusCode::OK, Some(value.clone())),
        Outcome::Done(None) => (StatusCode::NO_CONTENT, None),
        Outcome::Failed(error) => (error.status(), Some(error.body())),
        Outcome::Refused(refusal) => (StatusCode::TOO_MANY_REQUESTS, Some(refusal_body(refusal))),
        Outcome::Banned => {
            return HttpResponse::TooManyRequests().content_type("text/html; charset=UTF-8").body(BANNED);
        }
        Outcome::Cut => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    let mut response = HttpResponse::build(status);
    if let Some(bucket) = answer.bucket {
        bucket_headers(&mut response, bucket);
    }
    if let Outcome::Refused(refusal) = &answer.outcome {
        refusal_headers(&mut response, refusal);
    }
    match body {
        Some(value) => response.json(value),
        None => response.finish(),
    }
}

fn bucket_headers(response: &mut HttpResponseBuilder, bucket: BucketState) {
    response
        .insert_header(("x-ratelimit-limit", bucket.limit.to_string()))
        .insert_header(("x-ratelimit-remaining", bucket.remaining.to_string()))
        .insert_header(("x-ratelimit-reset", seconds(bucket.reset_at_ms)))
        .insert_header(("x-ratelimit-reset-after", seconds(bucket.reset_after_ms)))
        .insert_header(("x-ratelimit-bucket", bucket.hash));
}

fn refusal_headers(response: &mut HttpResponseBuilder, refusal: &Refusal) {
    response.insert_header((RETRY_AFTER, refusal.retry_after_ms.div_ceil(1_000).to_string()));
    match refusal.scope {
        Scope::User => {
            response.insert_header(("x-ratelimit-scope", "user"));
        }
        Scope::Shared => {
            response.insert_header(("x-ratelimit-scope", "shared"));
        }
        Scope::Global => {
            response.insert_header(("x-ratelimit-scope", "global"));
            response.insert_header(("x-ratelimit-global", "true"));
        }
    }
}

fn refusal_body(refusal: &Refusal) -> Value {
    json!({
        "message": "You are being rate limited.",
        "retry_after": Duration::from_millis(refusal.retry_after_ms).as_secs_f64(),
        "global": refusal.scope == Scope::Global,
    })
}

/// Seconds with three decimals, as in Discord's headers.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
