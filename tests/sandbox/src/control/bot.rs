//! What only the Bot API has: the bot's own messages, its chats, and what it is in them.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{ControlState, body};
use crate::bot::{BotChatView, BotMessageView, BotRole, NewBotChat};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentQuery {
    #[serde(default)]
    count: bool,
}

#[derive(Serialize)]
struct Sent {
    items: Vec<BotMessageView>,
}

#[derive(Serialize)]
struct Chats {
    items: Vec<BotChatView>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ChatsBody {
    People(PeopleBody),
    Chat(NewBotChat),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleBody {
    first: i64,
    count: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleBody {
    role: BotRole,
    by: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MigrateBody {
    to: i64,
}

pub(super) fn sent(state: &ControlState, query: &str) -> Result<HttpResponse, Problem> {
    let SentQuery { count } = body::query(query)?;
    Ok(if count {
        HttpResponse::Ok().json(state.bot.sent_counts())
    } else {
        HttpResponse::Ok().json(Sent { items: state.bot.sent() })
    })
}

pub(super) fn chats(state: &ControlState) -> HttpResponse {
    HttpResponse::Ok().json(Chats { items: state.bot.chats() })
}

pub(super) fn set_chats(state: &ControlState, body: &[u8]) -> Result<HttpResponse, Problem> {
    match body::json(body)? {
        ChatsBody::People(PeopleBody { first, count }) => state.bot.start_people(first, count)?,
        ChatsBody::Chat(chat) => state.bot.set_chat(chat)?,
    }
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn set_role(state: &ControlState, chat: &str, body: &[u8]) -> Result<HttpResponse, Problem> {
    let RoleBody { role, by } = body::json(body)?;
    state.bot.set_role(chat, by, role)?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn migrate(state: &ControlState, chat: &str, body: &[u8]) -> Result<HttpResponse, Problem> {
    let MigrateBody { to } = body::json(body)?;
    state.bot.migrate(chat, to)?;
    Ok(HttpResponse::NoContent().finish())
}
