//! Sends booked in advance, so that a crash forgets none: so many may be granted before the next state is written,
//! and after a crash they all count as sent.

use std::time::Duration;

use super::profiles::Budget;
use super::window::{Sent, Window};

/// Windows from this length on are remembered; shorter ones have passed before a process is up again.
pub(super) const REMEMBERED_MIN: Duration = Duration::from_secs(5);
/// Messages that are booked at least.
const BOOKED_MIN: u32 = 5;
/// How long a written state covers more than [`BOOKED_MIN`] messages.
const VALID: Duration = Duration::from_secs(5);
/// A state is as large as the chats are many; so its cost is spread over more grants the more there are.
const CHATS_PER_MESSAGE: usize = 16;
/// No more than this part of a remembered window of the account is booked beyond [`BOOKED_MIN`].
const ACCOUNT_PART: u32 = 4;

/// What the last written state covers, and what of it is spent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Booking {
    covered: Covered,
    written_at: Duration,
    spent: u32,
    /// A head that was not covered; the next state makes room for it.
    wanted: Option<u32>,
}

/// How much may be sent under a written state: messages in all, and the cost of the heaviest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) messages: u32,
    pub(super) heaviest: u32,
}

impl Booking {
    /// Whether a grant of that cost is covered.
    pub(super) fn covers(&self, now: Duration, cost: u32) -> bool {
        let spent = self.spent.saturating_add(cost);
        let fresh = now < self.written_at.saturating_add(VALID);
        cost <= self.covered.heaviest && spent <= self.covered.messages && (fresh || spent <= BOOKED_MIN)
    }

    pub(super) const fn spend(&mut self, cost: u32) {
        self.spent = self.spent.saturating_add(cost);
    }

    /// A grant had to wait because it was not covered.
    pub(super) const fn want(&mut self, cost: u32) {
        self.wanted = Some(cost);
    }

    /// Whether a state must be written before anything else goes.
    pub(super) const fn is_used_up(&self) -> bool {
        self.wanted.is_some() || self.spent >= self.covered.messages
    }

    /// A state is written now.
    pub(super) fn renew(&mut self, now: Duration, account: &[Window], chats: usize) -> Covered {
        let by_chats = u32::try_from(chats / CHATS_PER_MESSAGE).unwrap_or(u32::MAX);
        let remembered = account.iter().filter(|window| window.span() >= REMEMBERED_MIN);
        let most = remembered.map(|window| window.limit() / ACCOUNT_PART).min().unwrap_or(u32::MAX);
        let wanted = self.wanted.unwrap_or(1);
        let heaviest = self.covered.heaviest.max(wanted);
        let messages = by_chats.min(most).max(BOOKED_MIN).max(heaviest);
        *self = Self { covered: Covered { messages, heaviest }, written_at: now, spent: 0, wanted: None };
        self.covered
    }
}

/// What an earlier process may have sent under its last state. Where to is not known, so every chat pays, as much
/// as its own budgets would have let it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrears {
    pub(super) at: Duration,
    pub(super) covered: Covered,
}

impl Arrears {
    /// Charges a window of the account.
    pub(super) fn charge(&self, window: &mut Window) {
        self.charge_at_most(window, u32::MAX);
    }

    /// Charges the windows of one chat.
    pub(super) fn charge_chat(&self, windows: &mut [Window]) {
        let most = windows.iter().map(|window| self.most_under(window.budget())).min().unwrap_or(0);
        windows.iter_mut().for_each(|window| self.charge_at_most(window, most));
    }

    fn charge_at_most(&self, window: &mut Window, most: u32) {
        let cost = self.covered.messages.min(most).min(window.limit());
        if cost > 0 && window.span() >= REMEMBERED_MIN {
            window.recount(Sent { answered: self.at, age: Duration::ZERO, cost });
        }
    }

    /// Most that a budget lets through while a state is valid.
    fn most_under(&self, budget: &Budget) -> u32 {
        let windows = VALID.as_millis().checked_div(budget.window.as_millis()).unwrap_or_default();
        let windows = u32::try_from(windows).unwrap_or(u32::MAX).saturating_add(1);
        let most = budget.limit.saturating_mul(windows).max(BOOKED_MIN);
        most.saturating_add(self.covered.heaviest.saturating_sub(1))
    }
}
