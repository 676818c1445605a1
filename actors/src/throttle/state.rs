//! What outlives the process: holds, learned limits and the sends that long windows still count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::booking::{Arrears, Covered, REMEMBERED_MIN};
use super::chat::{Chat, Gate};
use super::ids::Lane;
use super::limiter::Limiter;
use super::profiles::{ChatKey, Profile};
use super::window::{Sent, Window};

/// After a restart nothing goes for this long where the profile has windows of at most this length.
pub(super) const START_SILENCE: Duration = Duration::from_secs(2);
/// Sends older than this are kept by the minute.
const FINE: i64 = 600_000;
const COARSE: i64 = 60_000;

/// The memory of a [`Limiter`] in wall-clock time. Opaque; made by [`Limiter::export`], read by [`Limiter::restore`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimiterState {
    held_until: Option<i64>,
    sends: Sends,
    /// Messages that may have been sent after this was written, and the cost of the heaviest of them.
    booked: u32,
    heaviest: u32,
    chats: Vec<ChatState>,
}

/// The memory of one chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct ChatState {
    chat: i64,
    held_until: Option<i64>,
    gated_until: Option<i64>,
    sends: Sends,
    learned: Option<Learned>,
}

/// A limit that headers told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Learned {
    limit: u32,
    window_ms: u64,
}

/// When the sends that still count were answered (Unix milliseconds), what each cost, and what is in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Sends {
    answered: Vec<(i64, u32)>,
    in_flight: u32,
}

impl Limiter {
    /// What must outlive the process, and the booking of what may be sent until the next export: the state counts only
    /// once it is kept. `wall_ms` is the time of day that belongs to `now`, Unix milliseconds.
    pub fn export(&mut self, now: Duration, wall_ms: i64) -> LimiterState {
        let clock = WallClock { now, wall_ms };
        self.unsaved = false;
        let covered = if self.remembers() && !self.closed {
            self.booking.renew(now, &self.account, self.chats.len())
        } else {
            Covered::default()
        };
        let mut chats: Vec<ChatState> =
            self.chats.iter().filter_map(|(key, chat)| clock.chat_state(*key, chat)).collect();
        chats.sort_unstable_by_key(|chat| chat.chat);
        LimiterState {
            held_until: self.held_until.filter(|until| *until > now).map(|until| clock.wall(until)),
            sends: clock.sends(&self.account),
            booked: covered.messages,
            heaviest: covered.heaviest,
            chats,
        }
    }

    /// The last state of a limiter that grants nothing from now on: as [`Limiter::export`], but nothing is booked, so the
    /// next process starts with the exact counts.
    pub fn close(&mut self, now: Duration, wall_ms: i64) -> LimiterState {
        self.closed = true;
        self.export(now, wall_ms)
    }

    /// A limiter that goes on where the exported one stopped. Long windows count what they counted, in-flight and booked
    /// sends as made now; holds last as long as they would have, longer if the time of day went back.
    #[must_use]
    pub fn restore(profile: Profile, seed: u64, now: Duration, wall_ms: i64, state: LimiterState) -> Self {
        let clock = WallClock { now, wall_ms };
        let mut limiter = Self::new(profile, seed);
        limiter.now = now;
        limiter.held_until = state.held_until.map(|until| clock.local(until));
        let short = limiter.profile.budgets().iter().any(|budget| budget.window <= START_SILENCE);
        limiter.silent_until = short.then(|| now.saturating_add(START_SILENCE));
        let covered = Covered { messages: state.booked, heaviest: state.heaviest };
        let arrears = Arrears { at: now, covered };
        limiter.arrears = (covered.messages > 0).then_some(arrears);
        for window in &mut limiter.account {
            clock.recount(window, &state.sends);
            arrears.charge(window);
        }
        for kept in state.chats {
            let key = ChatKey(kept.chat);
            clock.recount_chat(limiter.chat_mut(key), &kept);
            limiter.sweep(now, key);
        }
        limiter
    }

    /// What a limiter that was exported elsewhere meanwhile knows, under this one's profile, as [`Limiter::restore`]. Of this
    /// one nothing is taken over: reservations are to be made anew.
    #[must_use]
    pub fn replaced(&self, seed: u64, now: Duration, wall_ms: i64, state: LimiterState) -> Self {
        Self::restore(self.profile.clone(), seed, now, wall_ms, state)
    }

