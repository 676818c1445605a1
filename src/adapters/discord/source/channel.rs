//! One source channel: how far it is read, and what is to be read before its live events count.

use std::collections::VecDeque;

use switchyard_actors::model::{ChatId, Cursor, CursorKey, CursorValue, MessageId, Place, SourceEvent};
use tokio::time::Instant;

use super::convert::{Converter, is_late_answer};
use super::told::Told;
use super::wire::RawMessage;

/// What stands between a channel and its live events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Where to begin is not known: the channel could not be looked up yet.
    Place,
    /// Messages after the last one seen are read.
    After,
    /// The newest messages seen before are read again, for edits and deletions that were never reported.
    Before,
    /// These messages are missing in what was read again: each is asked for before it counts as deleted.
    Confirm(VecDeque<MessageId>),
    /// Nothing: live events are handed on.
    Live,
}

/// A call that a channel waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The channel itself.
    Place,
    /// The messages after this one.
    After(i64),
    /// The newest messages up to this one.
    UpTo(i64),
    /// Whether a message still exists.
    Confirm(MessageId),
    /// A message that an update showed in part only.
    Edited(MessageId),
}

/// A channel that pairs read.
#[derive(Debug)]
pub(super) struct SourceChannel {
    pub(super) id: ChatId,
    /// The places that stand for it: a thread may be named by itself or within its channel.
    pub(super) places: Vec<Place>,
    pub(super) stage: Stage,
    /// Everything up to this message is in a unit.
    pub(super) last: i64,
    /// The cursor as it was handed out last.
    pub(super) written: Option<i64>,
    /// Up to which message history is read again; `None` where nothing was read before.
    pub(super) again: Option<i64>,
    /// Live events that wait for history.
    pub(super) held: VecDeque<Told>,
    /// Live events were dropped: once history is read, it is read again.
    pub(super) missed: bool,
    /// Messages that updates showed in part only.
    pub(super) partial: VecDeque<MessageId>,
    /// In line for a call, or under way.
    pub(super) queued: bool,
    pub(super) not_before: Option<Instant>,
    /// Why it cannot be read, in words for people.
    pub(super) trouble: Option<String>,
}

impl SourceChannel {
    fn new(id: ChatId, places: Vec<Place>, stage: Stage, last: i64) -> Self {
        Self {
            id,
            places,
            stage,
            last,
            written: None,
            again: None,
            held: VecDeque::new(),
            missed: false,
            partial: VecDeque::new(),
            queued: false,
            not_before: None,
            trouble: None,
        }
    }

    /// A channel that was read up to a message by an earlier connection.
    pub(super) fn known(id: ChatId, places: Vec<Place>, last: i64) -> Self {
        let known = Self::new(id, places, Stage::After, last);
        Self { written: Some(last), again: Some(last), ..known }
    }

    /// A channel that is read from its present last message on.
    pub(super) fn placed(id: ChatId, places: Vec<Place>, last: i64) -> Self {
        Self::new(id, places, Stage::After, last)
    }

    /// A channel that was not looked up yet, or could not be.
    pub(super) fn unplaced(id: ChatId, places: Vec<Place>, trouble: Option<String>) -> Self {
        Self { trouble, ..Self::new(id, places, Stage::Place, 0) }
    }

    /// What it waits for.
    pub(super) fn call(&self) -> Option<Call> {
        match &self.stage {
            Stage::Place => Some(Call::Place),
            Stage::After => Some(Call::After(self.last)),
            Stage::Before => Some(Call::UpTo(self.again.unwrap_or(self.last))),
            Stage::Confirm(missing) => missing.front().copied().map(Call::Confirm),
            Stage::Live => self.partial.front().copied().map(Call::Edited),
        }
    }

    /// Reads history anew, from the last message seen.
    pub(super) fn start_over(&mut self) {
        self.missed = false;
        self.stage = Stage::After;
        self.again = Some(self.last);
        self.held.clear();
        self.partial.clear();
    }

    /// Takes a live event's news. At most `partial_max` messages wait to be fetched; one more, and history is read anew.
    pub(super) fn take(
        &mut self,
        told: &Told,
        converter: &Converter<'_>,
        partial_max: usize,
        out: &mut Vec<SourceEvent>,
    ) {
        match told {
            Told::Written(raw) => self.written_message(raw, converter, out),
            Told::Changed(raw) if raw.edited_timestamp.is_none() => {
                if is_late_answer(raw) && raw.id.get() <= self.last {
                    self.each(raw, converter, out, SourceEvent::New);
                }
            }
            Told::Changed(raw) if raw.content.is_some() && raw.author.is_some() => {
                self.each(raw, converter, out, SourceEvent::Edited);
            }
            Told::Changed(raw) if self.partial.contains(&raw.id) => {}
            Told::Changed(_) if self.partial.len() >= partial_max => self.start_over(),
            Told::Changed(raw) => self.partial.push_back(raw.id),
            Told::Deleted(_, ids) => ids.iter().for_each(|id| self.deleted(*id, out)),
            Told::Named(..) => {}
        }
    }

    /// A message after the last one seen; others are in a unit already.
    pub(super) fn written_message(
        &mut self,
        raw: &RawMessage,
        converter: &Converter<'_>,
        out: &mut Vec<SourceEvent>,
    ) {
        if raw.id.get() > self.last {
            self.last = raw.id.get();
            self.each(raw, converter, out, SourceEvent::New);
        }
    }

    /// The present state of a message that was edited.
    pub(super) fn edited(&self, raw: &RawMessage, converter: &Converter<'_>, out: &mut Vec<SourceEvent>) {
        if raw.edited_timestamp.is_some() {
            self.each(raw, converter, out, SourceEvent::Edited);
        }
    }

    pub(super) fn deleted(&self, id: MessageId, out: &mut Vec<SourceEvent>) {
        out.extend(self.places.iter().map(|place| SourceEvent::Deleted { place: *place, id }));
    }

    fn each(
        &self,
        raw: &RawMessage,
        converter: &Converter<'_>,
        out: &mut Vec<SourceEvent>,
        event: impl Fn(switchyard_actors::model::Message) -> SourceEvent,
    ) {
        out.extend(self.places.iter().filter_map(|place| Some(event(converter.message(raw, *place)?))));
    }

    /// Its cursor, if that moved since it was handed out.
    pub(super) fn cursor(&mut self) -> Option<Cursor> {
        if self.stage == Stage::Place || self.written == Some(self.last) {
            return None;
        }
        self.written = Some(self.last);
        let key = CursorKey::DiscordChannel { chat: self.id };
        Some(Cursor { key, value: CursorValue::LastMessage { id: self.last } })
    }
}
