//! Announcements and promotions through the bot.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use switchyard_actors::model::AnnouncementId;

use super::faults::{Asking, page};
use crate::http::api::{Access, Endpoint, MadeOrShown, get, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::announcements::{Announced, Announcement, AnnouncementOrder};
use crate::services::caller::Role;
use crate::services::page::Listed;

/// Which announcements are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AnnouncementsQuery {
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// Only announcements older than this one: the `next_cursor` of the page before.
    cursor: Option<AnnouncementId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AnnouncementParam {
    id: AnnouncementId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    const CONTENT: Access = Access::Staff(&[Role::Owner, Role::Content]);
    const TAG: &str = "announcements";
    vec![
        get("/api/v1/admin/announcements", CONTENT)
            .id("list_announcements")
            .tag(TAG)
            .summary("List announcements, newest first, with their progress")
            .to(list),
        post("/api/v1/admin/announcements", CONTENT)
            .id("announce")
            .tag(TAG)
            .summary("Make an announcement, or preview it")
            .describe(
                "Plan, consent and opt-outs are looked at when it is sent, chat by chat. Each chat gets it at most once: \
                 after an outcome that is not known it is not repeated, and counted as `uncertain`. With `preview` \
                 nothing is kept or sent: the answer is 200, without `Location`.",
            )
            .problems(&[ProblemCode::Conflict])
            .to(announce),
        get("/api/v1/admin/announcements/{id}", CONTENT)
            .id("get_announcement")
            .tag(TAG)
            .summary("One announcement with its progress")
            .to(get_one),
        post("/api/v1/admin/announcements/{id}/cancel", CONTENT)
            .id("cancel_announcement")
            .tag(TAG)
            .summary("Stop an announcement")
            .problems(&[ProblemCode::Conflict])
            .to(cancel),
        post("/api/v1/admin/announcements/{id}/resume", CONTENT)
            .id("resume_announcement")
            .tag(TAG)
            .summary("Let a cancelled announcement go on with those who had no outcome")
            .problems(&[ProblemCode::Conflict])
            .to(resume),
    ]
}

async fn list(
    Serving(services): Serving,
    Query(query): Query<AnnouncementsQuery>,
) -> Result<Json<Listed<Announcement, AnnouncementId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.announcements.list(page).await?))
}

async fn announce(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<AnnouncementOrder>,
) -> Result<MadeOrShown<Announced>, Problem> {
    if order.preview {
        changes.about("preview");
    }
    let body = services.announcements.announce(caller, order).await?;
    let made = body.announcement.as_ref();
    let location = made.map(|made| format!("/api/v1/admin/announcements/{}", made.id));
    Ok(MadeOrShown { location, body })
}

async fn get_one(
    Serving(services): Serving,
    _: Query<Nothing>,
    Params(asked): Params<AnnouncementParam>,
) -> Result<Json<Announcement>, Problem> {
    Ok(Json(services.announcements.get(asked.id).await?))
}

async fn cancel(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(asked): Params<AnnouncementParam>,
) -> Result<Json<Announcement>, Problem> {
    changes.before_by(services.announcements.get(asked.id)).await;
    Ok(Json(services.announcements.cancel(asked.id).await?))
}

async fn resume(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(asked): Params<AnnouncementParam>,
) -> Result<Json<Announcement>, Problem> {
    changes.before_by(services.announcements.get(asked.id)).await;
    Ok(Json(services.announcements.resume(asked.id).await?))
}
