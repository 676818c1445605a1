//! Who may pass: nobody while the daemon migrates or drains, and on the operator's routes the operator only.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use crate::http::state::{HttpState, shared};
use crate::services::caller::Caller;

/// Answers 503 unless the daemon serves.
pub(crate) async fn when_serving<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    shared::<HttpState>(req.request())?.services()?;
    next.call(req).await
}

/// Answers 401 or 403 unless the operator asks.
pub(crate) async fn operator_only<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    shared::<HttpState>(req.request())?.operator().check(req.peer_addr(), req.headers())?;
    next.call(req).await
}

/// As [`operator_only`] as long as nobody else has an account here: whom a handler acts for is in the request.
pub(crate) async fn known_caller<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    shared::<HttpState>(req.request())?.operator().check(req.peer_addr(), req.headers())?;
    req.extensions_mut().insert(Caller::Operator);
    next.call(req).await
}
