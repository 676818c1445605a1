//! Pairs: list, add, pause, resume, remove.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::PairId;

use super::faults::{Asking, page};
use crate::http::api::{Access, Created, Endpoint, delete, get, post};
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::Scope;
use crate::services::page::Listed;
use crate::services::pairs::{EndOrder, PairView};

/// Which pairs are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PairsQuery {
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Only pairs after this one: the `next_cursor` of the page before.
    cursor: Option<PairId>,
}

/// A pair to be added.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairOrder {
    /// Where it reads.
    pub source: EndOrder,
    /// Where it writes.
    pub target: EndOrder,
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
    use ProblemCode::{Conflict, NeedsLogin, PlatformUnreachable};
    const READ: Access = Access::User(Scope::PairsRead);
    const WRITE: Access = Access::User(Scope::PairsWrite);
    const TAG: &str = "pairs";
    vec![
        get("/api/v1/pairs", READ).id("list_pairs").tag(TAG).summary("List pairs, oldest first").to(list),
        post("/api/v1/pairs", WRITE)
            .id("add_pair")
            .tag(TAG)
            .summary("Add a pair and begin to forward")
            .problems(&[Conflict, NeedsLogin, PlatformUnreachable])
            .to(add),
        get("/api/v1/pairs/{id}", READ).id("get_pair").tag(TAG).summary("One pair").to(get_one),
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
    Ok(Json(services.pairs.list(caller, page).await?))
}

async fn get_one(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<PairView>, Problem> {
    Ok(Json(services.pairs.get(caller, pair.id).await?))
}

async fn add(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<PairOrder>,
) -> Result<Created<PairView>, Problem> {
    let pair = services.pairs.add(caller, order.source, order.target).await?;
    let location = format!("/api/v1/pairs/{}", pair.id);
    Ok(Created { location, body: pair })
}

async fn remove(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<RemovedPair>, Problem> {
    services.pairs.remove(caller, pair.id).await?;
    Ok(Json(RemovedPair { id: pair.id }))
}

async fn pause(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<PairView>, Problem> {
    Ok(Json(services.pairs.pause(caller, pair.id).await?))
}

async fn resume(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(pair): Params<PairParam>,
) -> Result<Json<PairView>, Problem> {
    Ok(Json(services.pairs.resume(caller, pair.id).await?))
}
