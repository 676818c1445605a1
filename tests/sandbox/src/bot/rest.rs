//! One funnel from request to answer: `/bot<token>/METHOD`, by GET or POST, method names in any case.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::core::Core;
use super::error::ApiError;
use super::params::Params;
use super::{methods, polling};
use crate::faults::FaultKind;
use crate::http::Cut;
use crate::violations::Rule;

/// Faults that leave a call without effect.
const BEFORE: [FaultKind; 4] =
    [FaultKind::DropConnection, FaultKind::ServerError, FaultKind::Unauthorized, FaultKind::FloodWait];

/// How a call went.
struct Answer {
    result: Result<Value, ApiError>,
    /// The connection is cut instead.
    cut: bool,
    late: Duration,
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self { result: Err(error), cut: false, late: Duration::ZERO }
    }
}

pub(super) async fn serve(core: &Core, request: &HttpRequest, body: web::Payload) -> HttpResponse {
    let body = match body.to_bytes_limited(core.config.max_body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return respond(&Err(ApiError::bad_request("the body could not be read"))),
        Err(_) => return respond(&Err(ApiError::bad_request("request entity too large"))),
    };
    let answer = answer(core, request, &body).await;
    if !answer.late.is_zero() {
        tokio::time::sleep(answer.late).await;
    }
    if answer.cut
        && let Some(connection) = request.conn_data::<Cut>()
    {
        connection.now();
    }
    respond(&answer.result)
}

async fn answer(core: &Core, request: &HttpRequest, body: &[u8]) -> Answer {
    let Some((token, method)) = request.path().strip_prefix("/bot").and_then(|path| path.split_once('/'))
    else {
        return ApiError::not_found().into();
    };
    if token != core.seeded.token.reveal() {
        return ApiError::unauthorized().into();
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return ApiError::not_found().into();
    }
    let method = method.to_ascii_lowercase();
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let params = match Params::read(request.query_string(), kind, body) {
        Ok(params) => params,
        Err(error) => {
            core.shared.violations.count(Rule::BotMalformedRequest);
            return error.into();
        }
    };
    let sends = methods::sends(&method);
    // Waits strike at what is sent; everything else at any call.
    let kinds = if sends { BEFORE.as_slice() } else { BEFORE.get(..3).unwrap_or_default() };
    if let Some(fault) = core.shared.faults.take(core.site(), kinds) {
        return match fault.kind {
            FaultKind::DropConnection => Answer { cut: true, ..ApiError::internal().into() },
            FaultKind::Unauthorized => ApiError::unauthorized().into(),
            FaultKind::FloodWait => {
                let seconds = fault.wait.as_secs().max(1);
                core.limits.hold(seconds, core.shared.clock.now_ms());
                ApiError::too_many(seconds).into()
            }
            _ => ApiError::internal().into(),
        };
    }
    let result = match method.as_str() {
        "getupdates" => polling::get_updates(core, &params).await,
        name => methods::call(core, name, &params),
    };
    let struck = |kind| core.shared.faults.take(core.site(), &[kind]);
    let late = if sends { struck(FaultKind::Slow) } else { None };
    let cut = sends && result.is_ok() && struck(FaultKind::LostAnswer).is_some();
    Answer { result, cut, late: late.map(|fault| fault.wait).unwrap_or_default() }
}

fn respond(result: &Result<Value, ApiError>) -> HttpResponse {
    match result {
        Ok(result) => HttpResponse::Ok().json(json!({"ok": true, "result": result})),
        Err(error) => {
            let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            HttpResponse::build(status).json(error.body())
        }
    }
}
