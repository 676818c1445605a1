//! The methods but `getUpdates` (core.telegram.org/bots/api#available-methods), with the refusals that Telegram has for them.

use serde_json::{Value, json};

use super::core::{Core, State};
use super::error::ApiError;
use super::markup::{CAPTION_MAX, Marked, TEXT_MAX};
use super::params::Params;
use super::view;
use super::world::{BotRole, Chat, ChatKind, Document, Letter, Op};
use super::{html, markdown};
use crate::journal::JournalError;

/// Whether a method writes a new message: what the published limits are about.
pub(super) fn sends(method: &str) -> bool {
    matches!(method, "sendmessage" | "senddocument")
}

pub(super) fn call(core: &Core, method: &str, params: &Params) -> Result<Value, ApiError> {
    match method {
        "getme" => Ok(core.me.full()),
        "sendmessage" => send_message(core, params),
        "senddocument" => send_document(core, params),
        "editmessagetext" => edit_message(core, params),
        "deletemessage" => delete_message(core, params),
        "answercallbackquery" => match params.text("callback_query_id") {
            Some(id) if !id.is_empty() => Ok(json!(true)),
            _ => Err(ApiError::bad_request(
                "query is too old and response timeout expired or query ID is invalid",
            )),
        },
        "getchat" => reachable(&core.lock(), params).map(|chat| view::full_chat(&chat)),
        "getchatmember" => chat_member(core, params),
        "getchatadministrators" => administrators(core, params),
        "getchatmembercount" => {
            let chat = reachable(&core.lock(), params)?;
            Ok(json!(chat.admins.len() + 1 + usize::from(chat.kind == ChatKind::Private)))
        }
        "sendchataction" => reachable(&core.lock(), params).map(|_| json!(true)),
        "setmycommands" | "deletemycommands" | "logout" | "close" => Ok(json!(true)),
        "setwebhook" => {
            let url = params.text("url").unwrap_or_default();
            if !url.is_empty() && !url.starts_with("https://") {
                return Err(ApiError::bad_request("bad webhook: An HTTPS URL must be provided for webhook"));
            }
            set_webhook(core, params, url)
        }
        "deletewebhook" => set_webhook(core, params, String::new()),
        "getwebhookinfo" => {
            let state = core.lock();
            Ok(json!({"url": state.world.webhook, "has_custom_certificate": false,
                      "pending_update_count": state.world.updates.len()}))
        }
        _ => Err(ApiError::not_found()),
    }
}

fn set_webhook(core: &Core, params: &Params, url: String) -> Result<Value, ApiError> {
    let mut state = core.lock();
    state.commit(Op::Webhook(url)).map_err(lost)?;
    if params.flag("drop_pending_updates")
        && let Some(last) = state.world.updates.keys().next_back().copied()
    {
        state.commit(Op::Confirmed { below: last + 1 }).map_err(lost)?;
    }
    Ok(json!(true))
}

/// The chat of a call, if the bot may look at it.
fn reachable(state: &State, params: &Params) -> Result<Chat, ApiError> {
    let name = params.text("chat_id").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::bad_request("chat_id is empty"))?;
    let chat = state.world.find(&name).ok_or_else(|| ApiError::bad_request("chat not found"))?;
    if let Some(to) = chat.migrated_to {
        return Err(ApiError::migrated(to));
    }
    let place = match chat.kind {
        ChatKind::Private => return Ok(chat.clone()),
        ChatKind::Group => "group",
        ChatKind::Supergroup => "supergroup",
        ChatKind::Channel => "channel",
    };
    match chat.role {
        BotRole::Kicked => Err(ApiError::forbidden(&format!("bot was kicked from the {place} chat"))),
        BotRole::Left => Err(ApiError::forbidden(&format!("bot is not a member of the {place} chat"))),
        BotRole::Administrator | BotRole::Member => Ok(chat.clone()),
    }
}

/// The chat of a call that writes.
fn writable(state: &State, params: &Params) -> Result<Chat, ApiError> {
    let chat = reachable(state, params)?;
    match (chat.kind, chat.role) {
        (ChatKind::Private, BotRole::Kicked) => Err(ApiError::forbidden("bot was blocked by the user")),
        (ChatKind::Private, BotRole::Left) => {
            Err(ApiError::forbidden("bot can't initiate conversation with a user"))
        }
        (ChatKind::Channel, BotRole::Member) => {
            Err(ApiError::bad_request("need administrator rights in the channel chat"))
        }
        _ => Ok(chat),
    }
}

/// Counts a message that is about to be written.
fn admitted(core: &Core, chat: &Chat) -> Result<(), ApiError> {
    let is_group = chat.kind != ChatKind::Private;
    core.limits.admit(chat.id, is_group, core.shared.clock.now_ms()).map_err(ApiError::too_many)
}

fn marked(params: &Params, field: &str) -> Result<Marked, ApiError> {
    let source = params.text(field).unwrap_or_default();
    let mode = params.text("parse_mode").unwrap_or_default();
    let marked = match mode.to_lowercase().as_str() {
        "" => {
            let entities = match params.json("entities")? {
                None => Vec::new(),
                Some(given) => serde_json::from_value(given)
                    .map_err(|_| ApiError::bad_request("can't parse entities JSON object"))?,
            };
            Marked { text: source, entities }
        }
        "html" => html::parse(&source)?,
        "markdownv2" => markdown::parse(&source)?,
        _ => return Err(ApiError::bad_request("unsupported parse_mode")),
    };
    Ok(marked.finished())
}

