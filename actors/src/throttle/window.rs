//! An ack-anchored window log: never more than N requests in any window of the server's, whatever the network does.

use std::collections::VecDeque;
use std::time::Duration;

use super::class::Class;
use super::profiles::Budget;
use crate::ports::RateLimitHint;

/// Added to every window: the server's clock and ours tick in milliseconds.
const GUARD: Duration = Duration::from_millis(2);
/// Windows up to this length are paced: that many hundredths of window over limit lie between two grants. While slots
/// are free the sender is behind and catches up; while all are in use it keeps the beat, so that slots become
/// free one by one and a lone message finds one soon. (In simulation 0.7 throughout gives a lone message beside a full
/// account 15 ms and 44 to 58 ms, median and 95 %, this 8 and 33, for less than half a percent of throughput.)
const PACED_MAX: Duration = Duration::from_secs(1);
const PACE_BEHIND: u32 = 70;
const PACE_STEADY: u32 = 95;
/// Windows from this length on, with at least [`RESERVE_LIMIT_MIN`] slots, keep [`RESERVE`] of them from the backfill
/// while something more urgent was seen within [`RESERVE_MEMORY`].
const RESERVE_WINDOW_MIN: Duration = Duration::from_secs(5);
const RESERVE_LIMIT_MIN: u32 = 10;
const RESERVE: u32 = 2;
const RESERVE_MEMORY: Duration = Duration::from_secs(600);

/// Windows are whole quarters of a second; what headers tell of one is short of it by the time spent since, or over
/// it by a clock that differs by up to [`CLOCKS`].
const QUARTER: Duration = Duration::from_millis(250);
const CLOCKS: Duration = Duration::from_millis(20);
/// Longest window that is believed.
const LEARNED_MAX: Duration = Duration::from_secs(60 * 60);

fn rounded_up(told: Duration) -> Option<Duration> {
    let quarters = told.saturating_sub(CLOCKS).as_millis().div_ceil(QUARTER.as_millis());
    let span = QUARTER.checked_mul(u32::try_from(quarters).ok()?)?;
    (QUARTER..=LEARNED_MAX).contains(&span).then_some(span)
}

/// What asks for room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) cost: u32,
    pub(super) class: Class,
    /// The lane was idle: it need not keep the pace.
    pub(super) lone: bool,
    /// The backfill's turn is due: the reserve does not bind it.
    pub(super) due: bool,
}

/// When there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// At once.
    Now,
    /// Not before this time.
    At(Duration),
    /// Not before a request in flight is answered.
    AfterAnswer,
}

/// A sent request that still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    expires: Duration,
    /// How long it counts from its answer: the window, more for what cost more than the window holds.
    span: Duration,
    cost: u32,
}

/// A request of an earlier process: answered `age` before `answered`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) answered: Duration,
    pub(super) age: Duration,
    pub(super) cost: u32,
}

/// One budget and what it has been used for.
#[derive(Clone, Debug)]
pub(super) struct Window {
    budget: Budget,
    limit: u32,
    span: Duration,
    log: VecDeque<Entry>,
    logged: u32,
    in_flight: u32,
    paced_until: Duration,
    foreground_seen: Option<Duration>,
}

impl Window {
    pub(super) const fn new(budget: Budget) -> Self {
        Self {
            budget,
            limit: budget.limit,
            span: budget.window,
            log: VecDeque::new(),
            logged: 0,
            in_flight: 0,
            paced_until: Duration::ZERO,
            foreground_seen: None,
        }
    }

    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// Forgets what no longer counts.
    pub(super) fn prune(&mut self, now: Duration) {
        while let Some(entry) = self.log.front().filter(|entry| entry.expires <= now) {
            self.logged = self.logged.saturating_sub(entry.cost);
            self.log.pop_front();
        }
    }

    /// Slots in use at `now`.
    pub(super) fn used(&self, now: Duration) -> u32 {
        let expired = self.log.iter().take_while(|entry| entry.expires <= now);
        let expired = expired.fold(0_u32, |sum, entry| sum.saturating_add(entry.cost));
        self.logged.saturating_sub(expired).saturating_add(self.in_flight)
    }

    /// When the last logged request stops counting.
    pub(super) fn quiet_at(&self) -> Option<Duration> {
        self.log.back().map(|entry| entry.expires)
    }

    /// When there is room. What costs more than the window holds goes when the window is empty.
    pub(super) fn room(&self, now: Duration, ask: Ask) -> Room {
        let counted = self.room_under(self.limit, now, ask.cost);
        let counted = match self.reserve_ends(now, ask) {
            None => counted,
            // The earlier of: room beside the reserve, room in all of it once it lapses.
            Some(lapse) => self
                .room_under(self.limit.saturating_sub(RESERVE), now, ask.cost)
                .min(counted.max(Room::At(lapse))),
        };
        let paced = self.is_paced() && ask.class != Class::Urgent && !ask.lone && self.paced_until > now;
        if paced { counted.max(Room::At(self.paced_until)) } else { counted }
    }

