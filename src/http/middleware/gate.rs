//! Who may pass before the router: nobody reaches the API while the daemon migrates or drains, whatever path is asked for;
//! and whatever belongs to the staff, known or not, answers in allow-listed networks only.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use crate::http::address::{CallerAddress, caller_address};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{HttpState, shared};

/// The root of the staff's paths.
const STAFF: &str = "/api/v1/admin";

/// Answers 503 under `/api` unless the daemon serves.
pub(crate) async fn when_serving<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if req.path().starts_with("/api/") {
        shared::<HttpState>(req.request())?.services()?;
    }
    next.call(req).await
}

/// Answers 403 under the staff's root unless the caller is in an allow-listed network: before credentials, bodies, and what
/// paths and methods there are. The operator, who calls directly on this machine with the token of the run, always passes.
pub(crate) async fn from_allowed_networks<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // The router reads the path with its escapes undone; both forms count.
    if is_staff(req.path()) || is_staff(req.match_info().as_str()) {
        let state = shared::<HttpState>(req.request())?;
        if state.operator().check(req.peer_addr(), req.headers()).is_err() {
            let address = caller_address(req.request())?;
            let allowed = match address.vouched() {
                Some(ip) => state.services()?.networks.allows(ip).await,
                None => false,
            };
            if !allowed {
                return Err(refusal(address).into());
            }
        }
    }
    next.call(req).await
}

fn is_staff(path: &str) -> bool {
    path.strip_prefix(STAFF).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn refusal(address: CallerAddress) -> Problem {
    let ip = address.ip();
    tracing::warn!(from = %ip, certain = address.vouched().is_some(), "caller outside the allow-list was turned away");
    let detail = match address.vouched() {
        Some(_) => format!("the address {ip} is not in the allow-list of the staff's networks"),
        None => format!(
            "the request came by a proxy at {ip} whose word about the caller's address is not trusted or not clear: see \
             http.trusted_proxies"
        ),
    };
    Problem::new(ProblemCode::Forbidden, detail)
}
