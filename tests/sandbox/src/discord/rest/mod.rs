//! REST v10: one funnel from request to answer, in the order in which Discord refuses.

mod calls;
mod error;
mod form;
mod limits;
mod route;

use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde_json::{Value, json};

use super::core::{Core, fault_site};
use super::gateway;
use super::world::Bot;
use crate::faults::{Fault, FaultKind, FaultSite};
use crate::http::Cut;
use crate::violations::Rule;
use error::ApiError;
pub(super) use form::AllowedMentions;
pub(super) use limits::RateLimiter;
use limits::{BucketState, Key, Refusal, Scope};
use route::Route;

/// What a shut-out address is shown, as the proxy in front of Discord would: no JSON, no headers.
const BANNED: &str = "<!DOCTYPE html><html><head><title>Access denied</title></head>\
                      <body>error code: 1015</body></html>";

/// Faults that leave any call without effect.
const BEFORE_ANY_CALL: [FaultKind; 2] = [FaultKind::DropConnection, FaultKind::ServerError];
/// Faults that leave a call without effect which a bot must make.
const BEFORE_A_BOT_CALL: [FaultKind; 3] =
    [FaultKind::DropConnection, FaultKind::ServerError, FaultKind::Unauthorized];

/// A call, read from the wire.
struct Call<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    authorization: Option<&'a str>,
    is_json: bool,
    body: &'a [u8],
    gateway_url: String,
}

/// How a call went.
enum Outcome {
    /// `None`: no content.
    Done(Option<Value>),
    Failed(ApiError),
    Refused(Refusal),
    Banned,
    /// The connection is cut without an answer.
    Cut,
}

/// What is answered, and when.
struct Answer {
    outcome: Outcome,
    bucket: Option<BucketState>,
    late: Duration,
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

/// Answers a REST call.
pub(super) async fn serve(core: &Core, request: &HttpRequest, body: web::Payload) -> HttpResponse {
    let body = match body.to_bytes_limited(core.config.max_body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return respond(ApiError::InvalidJson.into()),
        Err(_) => return respond(ApiError::BodyTooLarge.into()),
    };
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    let call = Call {
        method: request.method(),
        path: request.path(),
        query: request.query_string(),
        authorization: header(AUTHORIZATION),
        is_json: content_type.split(';').next().is_some_and(|kind| kind.trim() == "application/json"),
        body: &body,
        gateway_url: gateway::url(request.app_config().local_addr()),
    };
    let answer = answer(core, &call);
    if !answer.late.is_zero() {
        tokio::time::sleep(answer.late).await;
    }
    if matches!(answer.outcome, Outcome::Cut)
        && let Some(connection) = request.conn_data::<Cut>()
    {
        connection.now();
    }
    respond(answer)
}

/// Decides a call: shut out, unknown, unauthorised, struck by a fault, over a limit, or carried out.
fn answer(core: &Core, call: &Call<'_>) -> Answer {
    let now_ms = core.shared.clock.now_ms();
    if core.limiter.is_banned(now_ms) {
        return Outcome::Banned.into();
    }
    let route = match Route::parse(call.method, call.path) {
        Ok(route) => route,
        Err(error) => return error.into(),
    };
    let bot = bot(core, call.authorization);
    let Some(bot) = bot else {
        if route == Route::Gateway {
            return unlimited(core, call, route);
        }
        core.limiter.count_invalid(now_ms);
        return ApiError::Unauthorized.into();
    };
    let site = fault_site(Some(&bot));
    let kinds =
        if route == Route::Gateway { BEFORE_ANY_CALL.as_slice() } else { BEFORE_A_BOT_CALL.as_slice() };
    if let Some(fault) = core.shared.faults.take(site, kinds) {
        return struck(fault).into();
    }
    let admitted = core
        .limiter
        .check_wait(bot.id, now_ms)
        .and_then(|()| flood_wait(core, site, route, &bot, now_ms))
        .and_then(|()| {
            let (bucket, major) = route.bucket();
            core.limiter.admit(Key { bot: bot.id, bucket, major }, now_ms)
        });
    let bucket = match admitted {
        Ok(bucket) => bucket,
        Err(refusal) => {
            if refusal.deserved {
                core.limiter.count_invalid(now_ms);
            }
            return Answer { bucket: refusal.bucket, ..Outcome::Refused(refusal).into() };
        }
    };
    let outcome = carry_out(core, call, route, &bot, site, now_ms);
    let late = core.shared.faults.take(site, &[FaultKind::Slow]).map(|fault| fault.wait);
    Answer { outcome, bucket: Some(bucket), late: late.unwrap_or_default() }
}

/// `GET /gateway` needs no token and counts against nobody, but platform-wide faults strike it too.
fn unlimited(core: &Core, call: &Call<'_>, route: Route) -> Answer {
    if let Some(fault) = core.shared.faults.take(fault_site(None), &BEFORE_ANY_CALL) {
        return struck(fault).into();
    }
    calls::gateway(core, route, &call.gateway_url, None).into()
}

/// What a fault that leaves a call without effect is to its caller.
fn struck(fault: Fault) -> Outcome {
    match fault.kind {
        FaultKind::DropConnection => Outcome::Cut,
        // Not counted as an invalid request: the server made it up.
        FaultKind::Unauthorized => Outcome::Failed(ApiError::Unauthorized),
        _ => Outcome::Failed(ApiError::Internal),
    }
}

/// A flood wait strikes at a write, and then binds every call of the bot.
fn flood_wait(core: &Core, site: FaultSite, route: Route, bot: &Bot, now_ms: u64) -> Result<(), Refusal> {
    let fault = if route.writes() { core.shared.faults.take(site, &[FaultKind::FloodWait]) } else { None };
    match fault {
        None => Ok(()),
        Some(fault) => {
            let wait_ms = u64::try_from(fault.wait.as_millis()).unwrap_or(u64::MAX);
            Err(core.limiter.tell_to_wait(bot.id, wait_ms, now_ms))
        }
    }
}

fn carry_out(core: &Core, call: &Call<'_>, route: Route, bot: &Bot, site: FaultSite, now_ms: u64) -> Outcome {
    match calls::call(core, call, route, bot) {
        Ok(value) => {
            let lost = route.writes() && core.shared.faults.take(site, &[FaultKind::LostAnswer]).is_some();
            if lost { Outcome::Cut } else { Outcome::Done(value) }
        }
        Err(error) => {
            match error.status() {
                StatusCode::FORBIDDEN => core.limiter.count_invalid(now_ms),
                StatusCode::BAD_REQUEST => core.shared.violations.count(Rule::DiscordMalformedRequest),
                _ => {}
            }
            Outcome::Failed(error)
        }
    }
}

/// Bots only: a token without `Bot ` in front would be a user's, which no client of ours may use.
fn bot(core: &Core, authorization: Option<&str>) -> Option<Bot> {
    core.bot(authorization?.strip_prefix("Bot ")?)
}

fn respond(answer: Answer) -> HttpResponse {
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
