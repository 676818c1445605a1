//! `/healthz`: the process and its root supervisor work. `/readyz`: messages are taken and forwarded.

use actix_web::web::{self, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::api::{Access, Endpoint, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::HttpState;

/// The answer of a daemon that is well.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthStatus {
    /// `live` or `ready`.
    pub status: String,
    /// What is parked or waits although the daemon is well.
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

async fn live(state: web::Data<HttpState>, _: Query<Nothing>) -> Result<Json<HealthStatus>, Problem> {
    let health = state.health();
    answer(health.live, "live", health.reasons)
}

async fn ready(state: web::Data<HttpState>, _: Query<Nothing>) -> Result<Json<HealthStatus>, Problem> {
    let health = state.health();
    answer(health.ready, "ready", health.reasons)
}

fn answer(well: bool, status: &str, reasons: Vec<String>) -> Result<Json<HealthStatus>, Problem> {
    if well {
        return Ok(Json(HealthStatus { status: status.to_owned(), reasons }));
    }
    let detail = if reasons.is_empty() { format!("the daemon is not {status}") } else { reasons.join("; ") };
    Err(Problem::new(ProblemCode::NotReady, detail))
}
