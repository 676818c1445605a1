//! How often a bot may identify: so many times a day (1,000 is Discord's figure), once in five seconds.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::Limits;
use crate::violations::Rule;

const DAY: TimeDelta = TimeDelta::hours(24);
const GAP: TimeDelta = TimeDelta::seconds(5);

/// Identifies of each bot in the last day.
#[derive(Debug)]
pub(crate) struct IdentifyBudget {
    limits: Limits,
    total: usize,
    starts: HashMap<u64, VecDeque<DateTime<Utc>>>,
}

/// The budget as `GET /gateway/bot` shows it.
pub(crate) struct BudgetState {
    pub(crate) total: usize,
    pub(crate) remaining: usize,
    pub(crate) reset_after_ms: i64,
}

impl IdentifyBudget {
    pub(crate) fn new(limits: Limits, total: usize) -> Self {
        Self { limits, total, starts: HashMap::new() }
    }

    pub(crate) fn state(&mut self, bot: u64, now: DateTime<Utc>) -> BudgetState {
        let total = self.total;
        let starts = self.recent(bot, now);
        let reset_after = starts.front().map_or(TimeDelta::zero(), |oldest| *oldest + DAY - now);
        BudgetState {
            total,
            remaining: total.saturating_sub(starts.len()),
            reset_after_ms: reset_after.num_milliseconds(),
        }
    }

    /// Counts an identify, or names the rule that it breaks. Without limits none is counted.
    pub(crate) fn take(&mut self, bot: u64, now: DateTime<Utc>) -> Result<(), Rule> {
        if self.limits == Limits::None {
            return Ok(());
        }
        let total = self.total;
        let starts = self.recent(bot, now);
        if starts.len() >= total {
            return Err(Rule::DiscordIdentifyBudget);
        }
        if starts.back().is_some_and(|last| now - *last < GAP) {
            return Err(Rule::DiscordIdentifyRate);
        }
        starts.push_back(now);
        Ok(())
    }

    fn recent(&mut self, bot: u64, now: DateTime<Utc>) -> &mut VecDeque<DateTime<Utc>> {
        let starts = self.starts.entry(bot).or_default();
        while starts.front().is_some_and(|oldest| now - *oldest >= DAY) {
            starts.pop_front();
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: usize = 1_000;

    #[test]
    fn a_thousand_a_day_and_one_in_five_seconds() {
        let mut budget = IdentifyBudget::new(Limits::Published, TOTAL);
        let start = DateTime::UNIX_EPOCH;
        let mut now = start;
        for _ in 0..TOTAL {
            budget.take(1, now).unwrap();
            let early = budget.take(1, now + TimeDelta::milliseconds(4_999)).unwrap_err();
            assert!(matches!(early, Rule::DiscordIdentifyRate | Rule::DiscordIdentifyBudget));
            now += GAP;
        }
        assert_eq!(budget.take(1, now), Err(Rule::DiscordIdentifyBudget));
        assert_eq!(budget.state(1, now).remaining, 0);
        assert!(budget.take(2, now).is_ok(), "another bot");
        assert!(budget.take(1, start + DAY).is_ok());
    }

    #[test]
    fn without_limits_the_budget_stays_whole() {
        let mut budget = IdentifyBudget::new(Limits::None, TOTAL);
        for _ in 0..5_000 {
            budget.take(1, DateTime::UNIX_EPOCH).unwrap();
        }
        assert_eq!(budget.state(1, DateTime::UNIX_EPOCH).remaining, TOTAL);
    }
}
