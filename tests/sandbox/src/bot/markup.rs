//! Texts with entities being built, and what both parse modes share (core.telegram.org/bots/api#formatting-options).

use super::error::ApiError;
use crate::messages::{EntityKind, MentionedUser, TextEntity};

/// The longest text of a message, in UTF-16 code units after parsing.
pub(super) const TEXT_MAX: u32 = 4096;
/// The longest caption.
pub(super) const CAPTION_MAX: u32 = 1024;
/// Entities beyond these are dropped.
const ENTITIES_MAX: usize = 100;

/// A text and its entities.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Marked {
    pub(super) text: String,
    pub(super) entities: Vec<TextEntity>,
}

/// A stretch that was begun.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) kind: EntityKind,
    pub(super) offset: u32,
    pub(super) url: Option<String>,
    pub(super) language: Option<String>,
    /// The tag or mark by which it began.
    pub(super) mark: String,
    /// Where in the source, in bytes.
    pub(super) at: usize,
}

impl Marked {
    pub(super) fn units(&self) -> u32 {
        units(&self.text)
    }

    /// Ends a stretch here; an empty one is nothing.
    pub(super) fn close(&mut self, open: Open) {
        let length = self.units().saturating_sub(open.offset);
        if length == 0 {
            return;
        }
        let Open { kind, offset, url, language, .. } = open;
        self.entities.push(entity(kind, offset, length, url, language));
    }

    /// Entities in order, what the server finds by itself, and a text without white space at its ends.
    pub(super) fn finished(mut self) -> Self {
        let kept = self.text.trim_end().len();
        self.text.truncate(kept);
        let lead = self.text.len() - self.text.trim_start().len();
        let cut: String = self.text.drain(..lead).collect();
        let (cut, end) = (units(&cut), self.units());
        for entity in &mut self.entities {
            let stop = (entity.offset + entity.length).saturating_sub(cut).min(end);
            entity.offset = entity.offset.saturating_sub(cut);
            entity.length = stop.saturating_sub(entity.offset);
        }
        self.entities.retain(|entity| entity.length > 0);
        let found = found(&self.text);
        let taken = self.entities.clone();
        self.entities.extend(found.into_iter().filter(|new| !taken.iter().any(|old| overlap(old, new))));
        self.entities.sort_by_key(|entity| (entity.offset, u32::MAX - entity.length));
        self.entities.truncate(ENTITIES_MAX);
        self
    }

    /// # Errors
    /// What Telegram says of an empty text and of one that is too long.
    pub(super) fn checked(self, max: u32, what: &str) -> Result<Self, ApiError> {
        if self.text.is_empty() {
            return Err(ApiError::bad_request("message text is empty"));
        }
        if self.units() > max {
            return Err(ApiError::bad_request(format!("{what} is too long")));
        }
        Ok(self)
    }
}

pub(super) fn units(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

fn entity(
    kind: EntityKind,
    offset: u32,
    length: u32,
    url: Option<String>,
    language: Option<String>,
) -> TextEntity {
    let id = url.as_deref().and_then(|url| url.strip_prefix("tg://user?id=")?.parse().ok());
    match id {
        Some(id) if kind == EntityKind::TextLink => TextEntity {
            kind: EntityKind::TextMention,
            offset,
            length,
            url: None,
            language,
            user: Some(MentionedUser { id }),
            custom_emoji_id: None,
        },
        _ => TextEntity { kind, offset, length, url, language, user: None, custom_emoji_id: None },
    }
}

fn overlap(one: &TextEntity, other: &TextEntity) -> bool {
    one.offset < other.offset + other.length && other.offset < one.offset + one.length
}

/// What Telegram marks by itself: commands, mentions, hashtags and addresses, each a word.
pub(super) fn found(text: &str) -> Vec<TextEntity> {
    let mut entities = Vec::new();
    let (mut offset, mut word) = (0_u32, String::new());
    for c in text.chars().chain([' ']) {
        if !c.is_whitespace() {
            word.push(c);
            continue;
        }
        let length = units(&word);
        if let Some(kind) = kind_of(&word) {
            entities.push(entity(kind, offset, length, None, None));
        }
        offset = offset.saturating_add(length).saturating_add(1);
        word.clear();
    }
    entities
}

fn kind_of(word: &str) -> Option<EntityKind> {
    let named = |rest: &str| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
    };
    match word.split_at_checked(1) {
        Some(("/", rest)) if named(rest) => Some(EntityKind::BotCommand),
        Some(("@", rest)) if named(rest) => Some(EntityKind::Mention),
        Some(("#", rest)) if named(rest) => Some(EntityKind::Hashtag),
        _ if word.starts_with("https://") || word.starts_with("http://") => Some(EntityKind::Url),
        _ => None,
    }
}

/// "Bad Request: can't parse entities: …".
pub(super) fn refused(reason: impl AsRef<str>) -> ApiError {
    ApiError::bad_request(format!("can't parse entities: {}", reason.as_ref()))
}
