//! The staff themselves: list, add, change.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AdminId;

use crate::http::api::{Access, Created, Endpoint, get, patch, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::Role;
use crate::services::staff::{AdminChangeOrder, AdminOrder, AdminView};

/// Everybody of the staff.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdminList {
    /// Admins, oldest first.
    pub items: Vec<AdminView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AdminParam {
    id: AdminId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, TooManyRequests};
    const OWNER: Access = Access::Staff(&[Role::Owner]);
    const TAG: &str = "staff";
    vec![
        get("/api/v1/admin/admins", OWNER)
            .id("list_admins")
            .tag(TAG)
            .summary("Everybody of the staff")
            .to(list),
        post("/api/v1/admin/admins", OWNER)
            .id("add_admin")
            .tag(TAG)
            .summary("Make an admin")
            .problems(&[Conflict, TooManyRequests])
            .to(add),
        get("/api/v1/admin/admins/{id}", OWNER).id("get_admin").tag(TAG).summary("One of the staff").to(show),
        patch("/api/v1/admin/admins/{id}", OWNER)
            .id("change_admin")
            .tag(TAG)
            .summary("Change an admin's role, state, password or authenticator")
            .describe("The last active owner can be neither disabled nor given another role (409).")
            .problems(&[Conflict, TooManyRequests])
            .to(change),
    ]
}

async fn list(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<AdminList>, Problem> {
    Ok(Json(AdminList { items: services.staff.list().await? }))
}

async fn show(
    Serving(services): Serving,
    _: Query<Nothing>,
    Params(admin): Params<AdminParam>,
) -> Result<Json<AdminView>, Problem> {
    Ok(Json(services.staff.get(admin.id).await?))
}

async fn add(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<AdminOrder>,
) -> Result<Created<AdminView>, Problem> {
    let admin = services.staff.add(order).await?;
    changes.about(admin.id);
    changes.after(&admin);
    Ok(Created { location: format!("/api/v1/admin/admins/{}", admin.id), body: admin })
}

async fn change(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(admin): Params<AdminParam>,
    Body(order): Body<AdminChangeOrder>,
) -> Result<Json<AdminView>, Problem> {
    changes.before(&services.staff.get(admin.id).await?);
    let asked = order.clone();
    let admin = services.staff.change(admin.id, order).await?;
    changes.after(&Changed { admin: &admin, asked: &asked });
    Ok(Json(admin))
}

/// How an admin is from then on, and what was asked for: a new password shows in the audit log as its hash.
#[derive(Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    admin: &'a AdminView,
    asked: &'a AdminChangeOrder,
}
