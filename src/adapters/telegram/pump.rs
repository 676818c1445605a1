//! The update pump: what Telegram tells of the source chats, as units of intake with the cursors behind them.
//!
//! Built on the client's message boxes, which know when a stream has a gap, and on nothing above them. One difference
//! is one unit. While a difference is outstanding no live update is looked at, so that order holds. A difference that
//! is too long to be told is replaced by history from the last message seen. A lost connection ends the pump: whoever
//! connects anew looks at the account's lease first and starts with differences of every stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use grammers_session::types::PeerInfo;
use grammers_session::updates::{MessageBoxes, UpdatesLike};
use grammers_tl_types as tl;
use switchyard_actors::model::{ChatId, Place, Platform, SourceEvent};
use switchyard_actors::ports::{ConnectionError, EventSource, IntakeUnit};
use tokio::time::{Instant, timeout_at};

use crate::config::TelegramConfig;

use super::book::{self, Book, channel_of, chat_id};
use super::events::{events, in_order};
use super::feed;
use super::history::CatchUp;
use super::ledger::CursorLedger;
use super::link::{Arrival, Inbox, Link};
use super::sources::input_peer;

/// Reads one connection's updates.
pub(crate) struct Pump {
    pub(crate) link: Arc<Link>,
    pub(crate) config: TelegramConfig,
    pub(crate) boxes: MessageBoxes,
    pub(crate) book: Book,
    pub(crate) ledger: CursorLedger,
    /// Histories that replace differences; while there are any, nothing else is read.
    pub(crate) catch_up: VecDeque<CatchUp>,
    /// Channels whose difference the server could not give, and when to ask again.
    pub(crate) again: BTreeMap<i64, Instant>,
    /// Finished units that were not yet asked for.
    pub(crate) ready: VecDeque<IntakeUnit>,
    /// Server time of the position where the connection began, Unix seconds.
    pub(crate) since: i32,
    /// The differences and histories of the beginning are not all read yet.
    beginning: bool,
    /// Some of them were handed out, and more follow.
    behind: bool,
    /// Source channels that can no longer be read, and why.
    pub(crate) lost: BTreeMap<i64, String>,
    inbox: Inbox,
    unsaved: Vec<PeerInfo>,
    flush_at: Option<Instant>,
    ping_at: Instant,
    /// When everything is asked for again unless something arrives.
    quiet_at: Instant,
    closed: Option<ConnectionError>,
}

impl Pump {
    /// A pump over a connection whose message boxes and cursors are set; it begins with differences of every stream.
    pub(crate) fn new(
        link: Arc<Link>,
        inbox: Inbox,
        config: TelegramConfig,
        boxes: MessageBoxes,
        book: Book,
        ledger: CursorLedger,
        since: i32,
    ) -> Self {
        let now = Instant::now();
        let ping_at = now + config.ping_interval;
        let quiet_at = now + config.difference_interval;
        let mut pump = Self {
            link,
            config,
            boxes,
            book,
            ledger,
            catch_up: VecDeque::new(),
            again: BTreeMap::new(),
            lost: BTreeMap::new(),
            beginning: true,
            behind: false,
            ready: VecDeque::new(),
            since,
            inbox,
            unsaved: Vec::new(),
            flush_at: Some(now),
            ping_at,
            quiet_at,
            closed: None,
        };
        pump.begin_all();
        pump
    }

    /// Asks for the differences of every stream.
    fn begin_all(&mut self) {
        // Both calls answer "gap" or nothing at all; what counts is that the boxes now want differences.
        let _ = self.boxes.process_updates(UpdatesLike::MalformedUpdates);
        let channels: Vec<i64> = self.ledger.followed().collect();
        for channel in channels {
            self.begin_channel(channel);
        }
    }

    /// Asks for a channel's difference.
    pub(crate) fn begin_channel(&mut self, channel: i64) {
        let _ = self.boxes.process_updates(feed::nudge(channel));
    }

    /// Does one thing that is due. Cancelling it loses nothing: what was read is kept in `self`.
    async fn step(&mut self) -> Result<(), ConnectionError> {
        if !self.catch_up.is_empty() {
            return self.read_history().await;
        }
        let now = Instant::now();
        if now >= self.ping_at {
            self.link.ping().await?;
            self.ping_at = Instant::now() + self.config.ping_interval;
        }
        if self.flush_at.is_some_and(|at| now >= at) {
            self.finish_unit(Vec::new());
            return Ok(());
        }
        if now >= self.quiet_at {
            self.quiet_at = now + self.config.difference_interval;
            self.begin_all();
        }
        self.nudge_due(now);
        let deadline = Instant::from_std(self.boxes.check_deadlines());
        if let Some(request) = self.boxes.get_difference() {
            return self.account_difference(request).await;
        }
        if let Some(request) = self.boxes.get_channel_difference() {
            return self.channel_difference(request).await;
        }
        if let Some(error) = &self.closed {
            return Err(error.clone());
        }
        self.beginning = false;
        if std::mem::take(&mut self.behind) {
            // Whoever shows how the account stands hears of it by a unit.
            self.ready.push_back(IntakeUnit { events: Vec::new(), cursors: Vec::new() });
            return Ok(());
        }
        let others = self.flush_at.into_iter().chain(self.again.values().copied());
        let wake_at = others.chain([deadline, self.quiet_at]).fold(self.ping_at, Instant::min);
        match timeout_at(wake_at, self.inbox.next()).await {
            Ok(Arrival::Updates(updates)) => {
                self.quiet_at = Instant::now() + self.config.difference_interval;
                self.take_live(*updates);
            }
            Ok(Arrival::Dropped) => self.begin_all(),
            Ok(Arrival::Closed) => self.close("the client ended"),
            Err(_) => {}
        }
        Ok(())
    }

