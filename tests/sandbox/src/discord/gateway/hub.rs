//! The gateway's sessions: what each bot was told, kept for a while so that a lost connection can resume.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::intents::Intents;
use crate::discord::world::Bot;

/// Bounds of the gateway's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBounds {
    /// Events kept per session; a session that falls further behind is ended.
    pub replay_events: usize,
    /// Sessions kept in all; beyond it the one that was lost first is forgotten.
    pub sessions: usize,
    /// How long a session without a connection can be resumed, by the sandbox's clock.
    pub resume_window: Duration,
}

impl Default for SessionBounds {
    fn default() -> Self {
        Self { replay_events: 20_000, sessions: 10_000, resume_window: Duration::from_secs(180) }
    }
}

/// An event as a session was told it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) name: &'static str,
    /// The payload's `d`, as JSON.
    pub(crate) data: Arc<str>,
}

/// One identified session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) bot: Bot,
    pub(crate) intents: Intents,
    pub(crate) shard: Shard,
    /// Number of the last event.
    pub(crate) seq: u64,
    events: VecDeque<Event>,
    /// Which connection serves the session; another one that finds itself replaced ends.
    connection: u64,
    lost_at: Option<DateTime<Utc>>,
    wake: Arc<Notify>,
}

/// A part of a bot's guilds: `guild >> 22` modulo the count (discord.com/developers/docs/events/gateway#sharding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: u64,
    pub(crate) count: u64,
}

impl Shard {
    pub(crate) const ONLY: Self = Self { id: 0, count: 1 };

    pub(crate) fn has(self, guild: u64) -> bool {
        (guild >> 22).checked_rem(self.count) == Some(self.id)
    }
}

/// What a connection finds when it looks for new events.
pub(crate) enum Pending {
    Events(Vec<Event>),
    /// The session was taken over, forgotten, or has fallen too far behind.
    Gone,
}

/// Why a session cannot be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResumeError {
    /// Unknown, another bot's, expired, or the missed events are no longer kept.
    Invalid,
    /// The client claims to have seen what was never sent.
    FutureSeq,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    bounds: SessionBounds,
    sessions: HashMap<String, Session>,
    connections: u64,
}

