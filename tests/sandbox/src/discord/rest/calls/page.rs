//! Which messages of a channel a call asks for.

use crate::discord::rest::error::{ApiError, FormErrors};
use crate::discord::snowflake;
use crate::discord::world::{Channel, Message};

const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 50;

/// Which messages of a channel are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    limit: usize,
    anchor: Anchor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Newest,
    Around(u64),
    Before(u64),
    After(u64),
}

impl Page {
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut page = Self { limit: DEFAULT_PAGE, anchor: Anchor::Newest };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong = |code, message: String| FormErrors::one(&[name], code, message);
            if name == "limit" {
                let limit = value.parse::<usize>().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
                let message = || format!("int value should be between 1 and {MAX_PAGE}.");
                page.limit = limit.ok_or_else(|| wrong("NUMBER_TYPE_MAX", message()))?;
                continue;
            }
            let anchor = match name {
                "around" => Anchor::Around,
                "before" => Anchor::Before,
                "after" => Anchor::After,
                _ => continue,
            };
            let id = snowflake::parse(value)
                .ok_or_else(|| wrong("NUMBER_TYPE_COERCE", format!("Value \"{value}\" is not snowflake.")))?;
            if page.anchor != Anchor::Newest {
                let message = "Only one of around, before and after may be given.".to_owned();
                return Err(wrong("BASE_TYPE_CHOICES", message));
            }
            page.anchor = anchor(id);
        }
        Ok(page)
    }

    /// Newest first, as Discord lists them.
    pub(super) fn select(self, channel: &Channel) -> Vec<&Message> {
        let messages = &channel.messages;
        let before = |id, limit| messages.range(..id).rev().take(limit).map(|(_, message)| message);
        let from = |id, limit| {
            let mut later: Vec<_> = messages.range(id..).take(limit).map(|(_, message)| message).collect();
            later.reverse();
            later
        };
        match self.anchor {
            Anchor::Newest => messages.values().rev().take(self.limit).collect(),
            Anchor::Before(id) => before(id, self.limit).collect(),
            Anchor::After(id) => from(id.saturating_add(1), self.limit),
            Anchor::Around(id) => {
                let older = self.limit / 2;
                let mut page = from(id, self.limit.saturating_sub(older));
                page.extend(before(id, older));
                page
            }
        }
    }
}