    /// Hears of a send that another limiter of this identity granted and that was under way when this one began: it counts
    /// as answered now.
    pub fn count_other(&mut self, now: Duration, lane: Lane, cost: u32) {
        let now = self.tick(now);
        let key = self.profile.chat_of(lane);
        let sent = Sent { answered: now, age: Duration::ZERO, cost };
        self.account.iter_mut().for_each(|window| window.recount(sent));
        self.chat_mut(key).windows.iter_mut().for_each(|window| window.recount(sent));
        self.sweep(now, key);
        self.promote(now, key);
    }

    /// Whether [`Limiter::export`] must be called, and its result be kept, before anything else is sent: a hold or a
    /// learned limit appeared since the last export, or the sends that it booked in advance are used up.
    #[must_use]
    pub fn must_persist(&self) -> bool {
        self.unsaved || self.is_overdrawn()
    }

    pub(super) fn is_overdrawn(&self) -> bool {
        self.remembers() && !self.closed && !self.is_idle() && self.booking.is_used_up()
    }

    /// Whether the profile has windows that are remembered.
    pub(super) fn remembers(&self) -> bool {
        self.profile.budgets().iter().any(|budget| budget.window >= REMEMBERED_MIN)
    }
}

/// The time of day beside the limiter's time.
#[derive(Clone, Copy)]
struct WallClock {
    now: Duration,
    wall_ms: i64,
}

impl WallClock {
    /// Rounded up: nothing may end early.
    fn wall(self, at: Duration) -> i64 {
        self.wall_ms.saturating_add(millis(at.saturating_sub(self.now)).saturating_add(1))
    }

    fn local(self, wall_ms: i64) -> Duration {
        let left = u64::try_from(wall_ms.saturating_sub(self.wall_ms)).unwrap_or_default();
        self.now.saturating_add(Duration::from_millis(left))
    }

    fn sends(self, windows: &[Window]) -> Sends {
        let remembered = windows.iter().filter(|window| window.span() >= REMEMBERED_MIN);
        let Some(longest) = remembered.max_by_key(|window| window.span()) else { return Sends::default() };
        let mut answered: Vec<(i64, u32)> = Vec::new();
        for (age, cost) in longest.ages(self.now) {
            let at = self.wall_ms.saturating_sub(millis(age));
            match answered.last_mut() {
                // By the minute, as if all were sent at its last.
                Some((last, sum))
                    if millis(age) > FINE && at.div_euclid(COARSE) == last.div_euclid(COARSE) =>
                {
                    *last = (*last).max(at);
                    *sum = sum.saturating_add(cost);
                }
                _ => answered.push((at, cost)),
            }
        }
        Sends { answered, in_flight: longest.in_flight() }
    }

    fn chat_state(self, key: ChatKey, chat: &Chat) -> Option<ChatState> {
        let state = ChatState {
            chat: key.0,
            held_until: chat.held_until.filter(|until| *until > self.now).map(|until| self.wall(until)),
            gated_until: chat
                .gate
                .filter(|gate| gate.left == 0 && gate.reset_at > self.now)
                .map(|gate| self.wall(gate.reset_at)),
            sends: self.sends(&chat.windows),
            learned: chat.windows.iter().find(|window| window.is_learned()).map(|window| Learned {
                limit: window.limit(),
                window_ms: u64::try_from(window.span().as_millis()).unwrap_or(u64::MAX),
            }),
        };
        (state != ChatState { chat: key.0, ..ChatState::default() }).then_some(state)
    }

    fn recount(self, window: &mut Window, sends: &Sends) {
        for (at, cost) in &sends.answered {
            // A time of day that went back makes the past future: then it counts as sent now.
            let age = u64::try_from(self.wall_ms.saturating_sub(*at)).unwrap_or_default();
            window.recount(Sent { answered: self.now, age: Duration::from_millis(age), cost: *cost });
        }
        if sends.in_flight > 0 {
            window.recount(Sent { answered: self.now, age: Duration::ZERO, cost: sends.in_flight });
        }
        window.prune(self.now);
    }

    fn recount_chat(self, chat: &mut Chat, kept: &ChatState) {
        chat.held_until = kept.held_until.map(|until| self.local(until));
        chat.gate = kept.gated_until.map(|until| Gate { left: 0, reset_at: self.local(until) });
        if let Some(learned) = kept.learned {
            chat.learn(self.now, learned.limit, Duration::from_millis(learned.window_ms));
        }
        for window in &mut chat.windows {
            self.recount(window, &kept.sends);
        }
        chat.prune(self.now);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
