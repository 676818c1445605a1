//! Messages as bots read, write, change and delete them.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::page::Page;
use super::threads;
use super::{Called, json_body, require, visible};
use crate::discord::core::{Core, State};
use crate::discord::json::{self, MANAGE_MESSAGES, Moment};
use crate::discord::rest::Call;
use crate::discord::rest::error::{ApiError, FormErrors};
use crate::discord::rest::form::{BulkDeleteForm, CreateForm, EditForm};
use crate::discord::world::{Bot, Change, Message, Op};
use crate::discord::{mentions, snowflake};

/// Messages older than this are not deleted in bulk.
const BULK_AGE: TimeDelta = TimeDelta::days(14);

pub(super) fn list(core: &Core, query: &str, bot: &Bot, channel: u64) -> Called {
    let page = Page::parse(query)?;
    let state = core.lock();
    let channel = visible(&state, bot, channel)?;
    let view = |message| json::message(&state.world, message, Moment::Later);
    Ok(Some(page.select(channel).into_iter().map(view).collect()))
}

pub(super) fn get(core: &Core, bot: &Bot, channel: u64, id: u64) -> Called {
    let state = core.lock();
    let message = visible(&state, bot, channel)?.messages.get(&id).ok_or(ApiError::UnknownMessage)?;
    Ok(Some(json::message(&state.world, message, Moment::Later)))
}

fn view(state: &State, channel: u64, id: u64, moment: Moment) -> Option<Value> {
    state.world.message(channel, id).map(|message| json::message(&state.world, message, moment))
}

pub(super) fn create(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64) -> Called {
    let now = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    if !state.world.is_writable(visible(state, bot, channel)?) {
        return Err(ApiError::MissingPermissions);
    }
    let form = CreateForm::parse(json_body(call)?)?;
    if let Some(nonce) = form.nonce.as_ref().filter(|_| form.enforce_nonce)
        && let Some(original) = state.world.by_nonce(bot.id, channel, nonce, now)
    {
        return Ok(Some(json::message(&state.world, original, Moment::Written)));
    }
    let sought = form.reference.filter(|reference| reference.channel.is_none_or(|id| id == channel));
    let referenced = sought.and_then(|reference| state.world.message(channel, reference.message));
    if referenced.is_none() && form.reference.is_some_and(|reference| reference.fail_if_not_exists) {
        let code = "REPLIES_UNKNOWN_MESSAGE";
        return Err(FormErrors::one(&["message_reference"], code, "Unknown message"));
    }
    let replied_to = referenced.map(|message| message.author);
    let reply_to = referenced.map(|message| message.id);
    let (mentions, mention_everyone) =
        mentions::resolve(&state.world, &form.content, &form.mentions, replied_to);
    threads::reopen(state, channel, now)?;
    let id = state.world.ids.next(core.shared.clock.now_ms());
    state.commit(Op::Created(Message {
        id,
        channel,
        author: bot.id,
        content: form.content,
        at: now,
        edited_at: None,
        nonce: form.nonce,
        reply_to,
        mentions,
        mention_everyone,
        flags: form.flags,
        persona: None,
    }))?;
    Ok(view(state, channel, id, Moment::Written))
}

pub(super) fn edit(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64, id: u64) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let message = visible(state, bot, channel)?.messages.get(&id).ok_or(ApiError::UnknownMessage)?;
    if message.author != bot.id {
        return Err(ApiError::NotTheAuthor);
    }
    let form = EditForm::parse(json_body(call)?)?;
    let change = change(state, message, form, at);
    threads::require_open(state, channel)?;
    state.commit(Op::Edited { channel, id, change })?;
    Ok(view(state, channel, id, Moment::Later))
}

/// What a form makes of a message.
pub(super) fn change(state: &State, message: &Message, form: EditForm, at: DateTime<Utc>) -> Change {
    let content = form.content.unwrap_or_else(|| message.content.clone());
    let flags = form.flags.unwrap_or(message.flags);
    let replied_to = message.reply_to.and_then(|id| state.world.message(message.channel, id));
    let replied_to = replied_to.map(|message| message.author);
    let (mentions, mention_everyone) = mentions::resolve(&state.world, &content, &form.mentions, replied_to);
    Change { content, mentions, mention_everyone, flags, at }
}

/// Bots delete their own messages; another's only with a permission.
pub(super) fn delete(core: &Core, bot: &Bot, channel: u64, id: u64) -> Called {
    let mut state = core.lock();
    let message = visible(&state, bot, channel)?.messages.get(&id).ok_or(ApiError::UnknownMessage)?;
    if message.author != bot.id {
        require(bot, MANAGE_MESSAGES)?;
    }
    state.commit(Op::Deleted { channel, id })?;
    Ok(None)
}

/// Deletes many messages at a time, whoever wrote them; those that do not exist are passed over.
pub(super) fn bulk_delete(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64) -> Called {
    let now = core.shared.clock.now();
    let mut state = core.lock();
    let messages = &visible(&state, bot, channel)?.messages;
    require(bot, MANAGE_MESSAGES)?;
    let BulkDeleteForm { ids } = BulkDeleteForm::parse(json_body(call)?)?;
    let age = |id: &u64| snowflake::time(*id).map(|made| now - made);
    if ids.iter().filter_map(age).any(|age| age >= BULK_AGE) {
        return Err(ApiError::BulkDeleteAge);
    }
    let ids: Vec<u64> = ids.into_iter().filter(|id| messages.contains_key(id)).collect();
    if !ids.is_empty() {
        state.commit(Op::BulkDeleted { channel, ids })?;
    }
    Ok(None)
}
