//! Messages as people write, read, edit and delete them.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problem;
use super::{ControlState, body};
use crate::messages::{
    ControlError, EditedMessage, EntityKind, MAX_TEXT_UNITS, MessageItem, NewMessage, TextEntity,
};
use crate::platform::Platform;

const MAX_LIMIT: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody {
    from: Option<String>,
    text: String,
    entities: Option<Vec<TextEntity>>,
    media: Option<Value>,
    album: Option<Vec<Value>>,
    reply_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchBody {
    text: String,
    entities: Option<Vec<TextEntity>>,
    media: Option<Value>,
    album: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Created {
    id: String,
}

#[derive(Serialize)]
struct Listed {
    items: Vec<MessageItem>,
}

pub(super) fn post(
    state: &ControlState,
    platform: Platform,
    chat: &str,
    body: &[u8],
) -> Result<HttpResponse, Problem> {
    let PostBody { from, text, entities, media, album, reply_to } = body::json(body)?;
    let entities = checked(platform, &text, entities, media.as_ref(), album.as_deref())?;
    let message = NewMessage { from, text, entities, reply_to };
    let id = match platform {
        Platform::Telegram => state.telegram.post_message(chat, &message),
        Platform::Discord => state.discord.post_message(chat, &message),
        Platform::Bot => state.bot.post_message(chat, &message),
    }?;
    Ok(HttpResponse::Ok().json(Created { id }))
}

pub(super) fn list(
    state: &ControlState,
    platform: Platform,
    chat: &str,
    query: &str,
) -> Result<HttpResponse, Problem> {
    let ListQuery { after, limit } = body::query(query)?;
    let limit = limit.unwrap_or(MAX_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("limit: must be from 1 to {MAX_LIMIT}")));
    }
    let after = after.as_deref().filter(|after| !after.is_empty());
    let items = match platform {
        Platform::Telegram => state.telegram.list_messages(chat, after, limit),
        Platform::Discord => state.discord.list_messages(chat, after, limit),
        Platform::Bot => state.bot.list_messages(chat, after, limit),
    }?;
    Ok(HttpResponse::Ok().json(Listed { items }))
}

pub(super) fn get(
    state: &ControlState,
    platform: Platform,
    chat: &str,
    id: &str,
) -> Result<HttpResponse, Problem> {
    let item = match platform {
        Platform::Telegram => state.telegram.get_message(chat, id),
        Platform::Discord => state.discord.get_message(chat, id),
        Platform::Bot => state.bot.get_message(chat, id),
    }?;
    Ok(HttpResponse::Ok().json(item))
}

pub(super) fn edit(
    state: &ControlState,
    platform: Platform,
    chat: &str,
    id: &str,
    body: &[u8],
) -> Result<HttpResponse, Problem> {
    let PatchBody { text, entities, media, album } = body::json(body)?;
    let entities = checked(platform, &text, entities, media.as_ref(), album.as_deref())?;
    let edit = EditedMessage { text, entities };
    let item = match platform {
        Platform::Telegram => state.telegram.edit_message(chat, id, &edit),
        Platform::Discord => state.discord.edit_message(chat, id, &edit),
        Platform::Bot => state.bot.edit_message(chat, id, &edit),
    }?;
    Ok(HttpResponse::Ok().json(item))
}

pub(super) fn delete(
    state: &ControlState,
    platform: Platform,
    chat: &str,
    id: &str,
) -> Result<HttpResponse, Problem> {
    match platform {
        Platform::Telegram => state.telegram.delete_message(chat, id),
        Platform::Discord => state.discord.delete_message(chat, id),
        Platform::Bot => state.bot.delete_message(chat, id),
    }?;
    Ok(HttpResponse::NoContent().finish())
}

