//! The routes: a file per group, each a list of endpoints.

mod accounts;
mod admin;
mod announcements;
mod auth;
mod documents;
mod event_topics;
mod events;
mod faults;
mod health;
mod keys;
mod me;
mod metrics;
mod notifications;
mod operations;
mod pairs;
mod plans;
mod staff;
mod who;

use actix_web::{HttpRequest, HttpResponse, web};

use super::api::{Access, Endpoint, EndpointSpec, let_in, mount, specs};
use super::problem::{Problem, ProblemCode};
use crate::services::caller::Role;

pub use accounts::{AccountOrder, LoginAnswerOrder, LoginMethod, LoginOrder, RemoveQuery};
pub use admin::{Accepted, RestartOrder, SupervisionPage};
pub use auth::Taken;
pub use health::HealthStatus;
pub use operations::{QueuesOrder, SessionsOrder};
pub use pairs::RemovedPair;
pub use staff::{AdminList, PlanOrder, SuspendOrder};

/// Every endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    [
        health::endpoints(),
        documents::endpoints(),
        auth::endpoints(),
        me::endpoints(),
        accounts::endpoints(),
        pairs::endpoints(),
        plans::endpoints(),
        notifications::endpoints(),
        announcements::endpoints(),
        admin::endpoints(),
        staff::endpoints(),
        events::endpoints(),
        operations::endpoints(),
        keys::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is known of every endpoint, in order of paths.
#[must_use]
pub fn table() -> Vec<EndpointSpec> {
    specs(&endpoints())
}

/// What is served on the socket of the metrics.
pub(super) fn configure_metrics(config: &mut web::ServiceConfig) {
    metrics::configure(config);
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    mount(config, &endpoints());
    config.default_service(web::to(nowhere));
}

/// What is asked for where nothing is. Which paths the staff has is nobody else's affair.
async fn nowhere(req: HttpRequest) -> Result<HttpResponse, Problem> {
    if req.path().starts_with("/api/v1/admin/") {
        let_in(Access::Staff(&Role::ALL), &req).await?;
    }
    Err(Problem::plain(ProblemCode::NotFound))
}
