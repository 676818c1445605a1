//! Pairs: list, add, pause, resume, remove.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Json};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::PairId;

use super::faults::{Asking, page};
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::Problem;
use crate::http::state::Serving;
use crate::services::page::Listed;
use crate::services::pairs::{EndOrder, PairView};

/// Which pairs are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairsQuery {
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// Only pairs after this one: the `next_cursor` of the page before.
    cursor: Option<PairId>,
}

/// A pair to be added.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairOrder {
    /// Where it reads.
    pub source: EndOrder,
    /// Where it writes.
    pub target: EndOrder,
}

/// A pair that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPair {
    /// The pair that was.
    pub id: PairId,
}

#[derive(Debug, Deserialize)]
struct PairParam {
    id: PairId,
}

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(add)),
        )
        .service(
            web::resource("/{id}")
                .route(web::get().to(get))
                .route(web::head().to(get))
                .route(web::delete().to(remove)),
        )
        .service(web::resource("/{id}/pause").route(web::post().to(pause)))
        .service(web::resource("/{id}/resume").route(web::post().to(resume)));
}

async fn list(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<PairsQuery>,
) -> Result<Json<Listed<PairView, PairId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.pairs.list(caller, page).await?))
}

async fn get(
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
) -> Result<HttpResponse, Problem> {
    let pair = services.pairs.add(caller, order.source, order.target).await?;
    let place = format!("/api/v1/pairs/{}", pair.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, place)).json(pair))
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
