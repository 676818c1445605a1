//! The limiter of one identity: takes reservations, grants sends, hears how they ended.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use super::booking::{Arrears, Booking};
use super::chat::{Candidate, Chat};
use super::class::Class;
use super::fair::{Fair, Pick};
use super::hold::{self, Jitter};
use super::ids::{GrantId, Lane, TicketId};
use super::lane::{LONE_IDLE, LaneState, LaneStatus, Ticket};
use super::profiles::{ChatKey, Profile};
use super::rtt::RttFloor;
use super::window::{Ask, Room, Window};
use crate::model::HoldScope;
use crate::ports::RateLimitHint;

/// Most turns that a chat passes for one heavy message: an album has at most ten items.
const DEBT_MAX: u32 = 9;

/// How long a request may still be on its way whose sender is gone: as long as nothing goes after a restart.
const UNDER_WAY: Duration = super::state::START_SILENCE;

/// How a granted send ended, as far as limits are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether and when the platform answered.
    pub answer: Answer,
    /// The rate-limit headers of the answer, if it had any.
    pub hint: Option<RateLimitHint>,
    /// A wait that the platform asked for: its scope and its length as told.
    pub hold: Option<(HoldScope, Duration)>,
}

/// Whether the platform answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did; the slot counts from now.
    Answered {
        /// From handing the request over to the answer.
        rtt: Duration,
    },
    /// No answer came in time: the platform may have counted the request at any time until now.
    GaveUp,
    /// Whoever sent it is gone without having heard: the request may still be on its way.
    Abandoned,
    /// Nothing was sent: the slot is free again at once.
    NotSent,
}

/// What may go now, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Reservations that may be sent, in the order in which they were granted.
    pub granted: Vec<(TicketId, GrantId)>,
    /// When something that waits may go, unless an answer or a reservation changes it before; `None` if nothing
    /// waits for a time.
    pub wake_at: Option<Duration>,
}

/// A send that is under way.
#[derive(Clone, Copy, Debug)]
struct Grant {
    lane: Lane,
    cost: u32,
    at: Duration,
}

/// Limits, lanes and fairness of one identity.
#[derive(Debug)]
pub struct Limiter {
    pub(super) profile: Profile,
    jitter: Jitter,
    pub(super) now: Duration,
    pub(super) rtt: RttFloor,
    pub(super) account: Vec<Window>,
    pub(super) held_until: Option<Duration>,
    /// After a restart nothing goes until the short windows of the process before have passed.
    pub(super) silent_until: Option<Duration>,
    pub(super) chats: HashMap<ChatKey, Chat>,
    pub(super) lanes: HashMap<Lane, LaneState>,
    tickets: HashMap<TicketId, Lane>,
    grants: HashMap<GrantId, Grant>,
    fair: Fair,
    /// When the heads that wait in a chat are looked at again: exactly the chats' own alarms, by time.
    wakes: BTreeSet<(Duration, ChatKey)>,
    /// Lanes that went idle, in order of time.
    idle: VecDeque<(Duration, Lane)>,
    /// Chats without lanes, by when they mean nothing any more.
    sweeps: BinaryHeap<Reverse<(Duration, ChatKey)>>,
    last_id: u64,
    pub(super) granted: u64,
    pub(super) holds: u64,
    /// Chats and lanes looked at: what decisions cost.
    pub(super) examined: u64,
    pub(super) unsaved: bool,
    pub(super) booking: Booking,
    /// The last state was taken: nothing is granted any more.
    pub(super) closed: bool,
    /// What an earlier process may have sent after it last told; charged to every chat.
    pub(super) arrears: Option<Arrears>,
}