/// Refuses what no person could write, before a platform sees it.
fn checked(
    platform: Platform,
    text: &str,
    entities: Option<Vec<TextEntity>>,
    media: Option<&Value>,
    album: Option<&[Value]>,
) -> Result<Vec<TextEntity>, ControlError> {
    let invalid = |field, detail: &str| ControlError::Invalid { field, detail: detail.to_owned() };
    let entities = entities.unwrap_or_default();
    if media.is_some() {
        return Err(invalid("media", "the sandbox takes text only"));
    }
    if album.is_some_and(|album| !album.is_empty()) {
        return Err(invalid("album", "the sandbox takes text only"));
    }
    if text.is_empty() {
        return Err(invalid("text", "must not be empty"));
    }
    if text.encode_utf16().count() > MAX_TEXT_UNITS {
        return Err(invalid("text", "is longer than any platform takes"));
    }
    if platform == Platform::Discord && !entities.is_empty() {
        return Err(invalid("entities", "Discord has markdown in the text instead"));
    }
    for entity in &entities {
        check_entity(text, entity).map_err(|detail| invalid("entities", detail))?;
    }
    Ok(entities)
}

fn check_entity(text: &str, entity: &TextEntity) -> Result<(), &'static str> {
    if entity.length == 0 {
        return Err("an entity must not be empty");
    }
    let end = entity.offset.checked_add(entity.length).ok_or("an entity must lie within the text")?;
    let mut boundaries = vec![0_u32];
    let mut at = 0_u32;
    for character in text.chars() {
        at = at.saturating_add(u32::try_from(character.len_utf16()).unwrap_or(2));
        boundaries.push(at);
    }
    if end > at {
        return Err("an entity must lie within the text");
    }
    if boundaries.binary_search(&entity.offset).is_err() || boundaries.binary_search(&end).is_err() {
        return Err("an entity must not cut a character in two");
    }
    check_extras(entity)
}

/// Each extra field belongs to one kind, which needs it; only the language of a block may be left out.
fn check_extras(entity: &TextEntity) -> Result<(), &'static str> {
    let kind = entity.kind;
    let belongs = |present: bool, owner: EntityKind| present == (kind == owner);
    if !belongs(entity.url.is_some(), EntityKind::TextLink) {
        return Err("a text_link needs a url, and nothing else has one");
    }
    if !belongs(entity.user.is_some(), EntityKind::TextMention) {
        return Err("a text_mention needs a user, and nothing else has one");
    }
    if !belongs(entity.custom_emoji_id.is_some(), EntityKind::CustomEmoji) {
        return Err("a custom_emoji needs a custom_emoji_id, and nothing else has one");
    }
    if entity.language.is_some() && kind != EntityKind::Pre {
        return Err("only a pre has a language");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: EntityKind, offset: u32, length: u32) -> TextEntity {
        TextEntity { kind, offset, length, url: None, language: None, user: None, custom_emoji_id: None }
    }

    #[test]
    fn entities_lie_within_the_text_and_cut_nothing() {
        let text = "a😀b";
        let check = |offset, length| check_entity(text, &entity(EntityKind::Bold, offset, length));
        assert_eq!(check(0, 4), Ok(()));
        assert_eq!(check(1, 2), Ok(()));
        assert!(check(1, 1).is_err(), "half of a surrogate pair");
        assert!(check(2, 2).is_err(), "half of a surrogate pair");
        assert!(check(3, 2).is_err(), "past the end");
        assert!(check(0, 0).is_err(), "empty");
        assert!(check(u32::MAX, 2).is_err(), "overflow");
    }

    #[test]
    fn only_links_have_addresses_and_only_blocks_have_languages() {
        let url = Some("https://example.org".to_owned());
        let language = Some("rust".to_owned());
        let link = entity(EntityKind::TextLink, 0, 1);
        assert!(check_entity("a", &link).is_err());
        assert!(check_entity("a", &TextEntity { url: url.clone(), ..link }).is_ok());
        let pre = entity(EntityKind::Pre, 0, 1);
        assert!(check_entity("a", &TextEntity { language: language.clone(), ..pre }).is_ok());
        assert!(check_entity("a", &TextEntity { url, ..entity(EntityKind::Bold, 0, 1) }).is_err());
        assert!(check_entity("a", &TextEntity { language, ..entity(EntityKind::Code, 0, 1) }).is_err());
    }
}