impl Hub {
    pub(crate) fn new(bounds: SessionBounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Numbers a connection.
    pub(crate) fn connect(&mut self) -> u64 {
        self.connections = self.connections.saturating_add(1);
        self.connections
    }

    /// Opens a session for a connection; its first events are pushed by the caller.
    pub(crate) fn open(
        &mut self,
        id: &str,
        bot: Bot,
        intents: Intents,
        shard: Shard,
        connection: u64,
        now: DateTime<Utc>,
    ) -> Arc<Notify> {
        self.expire(now);
        self.make_room();
        let wake = Arc::new(Notify::new());
        let session = Session {
            bot,
            intents,
            shard,
            seq: 0,
            events: VecDeque::new(),
            connection,
            lost_at: None,
            wake: Arc::clone(&wake),
        };
        self.sessions.insert(id.to_owned(), session);
        wake
    }

    /// Hands a session to a new connection that has seen everything up to `seq`.
    pub(crate) fn resume(
        &mut self,
        id: &str,
        bot: u64,
        seq: u64,
        connection: u64,
        now: DateTime<Utc>,
    ) -> Result<Arc<Notify>, ResumeError> {
        self.expire(now);
        let session = self.sessions.get_mut(id).filter(|session| session.bot.id == bot);
        let session = session.ok_or(ResumeError::Invalid)?;
        if seq > session.seq {
            return Err(ResumeError::FutureSeq);
        }
        if !session.has_all_after(seq) {
            self.sessions.remove(id);
            return Err(ResumeError::Invalid);
        }
        session.connection = connection;
        session.lost_at = None;
        // Not lost if the old connection is busy and does not wait just now.
        session.wake.notify_one();
        session.wake = Arc::new(Notify::new());
        Ok(Arc::clone(&session.wake))
    }

    /// Tells one session an event.
    pub(crate) fn push(&mut self, id: &str, name: &'static str, data: Arc<str>) {
        let bound = self.bounds.replay_events;
        if let Some(session) = self.sessions.get_mut(id) {
            session.push(bound, name, data);
        }
    }

    /// Tells a session that it was resumed. What it has missed stays, however much that is.
    pub(crate) fn push_resumed(&mut self, id: &str, data: Arc<str>) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.push(usize::MAX, "RESUMED", data);
        }
    }

    /// Tells every session for which `data` answers a payload.
    pub(crate) fn broadcast(&mut self, name: &'static str, data: impl Fn(&Session) -> Option<Arc<str>>) {
        let bound = self.bounds.replay_events;
        for session in self.sessions.values_mut() {
            if let Some(data) = data(session) {
                session.push(bound, name, data);
            }
        }
    }

    /// The next events after `seq`, for the connection that serves the session.
    pub(crate) fn pending(&self, id: &str, connection: u64, seq: u64, limit: usize) -> Pending {
        let session = self.sessions.get(id).filter(|session| session.connection == connection);
        let Some(session) = session.filter(|session| session.has_all_after(seq)) else {
            return Pending::Gone;
        };
        let unseen = usize::try_from(session.seq.saturating_sub(seq)).unwrap_or(usize::MAX);
        let from = session.events.len().saturating_sub(unseen);
        Pending::Events(session.events.range(from..).take(limit).cloned().collect())
    }

    /// Keeps a session whose connection was lost, so that it can be resumed.
    pub(crate) fn lose(&mut self, id: &str, connection: u64, now: DateTime<Utc>) {
        if let Some(session) = self.sessions.get_mut(id).filter(|session| session.connection == connection) {
            session.lost_at = Some(now);
        }
    }

    /// Ends a session for good.
    pub(crate) fn end(&mut self, id: &str, connection: u64) {
        if self.sessions.get(id).is_some_and(|session| session.connection == connection) {
            self.sessions.remove(id);
        }
    }

    /// Ends all sessions of a bot; their connections find out at once.
    pub(crate) fn end_all(&mut self, bot: u64) {
        self.sessions.retain(|_, session| {
            if session.bot.id == bot {
                session.wake.notify_one();
            }
            session.bot.id != bot
        });
    }

    /// Forgets a bot's session, whoever serves it.
    pub(crate) fn forget(&mut self, id: &str, bot: u64) {
        if self.sessions.get(id).is_some_and(|session| session.bot.id == bot) {
            self.sessions.remove(id);
        }
    }

    /// Forgets sessions that were lost too long ago.
    fn expire(&mut self, now: DateTime<Utc>) {
        let window = TimeDelta::from_std(self.bounds.resume_window).unwrap_or(TimeDelta::MAX);
        self.sessions.retain(|_, session| session.lost_at.is_none_or(|lost| now - lost < window));
    }

    /// Makes room for one more session by forgetting those that were lost first.
    fn make_room(&mut self) {
        while self.sessions.len() >= self.bounds.sessions {
            let lost = self.sessions.iter().filter_map(|(id, session)| Some((session.lost_at?, id)));
            let Some(oldest) = lost.min().map(|(_, id)| id.clone()) else { return };
            self.sessions.remove(&oldest);
        }
    }
}

impl Session {
    fn push(&mut self, bound: usize, name: &'static str, data: Arc<str>) {
        self.seq = self.seq.saturating_add(1);
        while self.events.len() >= bound && self.events.pop_front().is_some() {}
        self.events.push_back(Event { seq: self.seq, name, data });
        self.wake.notify_one();
    }

    fn has_all_after(&self, seq: u64) -> bool {
        seq == self.seq || self.events.front().is_some_and(|first| first.seq <= seq.saturating_add(1))
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
