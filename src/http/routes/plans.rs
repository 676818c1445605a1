//! What users may have and use.

use actix_web::web::Json;

use crate::http::api::{Access, Endpoint, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::Problem;
use crate::http::state::Serving;
use crate::services::membership::PlanList;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/api/v1/plans", Access::Open)
            .id("list_plans")
            .tag("plans")
            .summary("List the plans that are offered")
            .describe("A limit that is left out does not exist.")
            .to(list),
    ]
}

async fn list(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<PlanList>, Problem> {
    Ok(Json(services.membership.plans()))
}
