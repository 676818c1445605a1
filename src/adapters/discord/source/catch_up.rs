//! The reader's calls: history after the last message seen, the newest of what was seen before, single messages.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use switchyard_actors::model::{AccountId, ChatId, MessageId, Place};
use switchyard_actors::ports::{ConnectionError, IntakeUnit, RateLimitHint, SourceLog};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::channel::{Call, Stage};
use super::fetch::{Fetcher, PAGE, Page, Range, ReadError};
use super::lookup::{beginning, unreadable};
use super::reader::Reader;
use super::told::Told;
use super::wire::{RawChannel, RawMessage};

/// An answer to a call.
pub(super) enum Answer {
    Channel(RawChannel),
    After(Page),
    /// A page of what was seen before, and which of it was accepted; `None` where nobody knows.
    Seen(Page, Option<BTreeSet<MessageId>>),
    Message(Box<RawMessage>),
}

/// How a call ended.
pub(super) struct Done {
    channel: ChatId,
    call: Call,
    result: Result<(Answer, Option<RateLimitHint>), ReadError>,
}

/// What a call is made with.
struct Caller {
    fetcher: Fetcher,
    log: Option<Arc<dyn SourceLog>>,
    account: AccountId,
    channel: ChatId,
    places: Vec<Place>,
}

impl Caller {
    async fn make(self, call: Call) -> Done {
        let result = self.answer(call).await;
        Done { channel: self.channel, call, result }
    }

    async fn answer(&self, call: Call) -> Result<(Answer, Option<RateLimitHint>), ReadError> {
        match call {
            Call::Place => Ok((Answer::Channel(self.fetcher.channel(self.channel).await?), None)),
            Call::After(last) => {
                let (page, hint) = self.fetcher.page(self.channel, Range::After(last), PAGE).await?;
                Ok((Answer::After(page), hint))
            }
            Call::UpTo(last) => {
                let range = Range::Before(last.saturating_add(1));
                let limit = self.fetcher.config.reread_messages;
                let (page, hint) = self.fetcher.page(self.channel, range, limit).await?;
                Ok((Answer::Seen(page, self.accepted(last).await?), hint))
            }
            Call::Confirm(id) | Call::Edited(id) => {
                let (message, hint) = self.fetcher.message(self.channel, id).await?;
                Ok((Answer::Message(Box::new(message)), hint))
            }
        }
    }

    async fn accepted(&self, up_to: i64) -> Result<Option<BTreeSet<MessageId>>, ReadError> {
        let Some(log) = &self.log else { return Ok(None) };
        let limit = u32::try_from(self.fetcher.config.reread_messages).unwrap_or(u32::MAX);
        let mut known = BTreeSet::new();
        for place in &self.places {
            let found = log.accepted(self.account, *place, up_to, limit).await;
            known.extend(found.map_err(|error| ReadError::Passing(error.to_string()))?);
        }
        Ok(Some(known))
    }
}

impl Reader {
    /// Makes the calls that are due, within the bounds of pace and number.
    pub(super) fn start_calls(&mut self) {
        while self.calls.len() < self.fetcher.config.history_calls.get() {
            let now = Instant::now();
            let due = |id: &ChatId| {
                let channel = self.channels.get(id);
                channel.is_some_and(|channel| channel.not_before.is_none_or(|at| at <= now))
            };
            if now < self.calls_from {
                return;
            }
            let Some(index) = self.line.iter().position(due) else { return };
            let Some(id) = self.line.remove(index) else { return };
            let Some(channel) = self.channels.get_mut(&id) else { continue };
            let Some(call) = channel.call() else {
                channel.queued = false;
                continue;
            };
            let caller = Caller {
                fetcher: self.fetcher.clone(),
                log: self.log.clone(),
                account: self.account,
                channel: id,
                places: channel.places.clone(),
            };
            self.calls.push(Box::pin(caller.make(call)));
            self.calls_from = now + self.fetcher.config.history_interval;
        }
    }

    /// When the next call may be made; `None` while none waits, or as many as may be are under way.
    pub(super) fn next_call_at(&self) -> Option<Instant> {
        if self.calls.len() >= self.fetcher.config.history_calls.get() {
            return None;
        }
        let waiting = self.line.iter().filter_map(|id| self.channels.get(id));
        let first = waiting.map(|channel| channel.not_before.unwrap_or(self.calls_from)).min()?;
        Some(first.max(self.calls_from))
    }

    /// Takes an answer, or what a refusal means.
    ///
    /// # Errors
    /// [`ConnectionError`]: the connection as a whole is over.
    pub(super) fn take_answer(&mut self, done: Done) -> Result<(), ConnectionError> {
        let Done { channel: id, call, result } = done;
        let now = Instant::now();
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        channel.queued = false;
        channel.not_before = None;
        match result {
            Ok((answer, hint)) => {
                let spent = hint.filter(|hint| hint.remaining == 0);
                channel.not_before = spent.map(|hint| now + hint.reset_after);
                if channel.trouble.take().is_some() {
                    info!(channel = %id, "source channel can be read again");
                    self.tell_troubles();
                }
                self.take_result(id, call, answer);
            }
            Err(ReadError::Session(error)) => return Err(error),
            Err(ReadError::Wait { wait, all: true }) => self.calls_from = now + wait,
            Err(ReadError::Wait { wait, all: false }) => channel.not_before = Some(now + wait),
            Err(ReadError::Passing(error)) => {
                debug!(channel = %id, error, "history is asked for again later");
                channel.not_before = Some(now + self.fetcher.config.history_retry);
            }
            Err(ReadError::Gone) => self.take_absence(id, call),
            Err(ReadError::Refused(error)) => self.take_refusal(id, call, error),
        }
        self.line_up(id);
        Ok(())
    }

