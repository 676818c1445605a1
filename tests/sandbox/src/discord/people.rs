//! What people do in channels, asked for through the control API.

use std::ops::Bound;

use super::core::Core;
use super::mentions;
use super::rest::AllowedMentions;
use super::snowflake;
use super::world::{Change, Channel, Message, Op, World};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};

/// What a person can write in one message.
const MAX_CONTENT: usize = 2_000;
/// Messages that go at a time.
const MAX_BULK: usize = 100;

pub(super) fn post(core: &Core, chat: &str, new: &NewMessage) -> Result<String, ControlError> {
    let now = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let channel = channel(&state.world, chat)?.id;
    let author = author(&state.world, new.from.as_deref())?;
    let content = content(&new.text)?;
    let reply_to = new.reply_to.as_deref().map(|id| message_id(&state.world, channel, id)).transpose();
    let reply_to = reply_to.map_err(|error| invalid("reply_to", error.to_string()))?;
    let replied_to = reply_to.and_then(|id| state.world.message(channel, id)).map(|message| message.author);
    let (pinged, mention_everyone) =
        mentions::resolve(&state.world, &content, &AllowedMentions::ALL, replied_to);
    let id = state.world.ids.next(core.shared.clock.now_ms());
    state.commit(Op::Created(Message {
        id,
        channel,
        author,
        content,
        at: now,
        edited_at: None,
        nonce: None,
        reply_to,
        mentions: pinged,
        mention_everyone,
        flags: 0,
        persona: None,
    }))?;
    Ok(id.to_string())
}

pub(super) fn list(
    core: &Core,
    chat: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<MessageItem>, ControlError> {
    let state = core.lock();
    let channel = channel(&state.world, chat)?;
    let after = match after {
        None => 0,
        Some(after) => {
            snowflake::parse(after).ok_or_else(|| invalid("after", "is not a message id".to_owned()))?
        }
    };
    let later = channel.messages.range((Bound::Excluded(after), Bound::Unbounded));
    Ok(later.take(limit).map(|(_, message)| item(message)).collect())
}

pub(super) fn get(core: &Core, chat: &str, id: &str) -> Result<MessageItem, ControlError> {
    let state = core.lock();
    let channel = channel(&state.world, chat)?.id;
    let known = message_id(&state.world, channel, id)?;
    let message = state.world.message(channel, known);
    message.map(item).ok_or_else(|| ControlError::UnknownMessage(id.to_owned()))
}

pub(super) fn edit(
    core: &Core,
    chat: &str,
    id: &str,
    edit: &EditedMessage,
) -> Result<MessageItem, ControlError> {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let channel = channel(&state.world, chat)?.id;
    let known = message_id(&state.world, channel, id)?;
    let unknown = || ControlError::UnknownMessage(id.to_owned());
    let message = state.world.message(channel, known).ok_or_else(unknown)?;
    if !state.world.persons.contains(&message.author) {
        return Err(invalid("id", "only its author can edit a message".to_owned()));
    }
    let content = content(&edit.text)?;
    let replied_to = message.reply_to.and_then(|id| state.world.message(channel, id));
    let replied_to = replied_to.map(|message| message.author);
    let (mentions, mention_everyone) =
        mentions::resolve(&state.world, &content, &AllowedMentions::ALL, replied_to);
    let change = Change { content, mentions, mention_everyone, flags: message.flags, at };
    state.commit(Op::Edited { channel, id: known, change })?;
    state.world.message(channel, known).map(item).ok_or_else(unknown)
}

pub(super) fn delete(core: &Core, chat: &str, id: &str) -> Result<(), ControlError> {
    let mut state = core.lock();
    let channel = channel(&state.world, chat)?.id;
    let id = message_id(&state.world, channel, id)?;
    Ok(state.commit(Op::Deleted { channel, id })?)
}

pub(super) fn bulk_delete(core: &Core, chat: &str, ids: &[String]) -> Result<(), ControlError> {
    let mut state = core.lock();
    let channel = channel(&state.world, chat)?.id;
    let ids: Result<Vec<u64>, _> = ids.iter().map(|id| message_id(&state.world, channel, id)).collect();
    let ids = ids?;
    if !(1..=MAX_BULK).contains(&ids.len()) {
        return Err(invalid("ids", format!("must be 1 to {MAX_BULK}")));
    }
    Ok(state.commit(Op::BulkDeleted { channel, ids })?)
}

pub(super) fn channel<'a>(world: &'a World, chat: &str) -> Result<&'a Channel, ControlError> {
    let channel = snowflake::parse(chat).and_then(|id| world.channels.get(&id));
    channel.ok_or_else(|| ControlError::UnknownChat(chat.to_owned()))
}

fn message_id(world: &World, channel: u64, id: &str) -> Result<u64, ControlError> {
    let known = snowflake::parse(id).and_then(|id| world.message(channel, id));
    known.map(|message| message.id).ok_or_else(|| ControlError::UnknownMessage(id.to_owned()))
}

/// A person by id or name; bots write for themselves, through the API.
fn author(world: &World, from: Option<&str>) -> Result<u64, ControlError> {
    let mut persons = world.persons.iter().filter_map(|id| world.users.get(id));
    let found = match from {
        None => persons.next(),
        Some(from) => persons.find(|person| person.name == from || person.id.to_string() == from),
    };
    let unknown = || invalid("from", "is neither the id nor the name of a seeded person".to_owned());
    found.map(|person| person.id).ok_or_else(unknown)
}

fn content(text: &str) -> Result<String, ControlError> {
    let content = text.trim();
    if content.is_empty() {
        return Err(invalid("text", "must not be empty".to_owned()));
    }
    if content.chars().count() > MAX_CONTENT {
        return Err(invalid("text", format!("Discord takes at most {MAX_CONTENT} characters")));
    }
    Ok(content.to_owned())
}

fn item(message: &Message) -> MessageItem {
    MessageItem {
        id: message.id.to_string(),
        from: message.author.to_string(),
        text: message.content.clone(),
        entities: Vec::new(),
        media: None,
        album: Vec::new(),
        reply_to: message.reply_to.map(|id| id.to_string()),
        edited_at: message.edited_at,
        at: message.at,
    }
}

const fn invalid(field: &'static str, detail: String) -> ControlError {
    ControlError::Invalid { field, detail }
}
