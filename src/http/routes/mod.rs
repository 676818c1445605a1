//! The routes, and the table of them with the access class of each.

mod admin;
mod health;

use actix_web::middleware::from_fn;
use actix_web::web;

use super::middleware::{operator_only, when_serving};

pub use admin::{Accepted, RestartOrder, SupervisionPage};
pub use health::HealthStatus;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody who reaches the port.
    Open,
    /// The operator, from this machine.
    Operator,
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
pub const ROUTES: [RouteSpec; 5] = [
    route("GET", "/healthz", Access::Open),
    route("GET", "/readyz", Access::Open),
    route("GET", "/api/v1/admin/supervision", Access::Operator),
    route("POST", "/api/v1/admin/actors/restart", Access::Operator),
    route("POST", "/api/v1/admin/sessions/{id}/reconnect", Access::Operator),
];

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.configure(health::configure).service(
        web::scope("/api/v1")
            .wrap(from_fn(when_serving))
            .service(web::scope("/admin").wrap(from_fn(operator_only)).configure(admin::configure)),
    );
}
