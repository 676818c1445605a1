//! Pairs: list, add, pause, resume, remove.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AccountId, PairId, UserId};

use super::faults::{Asking, page};
use crate::http::api::{Access, Created, Endpoint, IfMatch, Tagged, delete, get, patch, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::Scope;
use crate::services::page::Listed;
use crate::services::pairs::{PairFilter, PairOrder, PairPatch, PairSort, PairState, PairView};

/// Which pairs are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PairsQuery {
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Only pairs after this one: the `next_cursor` of the page before.
    cursor: Option<PairId>,
    /// Only pairs of this user; for staff.
    user: Option<UserId>,
    /// Only pairs that read or write through this account.
    account: Option<AccountId>,
    /// Only pairs that are so.
    state: Option<PairState>,
    /// Only pairs whose name, id or chats contain this text, in either case.
    query: Option<String>,
    /// `created`: oldest first (the default); `-created`: newest first.
    sort: Option<PairSort>,
}

/// A pair that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedPair {
    /// The pair that was.
    pub id: PairId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct PairParam {
    id: PairId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, NeedsLogin, PairCycle, PlanLimit, PlatformUnreachable};
    const READ: Access = Access::User(Scope::PairsRead);
    const WRITE: Access = Access::User(Scope::PairsWrite);
    const TAG: &str = "pairs";
    vec![
        get("/api/v1/pairs", READ).id("list_pairs").tag(TAG).summary("List pairs, oldest first").to(list),
        post("/api/v1/pairs", WRITE)
            .id("add_pair")
            .tag(TAG)
            .summary("Add a pair and begin to forward")
            .describe(
                "Both chats are looked at through the connected accounts: the pair is refused where a platform says that \
                 it cannot be read or written, and taken where it does not answer in time.",
            )
            .problems(&[Conflict, NeedsLogin, PlatformUnreachable, PlanLimit, PairCycle])
            .to(add),
        get("/api/v1/pairs/{id}", READ).id("get_pair").tag(TAG).summary("One pair").to(get_one),
        patch("/api/v1/pairs/{id}", WRITE)
            .id("change_pair")
            .tag(TAG)
            .summary("Change a pair's name, or pause and resume it")
            .describe(
                "A change takes effect at once and loses no message. With `If-Match` it is made only if the pair is still \
                 of the version that the caller saw.",
            )
            .to(change),
        delete("/api/v1/pairs/{id}", WRITE)
            .id("remove_pair")
            .tag(TAG)
            .summary("Remove a pair")
            .problems(&[Conflict])
            .to(remove),
        post("/api/v1/pairs/{id}/pause", WRITE)
            .id("pause_pair")
            .tag(TAG)
            .summary("Pause a pair for the caller's own reason")
            .to(pause),
        post("/api/v1/pairs/{id}/resume", WRITE)
            .id("resume_pair")
            .tag(TAG)
            .summary("Lift the caller's own pause")
            .to(resume),
    ]
}

async fn list(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<PairsQuery>,
) -> Result<Json<Listed<PairView, PairId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    let PairsQuery { user, account, state, query, sort, .. } = query;
    let filter = PairFilter { user, account, state, query, sort: sort.unwrap_or_default() };
    Ok(Json(services.pairs.list(caller, filter, page).await?))
}

async fn get_one(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Tagged<PairView>, Problem> {
    Ok(tagged(services.pairs.get(caller, pair.id).await?))
}

const fn tagged(pair: PairView) -> Tagged<PairView> {
    Tagged { version: pair.version, body: pair }
}

async fn change(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
    seen: IfMatch,
    Body(patch): Body<PairPatch>,
) -> Result<Tagged<PairView>, Problem> {
    changes.before_by(services.pairs.get(caller, pair.id)).await;
    Ok(tagged(services.pairs.change(caller, pair.id, seen.version(), patch).await?))
}

async fn add(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<PairOrder>,
) -> Result<Created<PairView>, Problem> {
    let pair = services.pairs.add(caller, order).await?;
    let location = format!("/api/v1/pairs/{}", pair.id);
    Ok(Created { location, body: pair })
}

async fn remove(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<RemovedPair>, Problem> {
    changes.before_by(services.pairs.get(caller, pair.id)).await;
    services.pairs.remove(caller, pair.id).await?;
    Ok(Json(RemovedPair { id: pair.id }))
}

async fn pause(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<PairView>, Problem> {
    changes.before_by(services.pairs.get(caller, pair.id)).await;
    Ok(Json(services.pairs.pause(caller, pair.id).await?))
}

async fn resume(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<PairView>, Problem> {
    changes.before_by(services.pairs.get(caller, pair.id)).await;
    Ok(Json(services.pairs.resume(caller, pair.id).await?))
}
