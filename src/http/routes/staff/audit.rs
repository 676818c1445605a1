//! The audit log: pages of it, and the whole of it as a file, read page by page while it is sent.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Json};
use chrono::{DateTime, Utc};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::http::api::{Access, Answer, Describer, Endpoint, get};
use crate::http::extract::{Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::routes::faults::page;
use crate::http::state::Serving;
use crate::services::audit::{ActorFilter, Audit, AuditEntry, AuditQuery, csv_head, csv_line, ndjson_line};
use crate::services::caller::Role;
use crate::services::moment;
use crate::services::page::{Listed, PAGE_MAX, Page};

/// Which entries are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// Only entries before this one: the `next_cursor` of the page before.
    cursor: Option<i64>,
    /// `operator`, or the id of an admin or a user.
    actor: Option<String>,
    /// Only of this operation.
    action: Option<String>,
    /// Only about this target.
    target: Option<String>,
    /// Not before this time.
    #[serde(default, deserialize_with = "moment::given")]
    from: Option<DateTime<Utc>>,
    /// Before this time.
    #[serde(default, deserialize_with = "moment::given")]
    to: Option<DateTime<Utc>>,
}

/// Which entries go into the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// `operator`, or the id of an admin or a user.
    actor: Option<String>,
    /// Only of this operation.
    action: Option<String>,
    /// Only about this target.
    target: Option<String>,
    /// Not before this time.
    #[serde(default, deserialize_with = "moment::given")]
    from: Option<DateTime<Utc>>,
    /// Before this time.
    #[serde(default, deserialize_with = "moment::given")]
    to: Option<DateTime<Utc>>,
}

/// The chain of hashes is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct AuditVerdict {
    /// How many entries were looked at: all of them.
    entries: i64,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    const OWNER: Access = Access::Staff(&[Role::Owner]);
    const TAG: &str = "staff";
    vec![
        get("/api/v1/admin/audit", OWNER)
            .id("list_audit")
            .tag(TAG)
            .summary("Entries of the audit log, newest first")
            .describe("Every change that staff or the operator ask for has two entries: `asked`, then `done` or `failed`.")
            .to(entries),
        get("/api/v1/admin/audit.csv", OWNER)
            .id("export_audit_csv")
            .tag(TAG)
            .summary("The audit log as CSV, newest first")
            .to(csv),
        get("/api/v1/admin/audit.ndjson", OWNER)
            .id("export_audit_ndjson")
            .tag(TAG)
            .summary("The audit log as one JSON object on each line, newest first")
            .to(ndjson),
        get("/api/v1/admin/audit/verdict", OWNER)
            .id("verify_audit")
            .tag(TAG)
            .summary("Follow the audit log's chain of hashes from its first entry to its last")
            .describe("409 names the first entry that is missing or was changed.")
            .problems(&[ProblemCode::Conflict])
            .to(verdict),
    ]
}

async fn entries(
    Serving(services): Serving,
    Query(query): Query<EntriesQuery>,
) -> Result<Json<Listed<AuditEntry, i64>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    let EntriesQuery { actor, action, target, from, to, .. } = query;
    let filter = filter(ExportQuery { actor, action, target, from, to })?;
    Ok(Json(services.audit.entries(&filter, page).await?))
}

async fn csv(Serving(services): Serving, Query(query): Query<ExportQuery>) -> Result<CsvFile, Problem> {
    Ok(CsvFile(Export { audit: services.audit, query: filter(query)? }))
}

async fn ndjson(Serving(services): Serving, Query(query): Query<ExportQuery>) -> Result<NdjsonFile, Problem> {
    Ok(NdjsonFile(Export { audit: services.audit, query: filter(query)? }))
}

async fn verdict(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<AuditVerdict>, Problem> {
    Ok(Json(AuditVerdict { entries: services.audit.verify().await? }))
}

fn filter(query: ExportQuery) -> Result<AuditQuery, Problem> {
    let actor = query.actor.as_deref().map(str::parse::<ActorFilter>).transpose().map_err(|detail| {
        Problem::new(ProblemCode::InvalidRequest, "the query is not valid").at_parameter("actor", detail)
    })?;
    Ok(AuditQuery { actor, action: query.action, target: query.target, from: query.from, to: query.to })
}

/// Entries that are read page by page while they are sent.
struct Export {
    audit: Arc<dyn Audit>,
    query: AuditQuery,
}

/// Where an export stands.
enum Place {
    Head,
    Before(Option<i64>),
    End,
}

impl Export {
    fn respond(self, media: &str, name: &str, head: String, line: fn(&AuditEntry) -> String) -> HttpResponse {
        let pages = stream::unfold((self, Place::Head), move |(export, place)| {
            let head = head.clone();
            async move {
                let cursor = match place {
                    Place::Head => return Some((Ok(Bytes::from(head)), (export, Place::Before(None)))),
                    Place::Before(cursor) => cursor,
                    Place::End => return None,
                };
                let page = Page { limit: PAGE_MAX, cursor };
                match export.audit.entries(&export.query, page).await {
                    Ok(found) => {
                        let text: String = found.items.iter().map(line).collect();
                        let next = found.next_cursor.map_or(Place::End, |cursor| Place::Before(Some(cursor)));
                        Some((Ok(Bytes::from(text)), (export, next)))
                    }
                    // A file that is cut off must look like one: the connection breaks before the end is told.
                    Err(fault) => {
                        Some((Err(actix_web::Error::from(Problem::from(fault))), (export, Place::End)))
                    }
                }
            }
        });
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, media))
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
            .streaming(pages)
    }
}

const CSV: &str = "text/csv; charset=utf-8; header=present";
const NDJSON: &str = "application/x-ndjson";

/// The log as CSV.
struct CsvFile(Export);

impl Answer for CsvFile {
    fn respond(self) -> HttpResponse {
        self.0.respond(CSV, "audit.csv", csv_head(), csv_line)
    }

    fn describe(to: &mut Describer) {
        to.answers_media(
            200,
            "A line of names, then one line for each entry (RFC 4180).",
            "text/csv",
            &text(),
        );
    }
}

/// The log as NDJSON.
struct NdjsonFile(Export);

impl Answer for NdjsonFile {
    fn respond(self) -> HttpResponse {
        self.0.respond(NDJSON, "audit.ndjson", String::new(), ndjson_line)
    }

    fn describe(to: &mut Describer) {
        to.answers_media(200, "One entry of the audit log on each line.", NDJSON, &text());
    }
}

fn text() -> serde_json::Value {
    json!({ "type": "string" })
}
