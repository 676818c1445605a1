//! The event source of a bot: live events of channels whose history is read, history of the others.
//!
//! Each source channel goes its own way: while one is behind, its live events wait, and those of the others are handed
//! on. Where more wait than may, they are dropped and history is read once more: nothing is lost by that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serenity::model::event::Event;
use switchyard_actors::model::{AccountId, ChatId, Place, SourceEvent};
use switchyard_actors::ports::{Clock, ConnectionError, EventSource, IntakeUnit, SourceLog, Steering};
use tokio::time::{Instant, sleep_until};

use super::super::gateway::Gateway;
use super::catch_up::Done;
use super::channel::{SourceChannel, Stage};
use super::convert::Converter;
use super::fetch::Fetcher;
use super::lookup::Sources;
use super::names::NameBook;
use super::told::{Told, told};

/// Targets may come and go; another source needs a connection of its own.
pub(in super::super) struct SameSources(pub(in super::super) BTreeSet<Place>);

impl Steering for SameSources {
    fn steer(&self, sources: &[Place], _targets: &[Place]) -> bool {
        sources.iter().all(|place| self.0.contains(place))
    }
}

/// What a reader is made of.
pub(in super::super) struct ReaderParts {
    pub(in super::super) gateway: Gateway,
    pub(in super::super) fetcher: Fetcher,
    pub(in super::super) sources: Sources,
    pub(in super::super) account: AccountId,
    pub(in super::super) own_id: i64,
    pub(in super::super) clock: Arc<dyn Clock>,
    /// What was accepted before; without it deletions made while nobody listened stay unseen.
    pub(in super::super) log: Option<Arc<dyn SourceLog>>,
}

/// Reads one session's source channels.
pub(in super::super) struct Reader {
    gateway: Gateway,
    pub(super) fetcher: Fetcher,
    pub(super) account: AccountId,
    own_id: i64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Option<Arc<dyn SourceLog>>,
    names: NameBook,
    pub(super) channels: BTreeMap<ChatId, SourceChannel>,
    /// Channels that wait for a call, in turn.
    pub(super) line: VecDeque<ChatId>,
    pub(super) calls: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Live events that wait for history, in all channels.
    held: usize,
    /// Finished units that were not yet asked for.
    pub(super) ready: VecDeque<IntakeUnit>,
    /// Some of what was written before it connected was handed out, and more follows.
    behind: bool,
    /// Before this no call is made.
    pub(super) calls_from: Instant,
}

impl Reader {
    pub(in super::super) fn new(parts: ReaderParts) -> Self {
        let Sources { channels, names, .. } = parts.sources;
        let mut reader = Self {
            gateway: parts.gateway,
            fetcher: parts.fetcher,
            account: parts.account,
            own_id: parts.own_id,
            clock: parts.clock,
            log: parts.log,
            names,
            channels: channels.into_iter().map(|channel| (channel.id, channel)).collect(),
            line: VecDeque::new(),
            calls: FuturesUnordered::new(),
            held: 0,
            ready: VecDeque::new(),
            behind: false,
            calls_from: Instant::now(),
        };
        let retry = reader.calls_from + reader.fetcher.config.source_retry;
        let all: Vec<ChatId> = reader.channels.keys().copied().collect();
        for id in &all {
            if let Some(channel) = reader.channels.get_mut(id).filter(|channel| channel.trouble.is_some()) {
                channel.not_before = Some(retry);
            }
            reader.line_up(*id);
        }
        // Where new channels begin is known from now on.
        reader.finish_unit(Vec::new(), all);
        reader
    }

    /// Puts a channel in line for the call that it waits for.
    pub(super) fn line_up(&mut self, id: ChatId) {
        if let Some(channel) = self.channels.get_mut(&id)
            && !channel.queued
            && channel.call().is_some()
        {
            channel.queued = true;
            self.line.push_back(id);
        }
    }

    /// A unit of these events, with the cursors of these channels where they moved.
    pub(super) fn finish_unit(&mut self, events: Vec<SourceEvent>, of: impl IntoIterator<Item = ChatId>) {
        let channels = &mut self.channels;
        let cursors: Vec<_> = of.into_iter().filter_map(|id| channels.get_mut(&id)?.cursor()).collect();
        self.behind |= !events.is_empty() && is_behind(channels);
        if !events.is_empty() || !cursors.is_empty() {
            self.ready.push_back(IntakeUnit { events, cursors });
        }
    }