fn reply_to(params: &Params, chat: &Chat) -> Result<Option<i64>, ApiError> {
    let given = params.json("reply_parameters")?;
    let told = |name: &str| given.as_ref().and_then(|given| given.get(name));
    let id = told("message_id").and_then(Value::as_i64).or_else(|| params.integer("reply_to_message_id"));
    let without = told("allow_sending_without_reply").and_then(Value::as_bool).unwrap_or(false);
    match id {
        Some(id) if !chat.letters.contains_key(&id) && !without => {
            Err(ApiError::bad_request("message to be replied not found"))
        }
        id => Ok(id.filter(|id| chat.letters.contains_key(id))),
    }
}

fn write(
    core: &Core,
    state: &mut State,
    chat: &Chat,
    params: &Params,
    content: (Marked, Option<Document>),
) -> Result<Value, ApiError> {
    let (Marked { text, entities }, document) = content;
    let letter = Letter {
        id: chat.last + 1,
        from: Some(core.me.id),
        at: core.shared.clock.now(),
        edited_at: None,
        text,
        entities,
        reply_to: reply_to(params, chat)?,
        markup: params.json("reply_markup")?,
        document,
    };
    admitted(core, chat)?;
    state.commit(Op::Written { chat: chat.id, letter: letter.clone() }).map_err(lost)?;
    Ok(view::letter(chat, &letter, &core.me))
}

fn send_message(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let mut state = core.lock();
    let chat = writable(&state, params)?;
    let text = marked(params, "text")?.checked(TEXT_MAX, "message")?;
    write(core, &mut state, &chat, params, (text, None))
}

fn send_document(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let mut state = core.lock();
    let chat = writable(&state, params)?;
    let caption = marked(params, "caption")?;
    if caption.units() > CAPTION_MAX {
        return Err(ApiError::bad_request("message caption is too long"));
    }
    let named = params.text("document");
    let part = named.as_deref().and_then(|name| name.strip_prefix("attach://")).unwrap_or("document");
    let document = match (params.files.get(part), &named) {
        (Some((name, size)), _) => {
            let id = format!("BQAC{}x{}", chat.id.unsigned_abs(), chat.last + 1);
            Document { name: name.clone(), size: *size, id }
        }
        (None, Some(id)) => {
            let known = state.world.chats.values().flat_map(|chat| chat.letters.values());
            let mut known = known.filter_map(|letter| letter.document.as_ref());
            known
                .find(|document| document.id == *id)
                .cloned()
                .ok_or_else(|| ApiError::bad_request("wrong file identifier/HTTP URL specified"))?
        }
        (None, None) => return Err(ApiError::bad_request("there is no document in the request")),
    };
    if document.size == 0 {
        return Err(ApiError::bad_request("file must be non-empty"));
    }
    write(core, &mut state, &chat, params, (caption, Some(document)))
}

fn edit_message(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let mut state = core.lock();
    let chat = writable(&state, params)?;
    let letter = params.integer("message_id").and_then(|id| chat.letters.get(&id));
    let letter = letter.ok_or_else(|| ApiError::bad_request("message to edit not found"))?;
    if letter.from != Some(core.me.id) {
        return Err(ApiError::bad_request("message can't be edited"));
    }
    let Marked { text, entities } = marked(params, "text")?.checked(TEXT_MAX, "message")?;
    let markup = params.json("reply_markup")?;
    if text == letter.text && entities == letter.entities && markup == letter.markup {
        return Err(ApiError::bad_request(
            "message is not modified: specified new message content and reply markup are exactly the same \
             as a current content and reply markup of the message",
        ));
    }
    let edited_at = Some(core.shared.clock.now());
    let letter = Letter { text, entities, markup, edited_at, ..letter.clone() };
    state.commit(Op::Edited { chat: chat.id, letter: letter.clone() }).map_err(lost)?;
    Ok(view::letter(&chat, &letter, &core.me))
}

fn delete_message(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let mut state = core.lock();
    let chat = reachable(&state, params)?;
    let id = params.integer("message_id").filter(|id| chat.letters.contains_key(id));
    let id = id.ok_or_else(|| ApiError::bad_request("message to delete not found"))?;
    state.commit(Op::Deleted { chat: chat.id, ids: vec![id] }).map_err(lost)?;
    Ok(json!(true))
}

fn chat_member(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let chat = reachable(&core.lock(), params)?;
    let user = params.integer("user_id").ok_or_else(|| ApiError::bad_request("invalid user_id specified"))?;
    Ok(if user == core.me.id {
        view::member(core.me.user(), chat.role)
    } else if chat.admins.contains(&user) {
        view::member(view::person(user), BotRole::Administrator)
    } else if chat.kind == ChatKind::Private && user != chat.id {
        return Err(ApiError::bad_request("member not found"));
    } else {
        view::member(view::person(user), BotRole::Member)
    })
}

fn administrators(core: &Core, params: &Params) -> Result<Value, ApiError> {
    let chat = reachable(&core.lock(), params)?;
    if chat.kind == ChatKind::Private {
        return Err(ApiError::bad_request("there are no administrators in the private chat"));
    }
    let people = chat.admins.iter().map(|id| view::member(view::person(*id), BotRole::Administrator));
    let me = (chat.role == BotRole::Administrator).then(|| view::member(core.me.user(), chat.role));
    Ok(people.chain(me).collect())
}

/// Without its journal the server can promise nothing.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost(error: JournalError) -> ApiError {
    tracing::error!(%error, "the Bot API's journal refused");
    ApiError::internal()
}
