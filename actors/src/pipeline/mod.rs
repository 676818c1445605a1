//! Pure functions between intake and outbox: filter, convert, split.
//!
//! [`plan`] is what a pair asks for each event. Nothing in here reads a clock, a store or a setting that is not an argument.

pub mod convert;
mod cut;
pub mod filter;
pub mod split;

use serde::{Deserialize, Serialize};

use crate::model::{
    EventKind, Message, NewDelivery, Pair, PartBody, Platform, RichText, RouteVerdict, SkipReason,
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

/// Decides what a pair does with an event: deliver these parts, or skip for this reason.
///
/// Edits and deletions of forwarded messages are [`SkipReason::Unsupported`] until the message map carries them.
#[must_use]
pub fn plan(event: &SourceEvent, pair: &Pair, limits: &PipelineLimits) -> RouteVerdict {
    match event {
        SourceEvent::New(message) => match new_message(message, pair.target.platform, limits) {
            Ok(delivery) => RouteVerdict::Deliver(delivery),
            Err(reason) => RouteVerdict::Skip(reason),
        },
        SourceEvent::Edited(message) => {
            RouteVerdict::Skip(filter::floor(message).unwrap_or(SkipReason::Unsupported))
        }
        SourceEvent::Deleted { .. } => RouteVerdict::Skip(SkipReason::Unsupported),
    }
}

fn new_message(
    message: &Message,
    target: Platform,
    limits: &PipelineLimits,
) -> Result<NewDelivery, SkipReason> {
    if let Some(reason) = filter::floor(message) {
        return Err(reason);
    }
    // A part holds at most as many characters as its limit says, so a longer text is known without writing it.
    let most = usize::from(limits.max_parts);
    let longest = limits.largest(target).saturating_mul(most);
    if message.text.text().trim().chars().nth(longest).is_some() {
        return Err(SkipReason::Unsupported);
    }
    let parts = parts(&message.text, target, limits);
    if parts.is_empty() {
        return Err(SkipReason::Empty);
    }
    if parts.len() > most {
        return Err(SkipReason::Unsupported);
    }
    Ok(NewDelivery { action: EventKind::New, parts })
}

/// A text as the messages it becomes at a target, in order.
#[must_use]
pub fn parts(text: &RichText, target: Platform, limits: &PipelineLimits) -> Vec<PartBody> {
    let limit = limits.largest(target);
    match target {
        Platform::Discord => {
            let fits = |piece: &RichText| convert::to_discord(piece).chars().count() <= limit;
            let pieces = split::split(text, &fits);
            let contents = pieces.iter().map(convert::to_discord);
            contents.map(|content| PartBody::Markdown { content }).collect()
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
