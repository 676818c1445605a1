//! Formatted text as Telegram knows it: plain text plus entities measured in UTF-16 code units.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What an entity means. Names follow the Bot API's `MessageEntity.type` (core.telegram.org/bots/api#messageentity).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the Bot API's own")]
pub enum EntityKind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Blockquote,
    ExpandableBlockquote,
    Code,
    Pre { language: Option<String> },
    TextLink { url: String },
    Url,
    Email,
    PhoneNumber,
    Mention,
    TextMention { user: i64 },
    Hashtag,
    Cashtag,
    BotCommand,
    BankCard,
    CustomEmoji { document: i64 },
}

/// A run of text with a meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Start in UTF-16 code units.
    pub offset: usize,
    /// Length in UTF-16 code units, never zero.
    pub length: usize,
    /// The meaning.
    #[serde(flatten)]
    pub kind: EntityKind,
}

impl Entity {
    /// The first code unit after the entity.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.offset + self.length
    }
}

/// Why text and entities do not belong together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RichTextError {
    /// An entity is empty, reaches past the end, or cuts a surrogate pair.
    #[error(
        "entity {index} (offset {offset}, length {length}) does not lie on character bounds inside the text"
    )]
    Bounds {
        /// Position in the list of entities.
        index: usize,
        /// Its offset, UTF-16 code units.
        offset: usize,
        /// Its length, UTF-16 code units.
        length: usize,
    },
}

/// Text with entities. Entities may nest and overlap; they are kept ordered by offset, longer first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct RichText {
    text: String,
    entities: Vec<Entity>,
}

#[derive(Serialize, Deserialize)]
struct Unchecked {
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entities: Vec<Entity>,
}

impl RichText {
    /// Joins text and entities.
    ///
    /// # Errors
    /// [`RichTextError::Bounds`] for an entity that is empty, out of range or cuts a surrogate pair.
    pub fn new(text: impl Into<String>, mut entities: Vec<Entity>) -> Result<Self, RichTextError> {
        let text = text.into();
        if !entities.is_empty() {
            let mut bounds = vec![false; text.encode_utf16().count() + 1];
            let mut at = 0_usize;
            for ch in text.chars() {
                if let Some(slot) = bounds.get_mut(at) {
                    *slot = true;
                }
                at += ch.len_utf16();
            }
            if let Some(slot) = bounds.get_mut(at) {
                *slot = true;
            }
            let is_bound = |unit: usize| bounds.get(unit).copied().unwrap_or(false);
            for (index, entity) in entities.iter().enumerate() {
                let end = entity.offset.checked_add(entity.length);
                let inside = entity.length > 0 && is_bound(entity.offset) && end.is_some_and(is_bound);
                if !inside {
                    let (offset, length) = (entity.offset, entity.length);
                    return Err(RichTextError::Bounds { index, offset, length });
                }
            }
            entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
        }
        Ok(Self { text, entities })
    }

    /// Text without any entity.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), entities: Vec::new() }
    }

    /// The text alone.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The entities, ordered by offset, longer first.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// Length in UTF-16 code units, the unit of entity offsets.
    #[must_use]
    pub fn len_utf16(&self) -> usize {
        self.text.encode_utf16().count()
    }

    /// No text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl TryFrom<Unchecked> for RichText {
    type Error = RichTextError;

    fn try_from(raw: Unchecked) -> Result<Self, Self::Error> {
        Self::new(raw.text, raw.entities)
    }
}

impl From<RichText> for Unchecked {
    fn from(rich: RichText) -> Self {
        Self { text: rich.text, entities: rich.entities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_that_cuts_a_surrogate_pair_is_refused() {
        let bold = |offset, length| vec![Entity { offset, length, kind: EntityKind::Bold }];
        assert!(RichText::new("a😀b", bold(1, 2)).is_ok());
        assert_eq!(
            RichText::new("a😀b", bold(1, 1)),
            Err(RichTextError::Bounds { index: 0, offset: 1, length: 1 })
        );
        assert!(RichText::new("a😀b", bold(3, 2)).is_err());
        assert!(RichText::new("ab", bold(0, 0)).is_err());
    }

    #[test]
    fn the_json_form_is_the_bot_apis() {
        let kind = EntityKind::TextLink { url: "https://example.org".to_owned() };
        let rich = RichText::new("link", vec![Entity { offset: 0, length: 4, kind }]).unwrap();
        let json = serde_json::to_value(&rich).unwrap();
        let entity =
            serde_json::json!({"offset":0,"length":4,"type":"text_link","url":"https://example.org"});
        assert_eq!(json, serde_json::json!({"text": "link", "entities": [entity]}));
        assert_eq!(serde_json::from_value::<RichText>(json).unwrap(), rich);
    }
}
