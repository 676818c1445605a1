//! The outermost layer: request id, deadline, caught panics, every error turned into a problem document, and the headers that
//! every answer has.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use super::cors::{self, preflight};
use super::headers::{AnswerHeaders, complete};
use crate::config::{HttpConfig, Origins};
use crate::http::address::caller_address;
use crate::http::problem::{Problem, ProblemCode, REQUEST_ID};
use crate::http::state::{Bounds, HttpState, RequestId, shared};

const REQUEST_ID_MAX: usize = 64;

/// What answers say of where they come from, and to whose pages.
pub(crate) struct Edge {
    origins: Origins,
    tls: bool,
}

impl Edge {
    fn complete(&self, headers: &mut HeaderMap, added: Vec<(HeaderName, HeaderValue)>) {
        complete(headers, added, self.tls);
    }
}

impl Edge {
    /// `tls`: whether the daemon itself speaks TLS.
    pub(crate) fn new(config: &HttpConfig, tls: bool) -> Self {
        Self { origins: config.cors_origins.clone(), tls }
    }
}

/// See the module.
pub(crate) async fn edge(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let bounds = ***shared::<Bounds>(req.request())?;
    let id = given_id(&req)
        .map_or_else(|| shared::<HttpState>(req.request()).map(|state| state.request_id()), Ok)?;
    let method = req.method().clone();
    let address = caller_address(req.request())?;
    let span = tracing::info_span!("http_request", request_id = %id, %method, from = %address.ip());
    if address.vouched().is_none() {
        span.in_scope(|| {
            tracing::debug!("caller's address is not certain: headers of a proxy that is not trusted")
        });
    }
    req.extensions_mut().insert(address);
    req.extensions_mut().insert(RequestId(id.clone()));
    let started = Instant::now();
    let edge = Arc::clone(shared::<Edge>(req.request())?);
    if let Some(headers) = preflight(&edge.origins, &method, req.headers()) {
        let mut response = HttpResponse::NoContent().finish();
        edge.complete(response.headers_mut(), headers);
        return Ok(with_id(req.into_response(response), &id));
    }
    let mut headers = cors::answer(&edge.origins, req.headers());
    let added = AnswerHeaders::default();
    req.extensions_mut().insert(added.clone());
    let answer =
        AssertUnwindSafe(tokio::time::timeout(bounds.answer_timeout, async { next.call(req).await }))
            .catch_unwind()
            .instrument(span.clone())
            .await;
    headers.extend(added.take());
    let _entered = span.enter();
    let outcome = match answer {
        Ok(Ok(Ok(response))) => Ok(finish(response, &id)),
        Ok(Ok(Err(error))) => Err(problem_of(&error)),
        Ok(Err(_)) => Err(Problem::new(ProblemCode::AnswerTimeout, "the answer was not ready in time")),
        Err(_) => {
            tracing::error!("request handler panicked");
            Err(Problem::plain(ProblemCode::InternalError))
        }
    };
    match outcome {
        Ok(mut response) => {
            edge.complete(response.headers_mut(), headers);
            let route = response.request().match_pattern().unwrap_or_default();
            note(&route, response.status().as_u16(), started);
            Ok(response)
        }
        Err(problem) => {
            note("", problem.status_code().as_u16(), started);
            let mut all = HeaderMap::new();
            edge.complete(&mut all, headers);
            Err(problem.with_headers(&all).with_request_id(&id).into())
        }
    }
}

/// One line per request; the raw path is not logged, for it may name things.
fn note(route: &str, status: u16, started: Instant) {
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(route, status, elapsed_ms, "request failed");
    } else {
        tracing::debug!(route, status, elapsed_ms, "request answered");
    }
}

/// The caller's own id, if it is one that can stand in a log.
fn given_id(req: &ServiceRequest) -> Option<String> {
    let text = req.headers().get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=REQUEST_ID_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    fits.then(|| text.to_owned())
}

fn finish(response: ServiceResponse<impl MessageBody + 'static>, id: &str) -> ServiceResponse<BoxBody> {
    if response.status().is_client_error() || response.status().is_server_error() {
        let problem = problem_in(&response).with_request_id(id);
        let (req, _) = response.into_parts();
        return ServiceResponse::new(req, problem.error_response());
    }
    with_id(response.map_into_boxed_body(), id)
}

fn with_id(mut response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The problem that a handler returned, or one for what the framework answered.
fn problem_in<B>(response: &ServiceResponse<B>) -> Problem {
    if let Some(error) = response.response().error() {
        return problem_of(error);
    }
    let problem = Problem::plain(ProblemCode::of_status(response.status()));
    match response.headers().get(ALLOW) {
        Some(methods) => problem.allow(methods.clone()),
        None => problem,
    }
}

/// The problem that an error is, or one for what the framework says.
pub(crate) fn problem_of(error: &Error) -> Problem {
    error.as_error::<Problem>().cloned().unwrap_or_else(|| {
        let status = error.as_response_error().status_code();
        if status.is_server_error() {
            tracing::error!(%error, "request failed inside the framework");
        }
        Problem::plain(ProblemCode::of_status(status))
    })
}