    /// Live events, as many as wait, up to a full unit.
    fn take_live(&mut self, first: &Event) {
        let (mut events, mut moved) = (Vec::new(), BTreeSet::new());
        let mut news = told(first);
        loop {
            if let Some(news) = news.take() {
                moved.extend(self.take(news, &mut events));
            }
            if events.len() >= self.fetcher.config.events_per_unit.get() {
                break;
            }
            let Some(next) = self.gateway.waiting() else { break };
            news = told(&next);
        }
        self.finish_unit(events, moved);
    }

    /// One event; answers the channel that it moved.
    fn take(&mut self, news: Told, events: &mut Vec<SourceEvent>) -> Option<ChatId> {
        let id = match &news {
            Told::Written(raw) | Told::Changed(raw) => raw.channel_id,
            Told::Deleted(channel, _) => *channel,
            Told::Named(..) => {
                self.learn(news);
                return None;
            }
        };
        let channel = self.channels.get_mut(&id)?;
        if channel.stage == Stage::Live {
            self.apply(id, &news, events);
            self.line_up(id);
            return Some(id);
        }
        if channel.trouble.is_none() && self.held < self.fetcher.config.events_capacity.get() {
            self.held += 1;
            channel.held.push_back(news);
        } else {
            self.held = self.held.saturating_sub(channel.held.len());
            channel.held.clear();
            channel.missed = true;
        }
        None
    }

    fn learn(&mut self, news: Told) {
        if let Told::Named(channels, roles) = news {
            channels.into_iter().for_each(|(id, name)| self.names.channel(id, name));
            roles.into_iter().for_each(|(id, name)| self.names.role(id, name));
        }
    }

    fn apply(&mut self, id: ChatId, news: &Told, events: &mut Vec<SourceEvent>) {
        let converter = Converter { names: &self.names, own_id: self.own_id };
        let max = self.fetcher.config.events_capacity.get();
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.take(news, &converter, max, events);
        }
    }

    /// A channel with what converts its messages.
    pub(super) fn with_converter<T>(
        &mut self,
        id: ChatId,
        act: impl FnOnce(&mut SourceChannel, &Converter<'_>) -> T,
    ) -> Option<T> {
        let converter = Converter { names: &self.names, own_id: self.own_id };
        Some(act(self.channels.get_mut(&id)?, &converter))
    }

    /// History is read: what was told meanwhile follows, unless some of it was dropped.
    pub(super) fn go_live(&mut self, id: ChatId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let held = std::mem::take(&mut channel.held);
        self.held = self.held.saturating_sub(held.len());
        if channel.missed {
            channel.start_over();
            return;
        }
        channel.stage = Stage::Live;
        channel.again = None;
        let mut events = Vec::new();
        for news in &held {
            self.apply(id, news, &mut events);
        }
        self.finish_unit(events, [id]);
        if self.behind && !is_behind(&self.channels) {
            self.behind = false;
            // Whoever shows how the account stands hears of it by a unit.
            self.ready.push_back(IntakeUnit { events: Vec::new(), cursors: Vec::new() });
        }
    }
}

/// Whether history of a channel is still read.
fn is_behind(channels: &BTreeMap<ChatId, SourceChannel>) -> bool {
    channels.values().any(|channel| channel.stage != Stage::Live && channel.trouble.is_none())
}

#[async_trait]
impl EventSource for Reader {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Ok(unit);
            }
            self.start_calls();
            let wake_at = self.next_call_at();
            let now = Instant::now();
            tokio::select! {
                event = self.gateway.event() => self.take_live(&event?),
                Some(done) = self.calls.next(), if !self.calls.is_empty() => self.take_answer(done)?,
                () = sleep_until(wake_at.unwrap_or(now)), if wake_at.is_some() => {}
            }
        }
    }

    fn catching_up(&self) -> bool {
        self.behind
    }

    fn steering(&self) -> Option<Arc<dyn Steering>> {
        Some(Arc::new(SameSources(
            self.channels.values().flat_map(|channel| channel.places.clone()).collect(),
        )))
    }

    fn troubles(&self) -> Vec<(Place, String)> {
        let troubled =
            self.channels.values().filter_map(|channel| Some((channel, channel.trouble.as_ref()?)));
        troubled.flat_map(|(channel, why)| channel.places.iter().map(|place| (*place, why.clone()))).collect()
    }
}