    fn nudge_due(&mut self, now: Instant) {
        let due: Vec<i64> =
            self.again.iter().filter(|(_, at)| now >= **at).map(|(channel, _)| *channel).collect();
        for channel in due {
            self.again.remove(&channel);
            self.begin_channel(channel);
        }
    }

    /// Live updates, as many as wait, up to a full unit or a gap.
    fn take_live(&mut self, first: UpdatesLike) {
        let mut told = Vec::new();
        let mut next = Some(first);
        while let Some(updates) = next.take() {
            if matches!(updates, UpdatesLike::ConnectionClosed) {
                self.close("the server closed the connection");
                break;
            }
            let updates = feed::admit(updates, &self.book, &self.ledger);
            if let Ok((updates, users, chats)) = self.boxes.process_updates(updates) {
                self.learn(&users, &chats);
                told.extend(updates.iter().flat_map(|(update, _)| events(&self.book, update)));
            }
            let behind =
                self.boxes.get_difference().is_some() || self.boxes.get_channel_difference().is_some();
            if !behind && told.len() < self.config.events_per_unit.get() {
                next = self.inbox.ready().map(|updates| *updates);
            }
        }
        if told.is_empty() {
            self.flush_later();
        } else {
            self.finish_unit(told);
        }
    }

    /// A unit of these events, with every cursor that moved.
    pub(crate) fn finish_unit(&mut self, events: Vec<SourceEvent>) {
        self.flush_at = None;
        self.ledger.saw_events(&events);
        let cursors = self.ledger.tell(&self.boxes.session_state());
        self.behind |= self.beginning && !events.is_empty();
        if !events.is_empty() || !cursors.is_empty() {
            self.ready.push_back(IntakeUnit { events, cursors });
        }
    }

    /// A unit of a difference: what was written goes before what was changed or removed.
    pub(crate) fn finish_difference(&mut self, events: Vec<SourceEvent>) {
        if events.is_empty() {
            self.flush_later();
        } else {
            self.finish_unit(in_order(events));
        }
    }

    /// Cursors moved without an event: they are worth a write, but not one each.
    fn flush_later(&mut self) {
        if self.flush_at.is_none() && self.ledger.moved(&self.boxes.session_state()) {
            self.flush_at = Some(Instant::now() + self.config.cursor_interval);
        }
    }

    /// Learns from the people and chats that came with an answer. Of access hashes only those of source chats and of
    /// peers already kept matter.
    pub(crate) fn learn(&mut self, users: &[tl::enums::User], chats: &[tl::enums::Chat]) {
        self.book.learn(users, chats);
        let session = self.link.session();
        let matters = |peer: &PeerInfo| {
            let id = peer.id();
            chat_id(id).is_some_and(|chat| self.book.is_source(chat)) || session.known(id).is_some()
        };
        self.unsaved.extend(book::peers(users, chats).into_iter().filter(matters));
    }

    fn close(&mut self, why: &str) {
        self.closed = Some(ConnectionError::Unreachable(why.to_owned()));
    }
}

#[async_trait]
impl EventSource for Pump {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        loop {
            if !self.unsaved.is_empty() {
                self.link.session().remember(&self.unsaved).await?;
                self.unsaved.clear();
            }
            if let Some(unit) = self.ready.pop_front() {
                return Ok(unit);
            }
            self.step().await?;
        }
    }

    /// Until the differences of the beginning are read.
    fn catching_up(&self) -> bool {
        self.behind
    }

    fn troubles(&self) -> Vec<(Place, String)> {
        let why = |chat: ChatId| match channel_of(chat).and_then(|channel| self.lost.get(&channel)) {
            Some(why) => Some(why.clone()),
            None if input_peer(self.link.session(), chat).is_none() => {
                Some("the account cannot find this chat: it is no member, or the id is another's".to_owned())
            }
            None => None,
        };
        let place = |chat| Place { platform: Platform::Telegram, chat, thread: None };
        self.book.sources().filter_map(|chat| Some((place(chat), why(chat)?))).collect()
    }
}
