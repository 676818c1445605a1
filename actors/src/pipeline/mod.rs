//! Pure functions between intake and outbox: filter, convert, split.
//!
//! [`plan`] is what a pair asks for each event. Nothing in here reads a clock, a store or a setting that is not an argument.

pub mod convert;
mod cut;
pub mod filter;
pub mod split;

use serde::{Deserialize, Serialize};

use crate::model::{
    Author, EventKind, Message, NewDelivery, Pair, PartBody, Platform, RichText, RouteVerdict, SkipReason,
    SourceEvent,
};

/// Limits of what one message may hold at a target. Values below [`PipelineLimits::SMALLEST`] count as that, as a
/// single formatted character must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineLimits {
    /// Longest Discord message, in Unicode code points after escapes and marks (discord-api-docs#1315). Default 2,000.
    pub discord_code_points: usize,
    /// Longest Telegram message, in UTF-16 code units (core.telegram.org/bots/api#sendmessage). Default 4,096.
    pub telegram_utf16_units: usize,
    /// Most entities of a Telegram message; the platform drops those above it. Default 100.
    pub telegram_entities: usize,
    /// Most messages that one source message may become; a longer one is skipped as unsupported instead of flooding the target. Default 50.
    pub max_parts: u16,
}

impl PipelineLimits {
    /// Least size of a message, in either unit.
    pub const SMALLEST: usize = 64;

    /// The size of one message at a target, in the target's unit.
    fn largest(&self, target: Platform) -> usize {
        match target {
            Platform::Discord => self.discord_code_points.max(Self::SMALLEST),
            Platform::Telegram => self.telegram_utf16_units.max(Self::SMALLEST),
        }
    }
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            discord_code_points: 2_000,
            telegram_utf16_units: 4_096,
            telegram_entities: 100,
            max_parts: 50,
        }
    }
}

/// What the store knows of the message that an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// This system wrote it: it is a copy, or an answer.
    pub is_copy: bool,
    /// The parts that the pair made of it; `None` when it made none.
    pub parts: Option<u16>,
}

/// Decides what a pair does with an event: deliver these parts, or skip for this reason.
///
/// An edit gives each copy its new text and deletes the copies that are left over; one that would need more copies than
/// there are is skipped as [`SkipReason::EditTooLong`]. An edit that leaves nothing to show, or something that must not go
/// on, is skipped with its reason, and the copy stays as it was.
#[must_use]
pub fn plan(event: &SourceEvent, pair: &Pair, facts: Facts, limits: &PipelineLimits) -> RouteVerdict {
    let target = pair.target.platform;
    let planned = match event {
        _ if facts.is_copy => Err(SkipReason::Loop),
        SourceEvent::New(message) => content(message, target, limits).map(|parts| NewDelivery {
            action: EventKind::New,
            parts,
            reply_to: message.reply_to,
        }),
        SourceEvent::Edited(message) => {
            content(message, target, limits).and_then(|parts| edit(parts, facts.parts))
        }
        SourceEvent::Deleted { .. } => deletion(facts.parts),
    };
    match planned {
        Ok(delivery) => RouteVerdict::Deliver(delivery),
        Err(reason) => RouteVerdict::Skip(reason),
    }
}

fn edit(mut parts: Vec<PartBody>, copies: Option<u16>) -> Result<NewDelivery, SkipReason> {
    let copies = usize::from(copies.ok_or(SkipReason::NotForwarded)?);
    if parts.len() > copies {
        return Err(SkipReason::EditTooLong);
    }
    parts.resize(copies, PartBody::Deletion);
    Ok(NewDelivery { action: EventKind::Edited, parts, reply_to: None })
}

fn deletion(copies: Option<u16>) -> Result<NewDelivery, SkipReason> {
    let copies = copies.filter(|copies| *copies > 0).ok_or(SkipReason::NotForwarded)?;
    let parts = vec![PartBody::Deletion; usize::from(copies)];
    Ok(NewDelivery { action: EventKind::Deleted, parts, reply_to: None })
}

/// What a message becomes at a target, or why it becomes nothing.
fn content(
    message: &Message,
    target: Platform,
    limits: &PipelineLimits,
) -> Result<Vec<PartBody>, SkipReason> {
    if let Some(reason) = filter::floor(message) {
        return Err(reason);
    }
    // A part holds at most as many characters as its limit says, so a longer text is known without writing it.
    let most = usize::from(limits.max_parts);
    let longest = limits.largest(target).saturating_mul(most);
    if message.text.text().trim().chars().nth(longest).is_some() {
        return Err(SkipReason::Unsupported);
    }
    let mut parts = parts(&message.text, target, limits);
    if parts.is_empty() {
        return Err(SkipReason::Empty);
    }
    if parts.len() > most {
        return Err(SkipReason::Unsupported);
    }
    parts.iter_mut().for_each(|part| attribute(part, message));
    Ok(parts)
}

/// Names the author beside the text, where the target may show it there.
fn attribute(part: &mut PartBody, message: &Message) {
    if let PartBody::Markdown { author, .. } = part {
        let name = message.sender.as_ref().map(|sender| sender.name.clone());
        *author = Some(Author { name, via: message.place.platform });
    }
}

/// A text as the messages it becomes at a target, in order. Nobody is named as their author.
#[must_use]
pub fn parts(text: &RichText, target: Platform, limits: &PipelineLimits) -> Vec<PartBody> {
    let limit = limits.largest(target);
    match target {
        Platform::Discord => {
            let fits = |piece: &RichText| convert::to_discord(piece).chars().count() <= limit;
            let pieces = split::split(text, &fits);
            let contents = pieces.iter().map(convert::to_discord);
            contents.map(|content| PartBody::Markdown { content, author: None }).collect()
        }
        Platform::Telegram => {
            let fits = |piece: &RichText| {
                piece.len_utf16() <= limit
                    && convert::for_telegram(piece).entities().len() <= limits.telegram_entities.max(1)
            };
            let pieces = split::split(text, &fits);
            // The server takes white space at both ends away, also in code.
            let texts = pieces.iter().map(|piece| convert::for_telegram(&cut::trim(piece)));
            texts.map(|text| PartBody::Rich { text }).collect()
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
