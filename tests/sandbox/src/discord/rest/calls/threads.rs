//! Threads: opened in a channel by a bot, archived and reopened.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Called, json_body, require, visible};
use crate::discord::core::{Core, State};
use crate::discord::json::{self, MANAGE_THREADS};
use crate::discord::rest::Call;
use crate::discord::rest::error::ApiError;
use crate::discord::rest::form::{ThreadChanges, ThreadForm};
use crate::discord::world::{Bot, NewThread, Op, Thread};

/// `POST /channels/{id}/threads`: a public thread that begins without a message.
pub(super) fn create(core: &Core, call: &Call<'_>, bot: &Bot, parent: u64) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let channel = visible(state, bot, parent)?;
    if channel.thread.is_some() {
        return Err(ApiError::WrongChannelType);
    }
    if !channel.writable {
        return Err(ApiError::MissingPermissions);
    }
    let ThreadForm { name } = ThreadForm::parse(json_body(call)?)?;
    let id = state.world.ids.next(core.shared.clock.now_ms());
    state.commit(Op::ThreadMade(NewThread { id, parent, name, owner: bot.id, at }))?;
    Ok(state.world.channels.get(&id).map(json::channel))
}

/// `PATCH /channels/{id}` of a thread. Channels themselves are changed by nobody here.
pub(super) fn edit(core: &Core, call: &Call<'_>, bot: &Bot, id: u64) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let thread = visible(state, bot, id)?.thread.as_ref().ok_or(ApiError::MissingPermissions)?;
    let changes = ThreadChanges::parse(json_body(call)?)?;
    if thread.owner != bot.id || changes.locked.is_some() {
        require(bot, MANAGE_THREADS)?;
    }
    if thread.locked && !bot.may(MANAGE_THREADS) {
        return Err(ApiError::ThreadArchived);
    }
    let archived = changes.archived.unwrap_or(thread.archived);
    let locked = changes.locked.unwrap_or(thread.locked);
    state.commit(Op::ThreadSet { id, archived, locked, at })?;
    let channel: Option<Value> = state.world.channels.get(&id).map(json::channel);
    Ok(channel)
}

fn thread(state: &State, channel: u64) -> Option<&Thread> {
    state.world.channels.get(&channel).and_then(|channel| channel.thread.as_ref())
}

/// Messages of an archived thread stay as they are.
pub(super) fn require_open(state: &State, channel: u64) -> Result<(), ApiError> {
    if thread(state, channel).is_some_and(|thread| thread.archived) {
        return Err(ApiError::ThreadArchived);
    }
    Ok(())
}

/// Writing in an archived thread opens it again, unless it is locked.
pub(super) fn reopen(state: &mut State, channel: u64, at: DateTime<Utc>) -> Result<(), ApiError> {
    match thread(state, channel) {
        Some(thread) if thread.archived && thread.locked => Err(ApiError::ThreadArchived),
        Some(thread) if thread.archived => {
            let locked = thread.locked;
            Ok(state.commit(Op::ThreadSet { id: channel, archived: false, locked, at })?)
        }
        _ => Ok(()),
    }
}
