//! What users hear, and where: linking of a Telegram chat, consent, opt-outs.

use actix_web::web::Json;
use switchyard_actors::model::UserId;

use super::faults::Asking;
use crate::http::api::{Access, Created, Endpoint, get, post, put};
use crate::http::extract::{Body, Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::Caller;
use crate::services::linking::{Notifications, NotificationsOrder, TelegramLink};

pub(super) fn endpoints() -> Vec<Endpoint> {
    const TAG: &str = "notifications";
    vec![
        post("/api/v1/me/telegram-link", Access::Person)
            .id("link_telegram")
            .tag(TAG)
            .summary("Make a code that links a Telegram chat, once")
            .describe(
                "Open `url`, or send `/start CODE` to the bot, from the chat that is to be linked: one private chat per \
                 user, the last one counts. A channel is registered by making the bot its admin, by hand of the person \
                 whose private chat is linked.",
            )
            .problems(&[ProblemCode::Conflict, ProblemCode::PlatformWait, ProblemCode::PlatformUnreachable])
            .to(link),
        get("/api/v1/me/notifications", Access::Person)
            .id("get_notifications")
            .tag(TAG)
            .summary("What the caller hears, and where")
            .to(show),
        put("/api/v1/me/notifications", Access::Person)
            .id("set_notifications")
            .tag(TAG)
            .summary("Agree to promotions or not, and opt out of kinds of notices")
            .to(set),
    ]
}

/// These are a person's own affairs: who acts for others has none.
fn person(caller: Caller) -> Result<UserId, Problem> {
    match caller {
        Caller::User(user) => Ok(user),
        Caller::Operator | Caller::Admin(..) => Err(Problem::plain(ProblemCode::Forbidden)),
    }
}

async fn link(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
) -> Result<Created<TelegramLink>, Problem> {
    let body = services.linking.link(person(caller)?).await?;
    Ok(Created { location: "/api/v1/me/notifications".to_owned(), body })
}

async fn show(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
) -> Result<Json<Notifications>, Problem> {
    Ok(Json(services.linking.notifications(person(caller)?).await?))
}

async fn set(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<NotificationsOrder>,
) -> Result<Json<Notifications>, Problem> {
    Ok(Json(services.linking.want(person(caller)?, order).await?))
}
