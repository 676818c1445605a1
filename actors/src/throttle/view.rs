//! What a limiter shows of itself: use of budgets, holds, lanes.

use std::time::Duration;

use serde::Serialize;

use super::lane::LaneStatus;
use super::limiter::Limiter;
use super::window::Window;

/// Most chats listed in one view; the totals count all.
const LISTED_MAX: usize = 100;

/// How full a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// Under four fifths.
    Ok,
    /// From four fifths on.
    Warning,
    /// Nothing may go before a slot is free again.
    Full,
}

/// The use of one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetView {
    /// Its name in the profile.
    pub name: &'static str,
    /// The chat it belongs to; `None` for the account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Slots in use: in flight or sent within the window. An album may fill more than there are.
    pub used: u32,
    /// Slots.
    pub limit: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// `used / limit`, at most 1.
    pub fraction: f64,
    /// In one word.
    pub state: BudgetState,
}

/// A chat under a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldChat {
    /// The chat.
    pub chat: String,
    /// What is left of the hold in milliseconds.
    pub left_ms: u64,
}

/// A limiter at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimiterView {
    /// Name of the profile.
    pub profile: &'static str,
    /// The worst state of the account's budgets.
    pub state: BudgetState,
    /// The account's budgets.
    pub budgets: Vec<BudgetView>,
    /// Chat budgets that are not [`BudgetState::Ok`], the fullest first; at most 100.
    pub chat_budgets: Vec<BudgetView>,
    /// What is left of a hold on the whole account, in milliseconds.
    pub held_ms: Option<u64>,
    /// What is left of the silence after a restart, in milliseconds.
    pub silent_ms: Option<u64>,
    /// Chats under a hold, the longest first; at most 100.
    pub held_chats: Vec<HeldChat>,
    /// How many chats are under a hold.
    pub held_chats_total: usize,
    /// Lanes whose head waits for its chat: a budget, a hold, an answer.
    pub lanes_waiting: usize,
    /// Lanes whose head waits for its turn or for the account.
    pub lanes_ready: usize,
    /// Lanes with a request in flight.
    pub lanes_in_flight: usize,
    /// Reservations that wait.
    pub reservations: usize,
    /// Sends granted since the start.
    pub grants: u64,
    /// Waits that the platform asked for since the start.
    pub holds: u64,
    /// The part of a round trip that is taken as sure, in milliseconds.
    pub rtt_floor_ms: u64,
    /// Chats and lanes looked at since the start: the cost of decisions.
    pub examined: u64,
}

impl Limiter {
    /// What it is doing.
    #[must_use]
    pub fn view(&self, now: Duration) -> LimiterView {
        let now = self.now.max(now);
        let budgets: Vec<BudgetView> = self.account.iter().map(|window| budget(window, None, now)).collect();
        let held_chats = self.held_chats(now);
        let lanes =
            |status: fn(&LaneStatus) -> bool| self.lanes.values().filter(|lane| status(&lane.status)).count();
        LimiterView {
            profile: self.profile.name(),
            state: budgets.iter().map(|budget| budget.state).max().unwrap_or(BudgetState::Ok),
            budgets,
            chat_budgets: self.chat_budgets(now),
            held_ms: left(self.held_until, now),
            silent_ms: left(self.silent_until, now),
            held_chats_total: held_chats.len(),
            held_chats: held_chats.into_iter().take(LISTED_MAX).collect(),
            lanes_waiting: lanes(|status| matches!(status, LaneStatus::Waiting)),
            lanes_ready: lanes(|status| matches!(status, LaneStatus::Candidate)),
            lanes_in_flight: lanes(|status| matches!(status, LaneStatus::Busy)),
            reservations: self.reservations(),
            grants: self.granted,
            holds: self.holds,
            rtt_floor_ms: millis(self.rtt.floor(now)),
            examined: self.examined,
        }
    }

    fn chat_budgets(&self, now: Duration) -> Vec<BudgetView> {
        let mut pressed: Vec<BudgetView> = self
            .chats
            .iter()
            .flat_map(|(key, chat)| chat.windows.iter().map(|window| budget(window, Some(key.0), now)))
            .filter(|budget| budget.state != BudgetState::Ok)
            .collect();
        pressed.sort_by(|a, b| {
            (b.fraction.total_cmp(&a.fraction))
                .then_with(|| b.window_ms.cmp(&a.window_ms))
                .then_with(|| a.chat.cmp(&b.chat))
        });
        pressed.truncate(LISTED_MAX);
        pressed
    }

    fn held_chats(&self, now: Duration) -> Vec<HeldChat> {
        let mut held: Vec<HeldChat> = self
            .chats
            .iter()
            .filter_map(|(key, chat)| {
                let left_ms = left(chat.held_until, now)?;
                Some(HeldChat { chat: key.0.to_string(), left_ms })
            })
            .collect();
        held.sort_unstable_by(|a, b| b.left_ms.cmp(&a.left_ms).then_with(|| a.chat.cmp(&b.chat)));
        held
    }
}

fn budget(window: &Window, chat: Option<i64>, now: Duration) -> BudgetView {
    let (used, limit) = (window.used(now), window.limit());
    let fraction = (f64::from(used) / f64::from(limit.max(1))).min(1.0);
    BudgetView {
        name: window.budget().name,
        chat: chat.map(|chat| chat.to_string()),
        used,
        limit,
        window_ms: millis(window.span()),
        fraction,
        state: match used {
            _ if used >= limit => BudgetState::Full,
            _ if fraction >= 0.8 => BudgetState::Warning,
            _ => BudgetState::Ok,
        },
    }
}

/// Milliseconds until a time that lies ahead.
fn left(until: Option<Duration>, now: Duration) -> Option<u64> {
    until.and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero()).map(millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
