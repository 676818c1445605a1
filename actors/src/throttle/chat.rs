//! A chat: the budgets, hold and rate-limit headers that its lanes share, and the lanes whose heads wait for them.

use std::collections::VecDeque;
use std::time::Duration;

use super::Class;
use super::class::{PerClass, Turn};
use super::ids::Lane;
use super::profiles::Budget;
use super::window::{Ask, Room, Window};
use crate::ports::RateLimitHint;

/// How long a limit learned from headers is kept after they last told it.
const LEARNED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the last headers allow until their window ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    pub(super) left: u32,
    pub(super) reset_at: Duration,
}

/// The head that stands for its chat among the ready ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) lane: Lane,
    pub(super) class: Class,
    /// It is the one message of a lane that was idle.
    pub(super) lone: bool,
}

/// What the lanes of one chat share.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) windows: Vec<Window>,
    pub(super) held_until: Option<Duration>,
    pub(super) gate: Option<Gate>,
    /// Headers were seen: until then requests go one at a time, where the platform has headers.
    pub(super) headers_known: bool,
    /// When the request was sent whose headers were applied last: older answers say less.
    headers_of: Option<Duration>,
    /// Until when a limit that differs from the profile's is kept.
    learned_until: Option<Duration>,
    pub(super) in_flight: u32,
    /// Lanes that the limiter knows of this chat.
    pub(super) lanes: u32,
    pub(super) waiting: PerClass<VecDeque<Lane>>,
    pub(super) candidate: Option<Candidate>,
    pub(super) turn: Turn,
    /// Turns to pass for what went at more than the cost of one.
    pub(super) debt: u32,
    /// When its waiting heads are looked at again.
    pub(super) wake: Option<Duration>,
    pub(super) sweep_planned: bool,
}

impl Chat {
    pub(super) fn new(budgets: impl Iterator<Item = Budget>, has_headers: bool) -> Self {
        Self {
            windows: budgets.map(Window::new).collect(),
            held_until: None,
            gate: None,
            headers_known: !has_headers,
            headers_of: None,
            learned_until: None,
            in_flight: 0,
            lanes: 0,
            waiting: PerClass::default(),
            candidate: None,
            turn: Turn::default(),
            debt: 0,
            wake: None,
            sweep_planned: false,
        }
    }

    /// Forgets what no longer counts.
    pub(super) fn prune(&mut self, now: Duration) {
        self.windows.iter_mut().for_each(|window| window.prune(now));
        self.held_until = self.held_until.filter(|until| *until > now);
        self.gate = self.gate.filter(|gate| gate.reset_at > now);
    }

    /// When the chat has room; [`Chat::prune`] first.
    pub(super) fn room(&self, now: Duration, ask: Ask) -> Room {
        let held = self.held_until.map_or(Room::Now, Room::At);
        let gated = match self.gate {
            Some(gate) if gate.left == 0 => Room::At(gate.reset_at),
            _ => Room::Now,
        };
        let alone = if self.headers_known || self.in_flight == 0 { Room::Now } else { Room::AfterAnswer };
        let room = held.max(gated).max(alone);
        self.windows.iter().map(|window| window.room(now, ask)).fold(room, Room::max)
    }

    /// The class whose head stands for the chat next.
    pub(super) fn next_class(&self) -> Option<(Class, bool)> {
        self.turn.choose(&self.heads())
    }

    fn heads(&self) -> PerClass<bool> {
        let candidate = self.candidate.map(|candidate| candidate.class);
        PerClass::each(|class| candidate == Some(class) || !self.waiting.get(class).is_empty())
    }

    /// A head goes.
    pub(super) fn take(&mut self, now: Duration, ask: Ask) {
        let backfill_waits = *self.heads().get(Class::Backfill);
        self.turn.went(ask.class, backfill_waits);
        self.candidate = None;
        self.in_flight = self.in_flight.saturating_add(1);
        if let Some(gate) = &mut self.gate {
            gate.left = gate.left.saturating_sub(1);
        }
        self.windows.iter_mut().for_each(|window| window.take(now, ask));
    }

    /// A grant was never used.
    pub(super) fn give_back(&mut self, cost: u32, granted_at: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let after_headers = self.headers_of.is_some_and(|sent| sent <= granted_at);
        if let Some(gate) = self.gate.as_mut().filter(|_| after_headers) {
            gate.left = gate.left.saturating_add(1);
        }
        self.windows.iter_mut().for_each(|window| window.give_back(cost));
    }

    /// A request was answered, or given up.
    pub(super) fn settle(&mut self, now: Duration, cost: u32, floor: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.windows.iter_mut().for_each(|window| window.settle(now, cost, floor));
    }

    /// Applies the headers of the answer to a request that was sent at `sent_at`; answers whether a limit changed.
    pub(super) fn apply(&mut self, now: Duration, sent_at: Duration, hint: &RateLimitHint) -> bool {
        self.headers_known = true;
        if self.headers_of.is_some_and(|applied| applied > sent_at) {
            return false;
        }
        self.headers_of = Some(sent_at);
        // What is in flight may not be counted yet in what is left.
        let left = hint.remaining.saturating_sub(self.in_flight);
        self.gate = Some(Gate { left, reset_at: now.saturating_add(hint.reset_after) });
        let spoken_of = |window: &&mut Window| window.budget().headers;
        let changed = self
            .windows
            .iter_mut()
            .filter(spoken_of)
            .fold(false, |changed, window| window.adopt(hint) | changed);
        if self.windows.iter().any(Window::is_learned) {
            self.learned_until = Some(now.saturating_add(LEARNED_KEPT));
        }
        changed
    }

    /// Takes over a limit that an earlier process learned.
    pub(super) fn learn(&mut self, now: Duration, limit: u32, span: Duration) {
        self.windows
            .iter_mut()
            .filter(|window| window.budget().headers)
            .for_each(|window| window.learn(limit.max(1), span));
        self.learned_until = Some(now.saturating_add(LEARNED_KEPT));
    }

    /// When nothing of it means anything any more, if no lane needs it.
    pub(super) fn quiet_at(&self) -> Option<Duration> {
        let windows = self.windows.iter().filter_map(Window::quiet_at).max();
        let gate = self.gate.map(|gate| gate.reset_at);
        [windows, gate, self.held_until, self.learned_until].into_iter().flatten().max()
    }
}
