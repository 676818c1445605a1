//! `/metrics`, on a socket of its own that is on this machine only: what Prometheus reads. Nobody signs in there.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::HttpState;
use crate::services::metrics::OPEN_METRICS;

pub(super) fn configure(config: &mut web::ServiceConfig) {
    let resource = web::resource("/metrics").route(web::get().to(metrics)).route(web::head().to(metrics));
    config.service(resource);
}

async fn metrics(state: web::Data<HttpState>, _: Query<Nothing>) -> Result<HttpResponse, Problem> {
    let metrics =
        state.metrics().ok_or_else(|| Problem::new(ProblemCode::NotReady, "the store is being migrated"))?;
    let metrics = metrics.clone();
    // It looks at every actor: not on a worker's thread, which others wait for.
    let text = web::block(move || metrics.text()).await;
    let text = text.map_err(|error| internal(&error))?.map_err(|error| internal(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, OPEN_METRICS))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

fn internal(error: &impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "metrics could not be written");
    Problem::plain(ProblemCode::InternalError)
}
