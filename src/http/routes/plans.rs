//! What users may have and use.

use actix_web::web::Json;

use super::who::Me;
use crate::http::api::{Access, Endpoint, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::{Caller, Scope};
use crate::services::membership::{MembershipView, PlanList};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/api/v1/plans", Access::Open)
            .id("list_plans")
            .tag("plans")
            .summary("List the plans that are offered")
            .describe("A limit that is left out does not exist.")
            .to(list),
        get("/api/v1/me/plan", Access::User(Scope::ProfileRead))
            .id("get_my_plan")
            .tag("plans")
            .summary("Your plan, and what of it is used")
            .problems(&[ProblemCode::NotFound])
            .to(own),
    ]
}

async fn own(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
) -> Result<Json<MembershipView>, Problem> {
    Ok(Json(services.membership.membership(Caller::User(user), user).await?))
}

async fn list(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<PlanList>, Problem> {
    Ok(Json(services.membership.plans()))
}
