//! What only Discord has: deleting many messages at a time, and what bots and channels allow.

use actix_web::HttpResponse;
use serde::Deserialize;
use uuid::Uuid;

use super::problem::Problem;
use super::{ControlState, body};
use crate::discord::RightsChange;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkDeleteBody {
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatPermissionsBody {
    send_messages: bool,
}

pub(super) fn bulk_delete(state: &ControlState, chat: &str, body: &[u8]) -> Result<HttpResponse, Problem> {
    let BulkDeleteBody { ids } = body::json(body)?;
    state.discord.bulk_delete_messages(chat, &ids)?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn set_chat_permissions(
    state: &ControlState,
    chat: &str,
    body: &[u8],
) -> Result<HttpResponse, Problem> {
    let ChatPermissionsBody { send_messages } = body::json(body)?;
    state.discord.set_writable(chat, send_messages)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Intents and permissions are kept together, and answered together.
pub(super) fn set_rights(state: &ControlState, account: &str, body: &[u8]) -> Result<HttpResponse, Problem> {
    let change: RightsChange = body::json(body)?;
    let account = Uuid::parse_str(account)
        .map_err(|_| Problem::invalid(format!("account: {account} is no account")))?;
    Ok(HttpResponse::Ok().json(state.discord.set_rights(account, change)?))
}
