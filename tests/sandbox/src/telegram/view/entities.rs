//! Text entities between the schema and the Bot API's form, and what Telegram demands of a text
//! (core.telegram.org/api/entities).

use grammers_tl_types::{enums, types};

use crate::messages::{EntityKind, MentionedUser, TextEntity};

/// The longest text in UTF-16 code units, as announced in the configuration.
pub(crate) const MAX_TEXT: u16 = 4096;
/// Entities beyond this number are ignored, as on the real servers.
const MAX_ENTITIES: usize = 100;

/// Why Telegram refuses a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    /// Nothing but white space.
    #[error("the text is empty")]
    Empty,
    /// More than [`MAX_TEXT`] UTF-16 code units.
    #[error("the text is longer than 4096 UTF-16 code units")]
    TooLong,
    /// An entity is empty, lies outside the text or cuts a character.
    #[error("an entity lies outside the text")]
    Bounds,
    /// An entity lacks what its kind needs, or has it malformed.
    #[error("an entity lacks the value that its kind needs")]
    Value,
}

/// Checks a text with its entities and returns the entities that count.
pub(crate) fn check(text: &str, mut entities: Vec<TextEntity>) -> Result<Vec<TextEntity>, TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    let length = text.encode_utf16().count();
    if length > usize::from(MAX_TEXT) {
        return Err(TextError::TooLong);
    }
    entities.truncate(MAX_ENTITIES);
    for entity in &entities {
        let inside = entity.length > 0
            && is_boundary(text, entity.offset)
            && entity.offset.checked_add(entity.length).is_some_and(|end| is_boundary(text, end));
        if !inside {
            return Err(TextError::Bounds);
        }
        let complete = match entity.kind {
            EntityKind::TextLink => entity.url.as_deref().is_some_and(|url| !url.is_empty()),
            EntityKind::TextMention => entity.user.is_some(),
            EntityKind::CustomEmoji => emoji_id(entity).is_some(),
            _ => true,
        };
        if !complete {
            return Err(TextError::Value);
        }
    }
    entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    Ok(entities)
}

/// Whether a position in UTF-16 code units lies between two characters of the text, or at an end.
fn is_boundary(text: &str, position: u32) -> bool {
    let mut at = 0_u32;
    for character in text.chars() {
        if at >= position {
            break;
        }
        at = at.saturating_add(u32::try_from(character.len_utf16()).unwrap_or(2));
    }
    at == position
}

fn emoji_id(entity: &TextEntity) -> Option<i64> {
    entity.custom_emoji_id.as_deref()?.parse().ok()
}

/// An entity as clients are told it; `None` if it lacks the value that its kind needs.
pub(crate) fn to_schema(entity: &TextEntity) -> Option<enums::MessageEntity> {
    use enums::MessageEntity as E;
    let offset = i32::try_from(entity.offset).ok()?;
    let length = i32::try_from(entity.length).ok()?;
    Some(match entity.kind {
        EntityKind::Mention => E::Mention(types::MessageEntityMention { offset, length }),
        EntityKind::Hashtag => E::Hashtag(types::MessageEntityHashtag { offset, length }),
        EntityKind::Cashtag => E::Cashtag(types::MessageEntityCashtag { offset, length }),
        EntityKind::BotCommand => E::BotCommand(types::MessageEntityBotCommand { offset, length }),
        EntityKind::Url => E::Url(types::MessageEntityUrl { offset, length }),
        EntityKind::Email => E::Email(types::MessageEntityEmail { offset, length }),
        EntityKind::PhoneNumber => E::Phone(types::MessageEntityPhone { offset, length }),
        EntityKind::Bold => E::Bold(types::MessageEntityBold { offset, length }),
        EntityKind::Italic => E::Italic(types::MessageEntityItalic { offset, length }),
        EntityKind::Underline => E::Underline(types::MessageEntityUnderline { offset, length }),
        EntityKind::Strikethrough => E::Strike(types::MessageEntityStrike { offset, length }),
        EntityKind::Spoiler => E::Spoiler(types::MessageEntitySpoiler { offset, length }),
        EntityKind::Code => E::Code(types::MessageEntityCode { offset, length }),
        EntityKind::Blockquote | EntityKind::ExpandableBlockquote => {
            let collapsed = entity.kind == EntityKind::ExpandableBlockquote;
            E::Blockquote(types::MessageEntityBlockquote { collapsed, offset, length })
        }
        EntityKind::Pre => {
            let language = entity.language.clone().unwrap_or_default();
            E::Pre(types::MessageEntityPre { offset, length, language })
        }
        EntityKind::TextLink => {
            E::TextUrl(types::MessageEntityTextUrl { offset, length, url: entity.url.clone()? })
        }
        EntityKind::TextMention => {
            E::MentionName(types::MessageEntityMentionName { offset, length, user_id: entity.user?.id })
        }
        EntityKind::CustomEmoji => {
            let document_id = emoji_id(entity)?;
            E::CustomEmoji(types::MessageEntityCustomEmoji { offset, length, document_id })
        }
    })
}

