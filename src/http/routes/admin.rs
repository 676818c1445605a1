//! The operator's routes: the tree, restart of an actor, reconnect of a session.

use std::time::Duration;

use actix_web::web::{self, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AccountId;
use switchyard_actors::supervision::{ChildPath, NodeView};

use super::faults::Asking;
use crate::http::api::{self, Access, Endpoint, get, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{HttpState, Serving};
use crate::services::admin::AdminError;
use crate::services::caller::Role;
use crate::services::fault::Fault;

const PAGE_MAX: usize = 200;

/// What part of the tree is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SupervisionQuery {
    /// Only actors at or below this path.
    prefix: Option<ChildPath>,
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Only actors after this one: the `next_cursor` of the page before.
    cursor: Option<ChildPath>,
}

/// One page of the tree.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SupervisionPage {
    /// Actors, the root first, then in order of paths.
    pub items: Vec<NodeView>,
    /// Where the next page begins; none after the last.
    pub next_cursor: Option<ChildPath>,
}

/// Which actor is to be restarted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "pairs" }))]
pub struct RestartOrder {
    /// Its path, such as `pairs/0190…`.
    pub path: ChildPath,
}

/// An order that was given and is being carried out.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The actor it is about.
    pub path: ChildPath,
}

/// The path's account.
#[derive(Debug, Deserialize, JsonSchema)]
struct AccountParam {
    id: AccountId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, NeedsLogin, PlatformWait};
    const SUPPORT: Access = Access::Staff(&[Role::Owner, Role::Support]);
    const TAG: &str = "operations";
    vec![
        get("/api/v1/admin/supervision", SUPPORT)
            .id("get_supervision")
            .tag(TAG)
            .summary("The tree of actors with the state of each")
            .problems(&[ProblemCode::NotFound])
            .to(supervision),
        post("/api/v1/admin/actors/restart", SUPPORT)
            .id("restart_actor")
            .tag(TAG)
            .summary("Restart an actor; its queue is kept")
            .problems(&[ProblemCode::NotFound, Conflict])
            .to(restart),
        post("/api/v1/admin/sessions/{id}/reconnect", SUPPORT)
            .id("reconnect_session")
            .tag(TAG)
            .summary("Close a session's connection and make a new one")
            .describe("Never shortens a platform's wait, and cannot lift a revoked session: `needs_login`.")
            .problems(&[Conflict, NeedsLogin, PlatformWait])
            .to(reconnect),
    ]
}

async fn supervision(
    Serving(services): Serving,
    Query(query): Query<SupervisionQuery>,
    state: web::Data<HttpState>,
) -> Result<Json<SupervisionPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        let detail = format!("it must be 1 to {PAGE_MAX}");
        return Err(
            Problem::new(ProblemCode::InvalidRequest, "the query is not valid").at_parameter("limit", detail)
        );
    }
    let prefix = query.prefix.unwrap_or_else(ChildPath::root);
    let nodes = services.admin.supervision(&prefix).await.map_err(|error| refused(error, &state))?;
    Ok(Json(page(nodes, query.cursor.as_ref(), limit)))
}

async fn restart(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    state: web::Data<HttpState>,
    Body(order): Body<RestartOrder>,
) -> Result<api::Accepted<Accepted>, Problem> {
    changes.about(&order.path);
    let node = async {
        let nodes = services.admin.supervision(&order.path).await;
        let nodes = nodes.map_err(|error| Fault::Unavailable(error.to_string()))?;
        Ok(nodes.into_iter().find(|node| node.path == order.path))
    };
    changes.before_by(node).await;
    services.admin.restart(&order.path).await.map_err(|error| refused(error, &state))?;
    tracing::info!(path = %order.path, "operator restarted an actor");
    Ok(api::Accepted(Accepted { path: order.path }))
}

async fn reconnect(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    state: web::Data<HttpState>,
    Params(account): Params<AccountParam>,
) -> Result<api::Accepted<Accepted>, Problem> {
    let path = ChildPath::parse(&format!("sessions/{}", account.id))
        .map_err(|_| Problem::plain(ProblemCode::InternalError))?;
    changes.before_by(services.accounts.get(caller, account.id)).await;
    services.admin.reconnect(account.id).await.map_err(|error| refused(error, &state))?;
    tracing::info!(account = %account.id, "operator reconnected a session");
    Ok(api::Accepted(Accepted { path }))
}

fn refused(error: AdminError, state: &HttpState) -> Problem {
    let detail = error.to_string();
    match error {
        AdminError::NotFound(_) => Problem::new(ProblemCode::NotFound, detail),
        AdminError::Conflict(_) => Problem::new(ProblemCode::Conflict, detail),
        AdminError::NeedsLogin(_) => Problem::new(ProblemCode::NeedsLogin, detail),
        AdminError::PlatformWait(until) => {
            let left = (until - state.clock().now()).to_std().unwrap_or(Duration::ZERO);
            Problem::new(ProblemCode::PlatformWait, detail).retry_after(left)
        }
        AdminError::Unavailable(_) => Problem::new(ProblemCode::Unavailable, detail),
    }
}

/// The root stands before everything else.
fn order(path: &ChildPath) -> (bool, &ChildPath) {
    (!path.is_root(), path)
}

fn page(mut nodes: Vec<NodeView>, cursor: Option<&ChildPath>, limit: usize) -> SupervisionPage {
    nodes.retain(|node| cursor.is_none_or(|cursor| order(&node.path) > order(cursor)));
    nodes.sort_by(|a, b| order(&a.path).cmp(&order(&b.path)));
    let more = nodes.len() > limit;
    nodes.truncate(limit);
    let next_cursor = nodes.last().filter(|_| more).map(|node| node.path.clone());
    SupervisionPage { items: nodes, next_cursor }
}
