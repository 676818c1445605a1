//! `/healthz`: the process and its root supervisor work. `/readyz`: messages are taken and forwarded.

use actix_web::HttpRequest;
use actix_web::web::{self, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::supervision::Verdict;

use crate::http::api::{Access, Endpoint, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::HttpState;
use crate::services::admin::Health;

/// The answer of a daemon that is well.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthStatus {
    /// `live` or `ready`.
    pub status: String,
    /// Whether messages are taken and forwarded.
    pub ready: bool,
    /// How well the tree of actors is: red when a branch, or a direct child of the root, is out of service.
    pub verdict: Verdict,
    /// Why it is not ready or not green, a sentence each, the gravest first; each names the branch it is about. Told to the
    /// operator on the daemon's own machine only: it holds ids and texts of failures.
    pub reasons: Vec<String>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    const TAG: &str = "health";
    vec![
        get("/healthz", Access::Open)
            .id("healthz")
            .tag(TAG)
            .summary("Whether the process and its root supervisor work")
            .problems(&[ProblemCode::NotReady])
            .to(live),
        get("/readyz", Access::Open)
            .id("readyz")
            .tag(TAG)
            .summary("Whether messages are taken and forwarded")
            .problems(&[ProblemCode::NotReady])
            .to(ready),
    ]
}

async fn live(
    state: web::Data<HttpState>,
    request: HttpRequest,
    _: Query<Nothing>,
) -> Result<Json<HealthStatus>, Problem> {
    let health = told(&state, &request);
    answer(health.live, "live", health)
}

async fn ready(
    state: web::Data<HttpState>,
    request: HttpRequest,
    _: Query<Nothing>,
) -> Result<Json<HealthStatus>, Problem> {
    let health = told(&state, &request);
    answer(health.ready, "ready", health)
}

/// Health as this caller may know it.
fn told(state: &HttpState, request: &HttpRequest) -> Health {
    let mut health = state.health();
    if state.operator().check(request.peer_addr(), request.headers()).is_err() {
        health.reasons.clear();
    }
    health
}

fn answer(well: bool, status: &str, health: Health) -> Result<Json<HealthStatus>, Problem> {
    let Health { ready, verdict, reasons, .. } = health;
    if well {
        return Ok(Json(HealthStatus { status: status.to_owned(), ready, verdict, reasons }));
    }
    let detail = if reasons.is_empty() { format!("the daemon is not {status}") } else { reasons.join("; ") };
    Err(Problem::new(ProblemCode::NotReady, detail))
}