/// An entity as a client sends it. `user` finds the user that a mention names. Kinds that clients cannot set and
/// mentions of unknown users are left out, as the real servers do; negative bounds are an error.
pub(crate) fn from_schema(
    entity: &enums::MessageEntity,
    user: impl Fn(&enums::InputUser) -> Option<i64>,
) -> Result<Option<TextEntity>, TextError> {
    use enums::MessageEntity as E;
    let plain = |kind, offset: i32, length: i32| {
        Ok(TextEntity {
            kind,
            offset: u32::try_from(offset).map_err(|_negative| TextError::Bounds)?,
            length: u32::try_from(length).map_err(|_negative| TextError::Bounds)?,
            url: None,
            language: None,
            user: None,
            custom_emoji_id: None,
        })
    };
    Ok(Some(match entity {
        E::Mention(e) => plain(EntityKind::Mention, e.offset, e.length)?,
        E::Hashtag(e) => plain(EntityKind::Hashtag, e.offset, e.length)?,
        E::Cashtag(e) => plain(EntityKind::Cashtag, e.offset, e.length)?,
        E::BotCommand(e) => plain(EntityKind::BotCommand, e.offset, e.length)?,
        E::Url(e) => plain(EntityKind::Url, e.offset, e.length)?,
        E::Email(e) => plain(EntityKind::Email, e.offset, e.length)?,
        E::Phone(e) => plain(EntityKind::PhoneNumber, e.offset, e.length)?,
        E::Bold(e) => plain(EntityKind::Bold, e.offset, e.length)?,
        E::Italic(e) => plain(EntityKind::Italic, e.offset, e.length)?,
        E::Underline(e) => plain(EntityKind::Underline, e.offset, e.length)?,
        E::Strike(e) => plain(EntityKind::Strikethrough, e.offset, e.length)?,
        E::Spoiler(e) => plain(EntityKind::Spoiler, e.offset, e.length)?,
        E::Code(e) => plain(EntityKind::Code, e.offset, e.length)?,
        E::Blockquote(e) => {
            let kind = if e.collapsed { EntityKind::ExpandableBlockquote } else { EntityKind::Blockquote };
            plain(kind, e.offset, e.length)?
        }
        E::Pre(e) => {
            let language = (!e.language.is_empty()).then(|| e.language.clone());
            TextEntity { language, ..plain(EntityKind::Pre, e.offset, e.length)? }
        }
        E::TextUrl(e) => {
            TextEntity { url: Some(e.url.clone()), ..plain(EntityKind::TextLink, e.offset, e.length)? }
        }
        E::CustomEmoji(e) => {
            let custom_emoji_id = Some(e.document_id.to_string());
            TextEntity { custom_emoji_id, ..plain(EntityKind::CustomEmoji, e.offset, e.length)? }
        }
        E::InputMessageEntityMentionName(e) => {
            let Some(id) = user(&e.user_id) else { return Ok(None) };
            let user = Some(MentionedUser { id });
            TextEntity { user, ..plain(EntityKind::TextMention, e.offset, e.length)? }
        }
        _ => return Ok(None),
    }))
}
