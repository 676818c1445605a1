//! What the API says of itself: the OpenAPI document, and a page for people that needs nothing from elsewhere and no script.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web;
use serde_json::json;

use crate::http::api::{Access, Answer, Describer, Endpoint, Published, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// How long a reader may keep what only a new version changes.
const KEEP: &str = "public, max-age=300";

pub(super) fn endpoints() -> Vec<Endpoint> {
    const TAG: &str = "documents";
    vec![
        get("/openapi.json", Access::Open)
            .id("get_openapi")
            .tag(TAG)
            .summary("This document: OpenAPI 3.1, generated from the code")
            .to(openapi),
        get("/docs", Access::Open)
            .id("get_docs")
            .tag(TAG)
            .summary("The reference for people")
            .describe(
                "A page made from the OpenAPI document. It loads nothing from elsewhere and runs no script.",
            )
            .to(docs),
    ]
}

/// The OpenAPI document.
struct OpenApi(web::Data<HttpState>);

impl Answer for OpenApi {
    fn respond(self) -> HttpResponse {
        let Published { json, .. } = self.0.published();
        HttpResponse::Ok()
            .content_type("application/json")
            .insert_header((CACHE_CONTROL, KEEP))
            .body(json.clone())
    }

    fn describe(to: &mut Describer) {
        to.answers_media(200, "The document.", "application/json", &json!({ "type": "object" }));
    }
}

/// The page.
struct Docs(web::Data<HttpState>);

impl Answer for Docs {
    fn respond(self) -> HttpResponse {
        let Published { page, policy, .. } = self.0.published();
        HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((CACHE_CONTROL, KEEP))
            .insert_header((CONTENT_SECURITY_POLICY, policy.as_str()))
            .body(page.clone())
    }

    fn describe(to: &mut Describer) {
        to.answers_media(200, "The page.", "text/html", &json!({ "type": "string" }));
    }
}

async fn openapi(state: web::Data<HttpState>, _: Query<Nothing>) -> Result<OpenApi, Problem> {
    std::future::ready(Ok(OpenApi(state))).await
}

async fn docs(state: web::Data<HttpState>, _: Query<Nothing>) -> Result<Docs, Problem> {
    std::future::ready(Ok(Docs(state))).await
}
