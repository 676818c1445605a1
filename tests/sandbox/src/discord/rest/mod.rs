//! REST v10: one funnel from request to answer, in the order in which Discord refuses.

mod answer;
mod bucket;
mod calls;
mod error;
mod form;
mod limits;
mod route;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::core::{Core, fault_site};
use super::gateway;
use super::world::Bot;
use crate::faults::{Fault, FaultKind, FaultSite};
use crate::http::Cut;
use crate::platform::Platform;
use crate::violations::Rule;
use answer::{Answer, Outcome, respond};
use error::ApiError;
pub(super) use form::AllowedMentions;
pub(super) use limits::RateLimiter;
use limits::{Caller, Key, Refusal};
use route::{Hook, HookCall, Route};

/// Faults that leave any call without effect.
const BEFORE_ANY_CALL: [FaultKind; 2] = [FaultKind::DropConnection, FaultKind::ServerError];
/// Faults that leave a call without effect which an account makes.
const BEFORE_AN_ACCOUNTS_CALL: [FaultKind; 3] =
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
    if let Route::Hook(hook) = route {
        return hooked(core, call, hook, now_ms);
    }
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
        if route == Route::Gateway { BEFORE_ANY_CALL.as_slice() } else { BEFORE_AN_ACCOUNTS_CALL.as_slice() };
    if let Some(fault) = core.shared.faults.take(site, kinds) {
        return struck(fault, ApiError::Unauthorized).into();
    }
    let caller = Caller::Bot(bot.id);
    let (bucket, major) = route.bucket();
    let admission =
        Admission { site, written: route.written(), key: Key { caller, bucket, major }, hooked: None };
    admission.decide(core, now_ms, || calls::call(core, call, route, &bot))
}

/// Decides a call under a webhook's token: whoever knows it needs no other.
fn hooked(core: &Core, call: &Call<'_>, hook: Hook<'_>, now_ms: u64) -> Answer {
    let Some(webhook) = core.lock().world.webhooks.get(&hook.webhook).cloned() else {
        if core.limiter.is_known_as_gone(hook.webhook) {
            core.shared.violations.count(Rule::DiscordWebhookGone);
        }
        return ApiError::UnknownWebhook.into();
    };
    if webhook.token.0 != hook.token {
        core.limiter.count_invalid(now_ms);
        return ApiError::InvalidWebhookToken.into();
    }
    let site = FaultSite { platform: Platform::Discord, account: webhook.account };
    if let Some(fault) = core.shared.faults.take(site, &BEFORE_AN_ACCOUNTS_CALL) {
        return struck(fault, ApiError::InvalidWebhookToken).into();
    }
    let key = Key { caller: Caller::Webhook(webhook.id), bucket: hook.call.bucket(), major: webhook.id };
    let hooked = (hook.call == HookCall::Execute).then_some(webhook.channel);
    let written = hook.call.writes().then_some(webhook.channel);
    let admission = Admission { site, written, key, hooked };
    admission.decide(core, now_ms, || calls::hook(core, call, hook.call, &webhook))
}

/// How a caller who has shown who it is gets through.
struct Admission {
    site: FaultSite,
    /// The channel that the call changes: what waits and lost answers strike at.
    written: Option<u64>,
    key: Key,
    /// The channel in which a webhook is to write.
    hooked: Option<u64>,
}

impl Admission {
    /// Carries a call out, unless it has to wait.
    fn decide(
        &self,
        core: &Core,
        now_ms: u64,
        carry_out: impl FnOnce() -> Result<Option<Value>, ApiError>,
    ) -> Answer {
        let admitted = core
            .limiter
            .check_wait(self.key.caller, now_ms)
            .and_then(|()| self.wait(core, now_ms))
            .and_then(|()| core.limiter.admit(self.key, self.hooked, now_ms));
        let bucket = match admitted {
            Ok(bucket) => bucket,
            Err(refusal) => {
                if refusal.deserved {
                    core.limiter.count_invalid(now_ms);
                }
                return Answer { bucket: refusal.bucket, ..Outcome::Refused(refusal).into() };
            }
        };
        let outcome = self.carry_out(core, now_ms, carry_out());
        let late = core.shared.faults.take(self.site, &[FaultKind::Slow]).map(|fault| fault.wait);
        Answer { outcome, bucket: Some(bucket), late: late.unwrap_or_default() }
    }

    /// A flood wait strikes at a write, and then binds every call of the caller; a slow mode strikes at a channel, and
    /// then binds all who write there.
    fn wait(&self, core: &Core, now_ms: u64) -> Result<(), Refusal> {
        let Some(channel) = self.written else { return Ok(()) };
        core.limiter.check_slow_mode(channel, now_ms)?;
        let kinds = [FaultKind::FloodWait, FaultKind::SlowmodeWait];
        let fault = core.shared.faults.take_in(self.site, i64::try_from(channel).ok(), &kinds);
        let Some(fault) = fault else { return Ok(()) };
        let wait_ms = u64::try_from(fault.wait.as_millis()).unwrap_or(u64::MAX);
        Err(if fault.kind == FaultKind::SlowmodeWait {
            core.limiter.slow_down(channel, wait_ms, now_ms)
        } else {
            core.limiter.tell_to_wait(self.key.caller, wait_ms, now_ms)
        })
    }

    fn carry_out(&self, core: &Core, now_ms: u64, called: Result<Option<Value>, ApiError>) -> Outcome {
        match called {
            Ok(value) => {
                let lost = self.written.is_some()
                    && core.shared.faults.take(self.site, &[FaultKind::LostAnswer]).is_some();
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
}

/// `GET /gateway` needs no token and counts against nobody, but platform-wide faults strike it too.
fn unlimited(core: &Core, call: &Call<'_>, route: Route<'_>) -> Answer {
    if let Some(fault) = core.shared.faults.take(fault_site(None), &BEFORE_ANY_CALL) {
        return struck(fault, ApiError::Unauthorized).into();
    }
    Outcome::Done(Some(calls::gateway(core, route, &call.gateway_url, None))).into()
}

/// What a fault that leaves a call without effect is to its caller.
fn struck(fault: Fault, unauthorized: ApiError) -> Outcome {
    match fault.kind {
        FaultKind::DropConnection => Outcome::Cut,
        // Not counted as an invalid request: the server made it up.
        FaultKind::Unauthorized => Outcome::Failed(unauthorized),
        _ => Outcome::Failed(ApiError::Internal),
    }
}

/// Bots only: a token without `Bot ` in front would be a user's, which no client of ours may use.
fn bot(core: &Core, authorization: Option<&str>) -> Option<Bot> {
    core.bot(authorization?.strip_prefix("Bot ")?)
}
