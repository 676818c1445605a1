//! Orders with an `Idempotency-Key`: carried out once, answered as often as they are sent. The rules are those of
//! [`crate::services::idempotency`].
//!
//! Once begun, such an order goes on, within its lease, even if its caller hangs up or `http.answer_timeout` ends the wait: the
//! caller comes back with the same key and is told what came of it.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, rt, web};
use serde_json::{Value, json};

use super::endpoint::EndpointSpec;
use crate::http::extract::read_body;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{Bounds, HttpState, shared};
use crate::services::caller::Caller;
use crate::services::idempotency::{Attempt, Begun, Idempotency, KeptAnswer, KeyedOrder, parse_key};
use crate::services::limiter::block;

/// The header.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says of an answer that it is that of an earlier try.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What [`parse_key`] takes, as the document says it.
const KEY_PATTERN: &str = r#"^(?:[!#-~][!-~]{0,254}|"(?:[!#-\[\]-~]|\\["\\]){1,255}")$"#;

/// The longest that a caller is told to wait for another try: most end at once.
const COME_BACK: Duration = Duration::from_secs(5);

/// What belongs to an answer that is kept.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

/// Whether its orders may have a key: those that are not idempotent by their method already.
pub(super) fn takes_key(spec: &EndpointSpec) -> bool {
    spec.method == Method::POST && spec.path.starts_with("/api/")
}

/// What the document says of the header.
pub(super) fn parameter() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "1 to 255 visible ASCII characters, in quotes or bare. The same order with the same key is carried out once.",
        "schema": { "type": "string", "pattern": KEY_PATTERN },
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    })
}

/// The key of an order, if it has one.
///
/// # Errors
/// 400 for one that is malformed, or several.
pub(super) fn key(spec: &EndpointSpec, req: &HttpRequest) -> Result<Option<String>, Problem> {
    if !takes_key(spec) {
        return Ok(None);
    }
    let wrong = |detail: String| {
        Problem::new(
            ProblemCode::InvalidRequest,
            format!("the header Idempotency-Key is not valid: {detail}"),
        )
        .at_parameter("Idempotency-Key", detail)
    };
    let mut fields = req.headers().get_all(IDEMPOTENCY_KEY);
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(field), None) => {
            let key = parse_key(field.to_str().unwrap_or_default());
            key.map(Some).map_err(|error| wrong(error.to_string()))
        }
        (Some(_), Some(_)) => Err(wrong("one is taken, not several".to_owned())),
    }
}

/// Carries an order out, unless it was or is being.
pub(super) async fn once<F, Fut>(
    spec: &EndpointSpec,
    req: &HttpRequest,
    from: IpAddr,
    (key, mut payload): (String, Payload),
    carry_out: F,
) -> Result<HttpResponse, Error>
where
    F: FnOnce(Payload) -> Fut,
    Fut: Future<Output = Result<HttpResponse, Error>> + 'static,
{
    let services = shared::<HttpState>(req)?.services()?;
    let bounds = ***shared::<Bounds>(req)?;
    let body = read_body(req, &mut payload, bounds).await?;
    let order = order(spec, req, from, key, &body);
    let attempt = match services.orders.begin(&order).await.map_err(Problem::from)? {
        Begun::Yours(attempt) => attempt,
        Begun::Answered(kept) => return Ok(replay(kept)),
        Begun::UnderWay(left) => {
            let wait = left.clamp(Duration::from_secs(1), COME_BACK);
            return Err(Problem::plain(ProblemCode::RequestInProgress).retry_after(wait).into());
        }
        Begun::Reused => {
            let detail = "the key was used for another order: take a new one";
            return Err(Problem::new(ProblemCode::IdempotencyKeyReused, detail).into());
        }
    };
    let work = carry_out(again(body));
    let running = rt::spawn(async move {
        let outcome = tokio::time::timeout(attempt.limit(), work).await.unwrap_or_else(|_| {
            Err(Problem::new(
                ProblemCode::AnswerTimeout,
                "the order was not carried out before its lease ends",
            )
            .into())
        });
        settle(services.orders.as_ref(), &attempt, outcome).await
    });
    running.await.unwrap_or_else(|failure| {
        tracing::error!(panicked = failure.is_panic(), "an order with a key was cut short");
        Err(Problem::plain(ProblemCode::InternalError).into())
    })
}

fn order(spec: &EndpointSpec, req: &HttpRequest, from: IpAddr, key: String, body: &[u8]) -> KeyedOrder {
    let caller = req.extensions().get::<Caller>().copied();
    let (owner, user) = match caller {
        Some(Caller::User(user)) => (format!("user/{user}"), Some(user)),
        Some(Caller::Admin(admin, _)) => (format!("admin/{admin}"), None),
        Some(Caller::Operator) => ("operator".to_owned(), None),
        None => (format!("address/{}", block(from)), None),
    };
    let target = req.uri().path_and_query().map_or("", |target| target.as_str());
    let mut order = format!("{} {target}\n", spec.method).into_bytes();
    order.extend_from_slice(body);
    KeyedOrder { owner, user, operation: spec.id.to_owned(), key, order, by_content: caller.is_none() }
}

/// A body that was read, to be read once more.
fn again(body: Vec<u8>) -> Payload {
    let (_, mut payload) = actix_http::h1::Payload::create(true);
    payload.unread_data(web::Bytes::from(body));
    Payload::from(payload)
}

/// Keeps the answer, or frees the key where nothing was done.
async fn settle(
    orders: &dyn Idempotency,
    attempt: &Attempt,
    outcome: Result<HttpResponse, Error>,
) -> Result<HttpResponse, Error> {
    let told = match outcome {
        Ok(response) if response.status().is_success() => {
            let (response, kept) = keep(response);
            let told = match kept {
                Some(kept) => orders.finish(attempt, &kept).await,
                None => Ok(()),
            };
            (Ok(response), told)
        }
        outcome if nothing_done(&outcome) => (outcome, orders.release(attempt).await),
        outcome => (outcome, Ok(())),
    };
    if let Err(error) = told.1 {
        // The answer is right all the same; another try with this key is told to wait, and then carried out again.
        tracing::warn!(%error, "the outcome of an order with a key could not be noted");
    }
    told.0
}

/// A copy of an answer; none of one whose body is no text at hand.
fn keep(response: HttpResponse) -> (HttpResponse, Option<KeptAnswer>) {
    let headers = KEPT.iter().filter_map(|name| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let (status, headers) = (response.status().as_u16(), headers.collect());
    let (head, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(bytes) => {
            let kept =
                String::from_utf8(bytes.to_vec()).ok().map(|body| KeptAnswer { status, headers, body });
            (head.set_body(bytes).map_into_boxed_body(), kept)
        }
        Err(body) => (head.set_body(body), None),
    }
}

/// Whether it is certain that the order changed nothing.
fn nothing_done(outcome: &Result<HttpResponse, Error>) -> bool {
    let status = match outcome {
        Ok(response) => response.status(),
        Err(error) => match error.as_error::<Problem>().map(Problem::code) {
            Some(ProblemCode::NotReady | ProblemCode::PlatformUnreachable) => return true,
            _ => error.as_response_error().status_code(),
        },
    };
    status.is_client_error()
}

fn replay(kept: KeptAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    for (name, value) in &kept.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    response.insert_header((REPLAYED, HeaderValue::from_static("true")));
    if kept.body.is_empty() { response.finish() } else { response.body(kept.body) }
}
