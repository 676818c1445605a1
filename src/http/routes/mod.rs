//! The routes, and the table of them with the access class of each.

mod accounts;
mod admin;
mod faults;
mod health;
mod pairs;

use actix_web::middleware::from_fn;
use actix_web::web;

use super::middleware::{known_caller, operator_only, when_serving};

pub use accounts::{AccountOrder, LoginAnswerOrder, LoginMethod, LoginOrder, RemoveQuery};
pub use admin::{Accepted, RestartOrder, SupervisionPage};
pub use health::HealthStatus;
pub use pairs::{PairOrder, RemovedPair};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port.
    Open,
    /// The operator, from this machine.
    Operator,
    /// Whoever owns what it is about; the operator for everybody.
    Owner,
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct RouteSpec {
    /// Method.
    pub method: &'static str,
    /// Path, with parameters in braces.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

const fn route(method: &'static str, path: &'static str, access: Access) -> RouteSpec {
    RouteSpec { method, path, access }
}

/// Every route. GET routes answer HEAD too.
pub const ROUTES: [RouteSpec; 18] = [
    route("GET", "/healthz", Access::Open),
    route("GET", "/readyz", Access::Open),
    route("GET", "/api/v1/admin/supervision", Access::Operator),
    route("POST", "/api/v1/admin/actors/restart", Access::Operator),
    route("POST", "/api/v1/admin/sessions/{id}/reconnect", Access::Operator),
    route("GET", "/api/v1/accounts", Access::Owner),
    route("POST", "/api/v1/accounts", Access::Owner),
    route("POST", "/api/v1/accounts/telegram/logins", Access::Owner),
    route("GET", "/api/v1/accounts/telegram/logins/{id}", Access::Owner),
    route("POST", "/api/v1/accounts/telegram/logins/{id}", Access::Owner),
    route("GET", "/api/v1/accounts/{id}", Access::Owner),
    route("DELETE", "/api/v1/accounts/{id}", Access::Owner),
    route("GET", "/api/v1/pairs", Access::Owner),
    route("POST", "/api/v1/pairs", Access::Owner),
    route("GET", "/api/v1/pairs/{id}", Access::Owner),
    route("DELETE", "/api/v1/pairs/{id}", Access::Owner),
    route("POST", "/api/v1/pairs/{id}/pause", Access::Owner),
    route("POST", "/api/v1/pairs/{id}/resume", Access::Owner),
];

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.configure(health::configure).service(
        web::scope("/api/v1")
            .wrap(from_fn(when_serving))
            .service(web::scope("/accounts").wrap(from_fn(known_caller)).configure(accounts::configure))
            .service(web::scope("/pairs").wrap(from_fn(known_caller)).configure(pairs::configure))
            .service(web::scope("/admin").wrap(from_fn(operator_only)).configure(admin::configure)),
    );
}
