//! The operator's routes: the tree, restart of an actor, reconnect of a session.

use std::num::NonZeroUsize;
use std::time::Duration;

use actix_web::web::{self, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::AccountId;
use switchyard_actors::supervision::{ChildPath, NodeState, NodeView, PageQuery};

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
    /// Only actors in this state.
    state: Option<NodeState>,
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Only actors after this path: the `next_cursor` of the page before. Nothing needs to stand there any more.
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
            .describe(
                "In order of paths, the root first. A page costs what is on it, however large the tree is, and stops no \
                 message. Actors that come, go or change their state between two pages may be on neither or on the wrong \
                 side of the cursor; all others are on exactly one.",
            )
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
    let page = services.admin.supervision(&query.page()?).await.map_err(|error| refused(error, &state))?;
    Ok(Json(SupervisionPage { items: page.items, next_cursor: page.next }))
}

impl SupervisionQuery {
    fn page(self) -> Result<PageQuery, Problem> {
        let wrong = |name, detail| {
            Problem::new(ProblemCode::InvalidRequest, "the query is not valid").at_parameter(name, detail)
        };
        let limit = self.limit.unwrap_or(PAGE_MAX);
        let limit = NonZeroUsize::new(limit).filter(|limit| limit.get() <= PAGE_MAX);
        let limit = limit.ok_or_else(|| wrong("limit", format!("it must be 1 to {PAGE_MAX}")))?;
        let prefix = self.prefix.unwrap_or_else(ChildPath::root);
        if self.cursor.as_ref().is_some_and(|cursor| !cursor.is_within(&prefix)) {
            return Err(wrong("cursor", format!("it must be a path at or below {prefix}")));
        }
        Ok(PageQuery { prefix, state: self.state, limit, after: self.cursor })
    }
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
        match services.admin.actor(&order.path).await {
            Ok(node) => Ok(Some(node)),
            Err(AdminError::NotFound(_)) => Ok(None),
            Err(error) => Err(Fault::Unavailable(error.to_string())),
        }
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