    fn room_under(&self, limit: u32, now: Duration, cost: u32) -> Room {
        let most = limit.saturating_sub(cost);
        if self.in_flight > most {
            return Room::AfterAnswer;
        }
        let mut used = self.logged.saturating_add(self.in_flight);
        let mut at = Room::Now;
        let mut log = self.log.iter();
        while used > most {
            let Some(entry) = log.next() else { return Room::AfterAnswer };
            used = used.saturating_sub(entry.cost);
            if entry.expires > now {
                at = Room::At(entry.expires);
            }
        }
        at
    }

    /// When the reserve stops to bind this request; `None` if it does not bind it.
    fn reserve_ends(&self, now: Duration, ask: Ask) -> Option<Duration> {
        let reserved = ask.class == Class::Backfill
            && !ask.due
            && self.span >= RESERVE_WINDOW_MIN
            && self.limit >= RESERVE_LIMIT_MIN;
        let lapse = self.foreground_seen?.saturating_add(RESERVE_MEMORY);
        (reserved && lapse > now).then_some(lapse)
    }

    fn is_paced(&self) -> bool {
        self.span <= PACED_MAX
    }

    /// Fills slots until the answer.
    pub(super) fn take(&mut self, now: Duration, ask: Ask) {
        self.in_flight = self.in_flight.saturating_add(ask.cost);
        if self.is_paced() {
            let behind = self.logged.saturating_add(self.in_flight) < self.limit;
            let percent = if behind { PACE_BEHIND } else { PACE_STEADY };
            let gap = self.span.saturating_mul(ask.cost) / self.limit.max(1) * percent / 100;
            self.paced_until = now.saturating_add(gap);
        }
        if ask.class != Class::Backfill {
            self.foreground_seen = Some(now);
        }
    }

    /// Frees slots that were never used.
    pub(super) const fn give_back(&mut self, cost: u32) {
        self.in_flight = self.in_flight.saturating_sub(cost);
    }

    /// The answer came: the slots count for a window more, less `floor`, the part of the round trip that is sure.
    pub(super) fn settle(&mut self, now: Duration, cost: u32, floor: Duration) {
        self.give_back(cost);
        let span = self.span_of(cost);
        let expires = now.saturating_add(span).saturating_add(GUARD).saturating_sub(floor);
        self.log_entry(Entry { expires, span, cost });
    }

    /// Takes over the limit of rate-limit headers, and the window's length where they tell it: in the answer to the
    /// first request of a window what is left of it is all of it. Answers whether anything changed.
    pub(super) fn adopt(&mut self, hint: &RateLimitHint) -> bool {
        let limit = hint.limit.max(1);
        let first = hint.remaining.saturating_add(1) == limit;
        let span = if first { rounded_up(hint.reset_after).unwrap_or(self.span) } else { self.span };
        let changed = limit != self.limit || span != self.span;
        self.learn(limit, span);
        changed
    }

    /// Replaces the profile's figures.
    pub(super) const fn learn(&mut self, limit: u32, span: Duration) {
        self.limit = limit;
        self.span = span;
    }

    /// Whether its figures are not the profile's.
    pub(super) fn is_learned(&self) -> bool {
        self.limit != self.budget.limit || self.span != self.budget.window
    }

    /// Ages of the logged requests since their answers, the oldest to expire first, and their costs.
    pub(super) fn ages(&self, now: Duration) -> impl Iterator<Item = (Duration, u32)> {
        let live = self.log.iter().filter(move |entry| entry.expires > now);
        live.map(move |entry| {
            let age = entry.span.saturating_add(GUARD).saturating_sub(entry.expires.saturating_sub(now));
            (age, entry.cost)
        })
    }

    /// What is in flight.
    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Counts a request of an earlier process.
    pub(super) fn recount(&mut self, sent: Sent) {
        let span = self.span_of(sent.cost);
        let expires = sent.answered.saturating_add(span).saturating_add(GUARD).saturating_sub(sent.age);
        self.log_entry(Entry { expires, span, cost: sent.cost });
    }

    /// What costs more than the window holds is paid for in full.
    fn span_of(&self, cost: u32) -> Duration {
        let limit = self.limit.max(1);
        if cost > limit { self.span.saturating_mul(cost) / limit } else { self.span }
    }

    /// Keeps the log sorted: floors and costs differ, so a later answer may stop counting sooner.
    fn log_entry(&mut self, entry: Entry) {
        let place = self.log.partition_point(|other| other.expires <= entry.expires);
        self.log.insert(place, entry);
        self.logged = self.logged.saturating_add(entry.cost);
    }
}