    fn take_result(&mut self, id: ChatId, call: Call, answer: Answer) {
        match answer {
            Answer::Channel(channel) => self.place(id, &channel),
            Answer::After(page) => self.take_page(id, &page),
            Answer::Seen(page, known) => self.take_seen(id, &page, known.as_ref()),
            Answer::Message(raw) => {
                let mut events = Vec::new();
                if let Call::Edited(_) = call {
                    self.with_converter(id, |channel, converter| {
                        channel.edited(&raw, converter, &mut events);
                    });
                }
                self.finish_unit(events, []);
                self.drop_first(id, call);
            }
        }
    }

    /// A channel begins after its present last message, but before what was told of it meanwhile.
    fn place(&mut self, id: ChatId, found: &RawChannel) {
        if let Some(why) = unreadable(found) {
            return self.take_refusal(id, Call::Place, why.to_owned());
        }
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let told = channel.held.iter().find_map(|news| match news {
            Told::Written(raw) => Some(raw.id.get().saturating_sub(1)),
            _ => None,
        });
        let last = beginning(id, found);
        channel.last = told.map_or(last, |told| told.min(last));
        channel.stage = Stage::After;
        channel.missed = false;
        self.finish_unit(Vec::new(), [id]);
    }

    fn take_page(&mut self, id: ChatId, page: &Page) {
        let mut events = Vec::new();
        self.with_converter(id, |channel, converter| {
            for raw in &page.messages {
                channel.written_message(raw, converter, &mut events);
            }
            // What could not be read is passed over too.
            channel.last = page.ids.last().map_or(channel.last, |newest| newest.get().max(channel.last));
        });
        self.finish_unit(events, [id]);
        if page.ids.len() >= PAGE {
            return;
        }
        let rereads = self.fetcher.config.reread_messages > 0;
        match self.channels.get_mut(&id) {
            Some(channel) if rereads && channel.again.is_some() => channel.stage = Stage::Before,
            _ => self.go_live(id),
        }
    }

    /// Edits of what was accepted; what was accepted and is missing is asked for.
    fn take_seen(&mut self, id: ChatId, page: &Page, known: Option<&BTreeSet<MessageId>>) {
        let oldest = self.edits_from();
        let mut events = Vec::new();
        self.with_converter(id, |channel, converter| {
            for raw in &page.messages {
                let matters = known.is_none_or(|known| known.contains(&raw.id));
                if matters && raw.edited_timestamp.is_some_and(|at| at >= oldest) {
                    channel.edited(raw, converter, &mut events);
                }
            }
        });
        self.finish_unit(events, []);
        // A full page says nothing of what is older than its oldest message.
        let is_full = page.ids.len() >= self.fetcher.config.reread_messages.min(PAGE);
        let from = page.ids.first().filter(|_| is_full).copied();
        let missing: VecDeque<MessageId> = known
            .into_iter()
            .flatten()
            .filter(|id| from.is_none_or(|from| **id > from) && page.ids.binary_search(id).is_err())
            .copied()
            .collect();
        match self.channels.get_mut(&id) {
            Some(channel) if !missing.is_empty() => channel.stage = Stage::Confirm(missing),
            _ => self.go_live(id),
        }
    }

    fn edits_from(&self) -> DateTime<Utc> {
        let age = TimeDelta::from_std(self.fetcher.config.reread_age).unwrap_or(TimeDelta::MAX);
        self.clock.now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// A message that was asked for does not exist.
    fn take_absence(&mut self, id: ChatId, call: Call) {
        match call {
            Call::Confirm(message) => {
                let mut events = Vec::new();
                if let Some(channel) = self.channels.get(&id) {
                    channel.deleted(message, &mut events);
                }
                self.finish_unit(events, []);
                self.drop_first(id, call);
            }
            Call::Edited(_) => self.drop_first(id, call),
            Call::Place | Call::After(_) | Call::UpTo(_) => {
                self.take_refusal(id, call, "the channel does not exist".to_owned());
            }
        }
    }

    /// The channel is refused. Single messages are let go; a history is tried again after a while.
    fn take_refusal(&mut self, id: ChatId, call: Call, error: String) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        match call {
            Call::Confirm(_) => {
                warn!(channel = %id, error, "it cannot be told which messages of a source channel are deleted");
                channel.stage = Stage::Confirm(VecDeque::new());
                self.go_live(id);
            }
            Call::Edited(message) => {
                warn!(channel = %id, %message, error, "an edited message of a source channel cannot be read");
                self.drop_first(id, call);
            }
            Call::Place | Call::After(_) | Call::UpTo(_) => {
                channel.not_before = Some(Instant::now() + self.fetcher.config.source_retry);
                if channel.trouble.as_ref() != Some(&error) {
                    warn!(channel = %id, error, "source channel cannot be read");
                    channel.trouble = Some(error);
                    self.tell_troubles();
                }
            }
        }
    }

    /// The first single message in line is done with.
    fn drop_first(&mut self, id: ChatId, call: Call) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        match (&mut channel.stage, call) {
            (Stage::Confirm(missing), Call::Confirm(_)) => {
                missing.pop_front();
                if missing.is_empty() {
                    self.go_live(id);
                }
            }
            (_, Call::Edited(message)) => channel.partial.retain(|waiting| *waiting != message),
            _ => {}
        }
    }

    /// A unit of nothing: whoever reads looks at what is in trouble.
    fn tell_troubles(&mut self) {
        self.ready.push_back(IntakeUnit { events: Vec::new(), cursors: Vec::new() });
    }
}
