//! Who may pass before the router: nobody reaches the API while the daemon migrates or drains, whatever path is asked for.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use crate::http::state::{HttpState, shared};

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