impl Limiter {
    /// A limiter that knows nothing yet. The seed drives the spread of holds.
    #[must_use]
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            account: profile.account_budgets().map(Window::new).collect(),
            profile,
            jitter: Jitter::new(seed),
            now: Duration::ZERO,
            rtt: RttFloor::default(),
            held_until: None,
            silent_until: None,
            chats: HashMap::new(),
            lanes: HashMap::new(),
            tickets: HashMap::new(),
            grants: HashMap::new(),
            fair: Fair::default(),
            wakes: BTreeSet::new(),
            idle: VecDeque::new(),
            sweeps: BinaryHeap::new(),
            last_id: 0,
            granted: 0,
            holds: 0,
            examined: 0,
            unsaved: false,
            booking: Booking::default(),
            closed: false,
            arrears: None,
        }
    }

    /// Asks for one send to a lane, which counts as `cost` messages (an album as its items; 0 counts as 1). It waits
    /// behind the lane's earlier reservations until [`Limiter::poll`] grants it.
    pub fn reserve(&mut self, now: Duration, lane: Lane, cost: u32, class: Class) -> TicketId {
        let now = self.tick(now);
        let id = TicketId(self.next_id());
        let key = self.profile.chat_of(lane);
        let known = self.lanes.contains_key(&lane);
        let chat = self.chat_mut(key);
        if !known {
            chat.lanes = chat.lanes.saturating_add(1);
        }
        let state = self.lanes.entry(lane).or_insert_with(LaneState::new);
        let idle = matches!(state.status, LaneStatus::Idle { .. });
        let lone = idle && (!known || state.is_forgotten(now));
        state.queue.push_back(Ticket { id, cost: cost.max(1), class, lone });
        self.tickets.insert(id, lane);
        if idle {
            state.status = LaneStatus::Waiting;
            self.chat_mut(key).waiting.get_mut(class).push_back(lane);
            self.promote(now, key);
        }
        id
    }

    /// The connection was made anew: what was measured on the old one no longer holds.
    pub fn reconnected(&mut self) {
        self.rtt = RttFloor::default();
    }

    /// Takes a reservation back; one that was granted or never made is left alone.
    pub fn cancel(&mut self, now: Duration, ticket: TicketId) {
        let now = self.tick(now);
        let Some(lane) = self.tickets.remove(&ticket) else { return };
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        let Some(place) = state.queue.iter().position(|waiting| waiting.id == ticket) else { return };
        let removed = state.queue.remove(place);
        let (0, Some(removed)) = (place, removed) else { return };
        // The head of the lane changed, and with it perhaps the class in which the lane waits.
        let key = self.profile.chat_of(lane);
        match state.status {
            LaneStatus::Candidate => {
                self.fair.withdraw(removed.class, key);
                self.chat_mut(key).candidate = None;
            }
            LaneStatus::Waiting => {
                self.chat_mut(key).waiting.get_mut(removed.class).retain(|other| *other != lane);
            }
            LaneStatus::Busy | LaneStatus::Idle { .. } => return,
        }
        self.settle_lane(now, key, lane);
        self.promote(now, key);
    }

    /// Grants everything that may go now.
    pub fn poll(&mut self, now: Duration) -> Polled {
        let now = self.tick(now);
        let mut granted = Vec::new();
        if self.closed {
            return Polled::default();
        }
        if let Some(until) = self.frozen_until(now) {
            return Polled { granted, wake_at: (!self.tickets.is_empty()).then_some(until) };
        }
        self.account.iter_mut().for_each(|window| window.prune(now));
        while let Some((_, key)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.promote(now, key);
        }
        // Who has not persisted what is overdrawn by now does not mean to.
        let bound = !self.is_overdrawn();
        let account_wake = loop {
            let Some(pick) = self.fair.pick() else { break None };
            match self.try_grant(now, pick, bound, &mut granted) {
                Room::Now => {}
                Room::At(at) => break Some(at),
                Room::AfterAnswer => break None,
            }
        };
        let chat_wake = self.wakes.first().map(|(at, _)| *at);
        let wake_at = [account_wake, chat_wake].into_iter().flatten().min();
        Polled { granted, wake_at }
    }

    /// Hears how a granted send ended. A grant that is not under way is ignored.
    pub fn done(&mut self, now: Duration, grant: GrantId, done: Done) {
        let now = self.tick(now);
        let Some(grant) = self.grants.remove(&grant) else { return };
        let key = self.profile.chat_of(grant.lane);
        self.settle(now, key, grant, done.answer);
        if let Some(hint) = done.hint {
            self.unsaved |= self.chat_mut(key).apply(now, grant.at, &hint);
        }
        if let Some((scope, wait)) = done.hold {
            self.hold(now, key, scope, wait);
        }
        self.settle_lane(now, key, grant.lane);
        self.promote(now, key);
    }

    /// Hears of a wait that the platform asked for with the answer to a send which this limiter knows nothing of.
    pub fn told(&mut self, now: Duration, lane: Lane, scope: HoldScope, wait: Duration) {
        let now = self.tick(now);
        let key = self.profile.chat_of(lane);
        self.hold(now, key, scope, wait);
        self.sweep(now, key);
        self.promote(now, key);
    }

    fn settle(&mut self, now: Duration, key: ChatKey, grant: Grant, answer: Answer) {
        let (counted, floor) = match answer {
            Answer::NotSent => {
                self.account.iter_mut().for_each(|window| window.give_back(grant.cost));
                self.chat_mut(key).give_back(grant.cost, grant.at);
                return;
            }
            Answer::Answered { rtt } => {
                self.rtt.sample(now, rtt);
                (now, self.rtt.floor(now))
            }
            Answer::GaveUp => (now, Duration::ZERO),
            Answer::Abandoned => (now.saturating_add(UNDER_WAY), Duration::ZERO),
        };
        self.account.iter_mut().for_each(|window| window.settle(counted, grant.cost, floor));
        self.chat_mut(key).settle(counted, grant.cost, floor);
    }

    fn hold(&mut self, now: Duration, key: ChatKey, scope: HoldScope, wait: Duration) {
        let until = Some(now.saturating_add(hold::length(wait, &mut self.jitter)));
        match scope {
            HoldScope::Chat => {
                let chat = self.chat_mut(key);
                chat.held_until = chat.held_until.max(until);
            }
            HoldScope::Account | HoldScope::Egress => self.held_until = self.held_until.max(until),
        }
        self.holds = self.holds.saturating_add(1);
        self.unsaved = true;
    }

    /// Grants the picked chat's head if everything on its path has room; says when to look again if it has not.
    fn try_grant(
        &mut self,
        now: Duration,
        pick: Pick,
        bound: bool,
        granted: &mut Vec<(TicketId, GrantId)>,
    ) -> Room {
        self.examined = self.examined.saturating_add(1);
        let (key, remembers) = (pick.chat, self.remembers());
        let Some((chat, candidate, state, ticket)) = head_of(&mut self.chats, &mut self.lanes, key) else {
            self.fair.withdraw(pick.class, key);
            return Room::Now;
        };
        if chat.debt > 0 && !pick.lone {
            chat.debt -= 1;
            self.fair.pass(pick);
            return Room::Now;
        }
        let ask = Ask { cost: ticket.cost, class: ticket.class, lone: candidate.lone, due: pick.due };
        let room = self.account.iter().map(|window| window.room(now, ask)).fold(Room::Now, Room::max);
        if room != Room::Now {
            return room;
        }
        if bound && remembers && !self.booking.covers(now, ticket.cost) {
            self.booking.want(ticket.cost);
            return Room::At(now);
        }
        self.booking.spend(ticket.cost);
        state.queue.pop_front();
        state.status = LaneStatus::Busy;
        chat.take(now, ask);
        chat.debt = ticket.cost.saturating_sub(1).min(DEBT_MAX);
        self.account.iter_mut().for_each(|window| window.take(now, ask));
        self.fair.take(pick);
        self.tickets.remove(&ticket.id);
        let id = GrantId(self.next_id());
        self.grants.insert(id, Grant { lane: candidate.lane, cost: ticket.cost, at: now });
        self.granted = self.granted.saturating_add(1);
        granted.push((ticket.id, id));
        self.promote(now, key);
        Room::Now
    }

    /// Puts a lane whose head changed where it belongs: among the waiting of its chat, or to rest.
    fn settle_lane(&mut self, now: Duration, key: ChatKey, lane: Lane) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        if let Some(head) = state.queue.front() {
            let class = head.class;
            state.status = LaneStatus::Waiting;
            self.chat_mut(key).waiting.get_mut(class).push_back(lane);
        } else {
            state.status = LaneStatus::Idle { since: now };
            self.idle.push_back((now.saturating_add(LONE_IDLE), lane));
        }
    }

    /// Decides which head stands for a chat: makes it a candidate if the chat has room, else sets the chat's alarm.
    pub(super) fn promote(&mut self, now: Duration, key: ChatKey) {
        self.examined = self.examined.saturating_add(1);
        let Some(chat) = self.chats.get_mut(&key) else { return };
        chat.prune(now);
        if let Some(at) = chat.wake.take() {
            self.wakes.remove(&(at, key));
        }
        let Some((class, due)) = chat.next_class() else { return };
        if let Some(candidate) = chat.candidate.take() {
            chat.waiting.get_mut(candidate.class).push_front(candidate.lane);
            let state = self.lanes.get_mut(&candidate.lane);
            let ticket = state.as_ref().and_then(|state| state.queue.front().copied());
            if let (Some(ticket), true) = (ticket, candidate.class == class) {
                let ask = Ask { cost: ticket.cost, class, lone: candidate.lone, due };
                if chat.room(now, ask) == Room::Now {
                    chat.waiting.get_mut(class).pop_front();
                    chat.candidate = Some(candidate);
                    return;
                }
            }
            if let Some(state) = state {
                state.status = LaneStatus::Waiting;
            }
            self.fair.withdraw(candidate.class, key);
        }
        let Some(lane) = chat.waiting.get(class).front().copied() else { return };
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        let Some(ticket) = state.queue.front().copied() else { return };
        let lone = ticket.lone && state.queue.len() == 1;
        match chat.room(now, Ask { cost: ticket.cost, class, lone, due }) {
            Room::Now => {
                chat.waiting.get_mut(class).pop_front();
                chat.candidate = Some(Candidate { lane, class, lone });
                state.status = LaneStatus::Candidate;
                self.fair.enter(class, key, lone);
            }
            Room::At(at) => {
                chat.wake = Some(at);
                self.wakes.insert((at, key));
            }
            Room::AfterAnswer => {}
        }
    }

    /// Until when the whole identity is frozen.
    pub(super) fn frozen_until(&self, now: Duration) -> Option<Duration> {
        self.held_until.max(self.silent_until).filter(|until| *until > now)
    }

    /// Moves the time on and forgets what means nothing any more.
    pub(super) fn tick(&mut self, now: Duration) -> Duration {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some((_, lane)) = self.idle.front().copied().filter(|(at, _)| *at <= now) {
            self.idle.pop_front();
            if self.lanes.get(&lane).is_some_and(|state| state.is_forgotten(now)) {
                self.forget_lane(now, lane);
            }
        }
        while let Some(Reverse((_, key))) = self.sweeps.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.sweeps.pop();
            if let Some(chat) = self.chats.get_mut(&key) {
                chat.sweep_planned = false;
            }
            self.sweep(now, key);
        }
        now
    }

    fn forget_lane(&mut self, now: Duration, lane: Lane) {
        self.examined = self.examined.saturating_add(1);
        self.lanes.remove(&lane);
        let key = self.profile.chat_of(lane);
        if let Some(chat) = self.chats.get_mut(&key) {
            chat.lanes = chat.lanes.saturating_sub(1);
        }
        self.sweep(now, key);
    }

    /// Forgets a chat without lanes as soon as nothing of it counts.
    pub(super) fn sweep(&mut self, now: Duration, key: ChatKey) {
        let Some(chat) = self.chats.get_mut(&key).filter(|chat| chat.lanes == 0 && !chat.sweep_planned)
        else {
            return;
        };
        match chat.quiet_at().filter(|at| *at > now) {
            None => {
                self.chats.remove(&key);
            }
            Some(at) => {
                chat.sweep_planned = true;
                self.sweeps.push(Reverse((at, key)));
            }
        }
    }

    pub(super) fn chat_mut(&mut self, key: ChatKey) -> &mut Chat {
        let (profile, arrears) = (&self.profile, self.arrears);
        self.chats.entry(key).or_insert_with(|| {
            let mut chat = Chat::new(profile.chat_budgets(key), profile.has_headers());
            if let Some(arrears) = arrears {
                arrears.charge_chat(&mut chat.windows);
            }
            chat
        })
    }

    /// Whether no reservation waits.
    pub(super) fn is_idle(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Reservations that wait.
    pub(super) fn reservations(&self) -> usize {
        self.tickets.len()
    }

    /// Entries in all tables.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let tables = self.chats.len() + self.lanes.len() + self.tickets.len() + self.grants.len();
        tables + self.wakes.len() + self.idle.len() + self.sweeps.len()
    }

    const fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }
}

/// The head that stands for a chat, with its chat and lane.
fn head_of<'a>(
    chats: &'a mut HashMap<ChatKey, Chat>,
    lanes: &'a mut HashMap<Lane, LaneState>,
    key: ChatKey,
) -> Option<(&'a mut Chat, Candidate, &'a mut LaneState, Ticket)> {
    let chat = chats.get_mut(&key)?;
    let candidate = chat.candidate?;
    let state = lanes.get_mut(&candidate.lane)?;
    let ticket = state.queue.front().copied()?;
    Some((chat, candidate, state, ticket))
}
