//! The limits that Telegram publishes for bots (core.telegram.org/bots/faq, "My bot is hitting limits"): about 30 messages a
//! second overall, one a second in a chat, 20 a minute in a group or channel.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::config::Limits;
use crate::violations::{Rule, Violations};

/// Messages and the time in which so many may go.
type Budget = (usize, u64);

const OVERALL: Budget = (30, 1_000);
const CHAT: Budget = (1, 1_000);
const GROUP: Budget = (20, 60_000);
/// A call that comes so soon after a wait was told may have been on its way: it is refused, but breaks no rule.
const ON_ITS_WAY: u64 = 500;
/// Short bursts into one chat are let through: so many above one a second.
const BURST: usize = 2;

#[derive(Debug, Default)]
struct Sent {
    overall: VecDeque<u64>,
    chats: BTreeMap<i64, VecDeque<u64>>,
    /// Until when a chat, or (0) the whole bot, was told to wait, and when that was said.
    waits: BTreeMap<i64, (u64, u64)>,
}

/// Counts what the bot sends.
#[derive(Debug)]
pub(super) struct SendLimits {
    enforced: bool,
    violations: Violations,
    sent: Mutex<Sent>,
}

impl SendLimits {
    pub(super) fn new(limits: Limits, violations: Violations) -> Self {
        Self { enforced: limits == Limits::Published, violations, sent: Mutex::default() }
    }

    /// Lets a message through, or tells how many seconds to wait.
    pub(super) fn admit(&self, chat: i64, is_group: bool, now_ms: u64) -> Result<(), u64> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let told = [0, chat].into_iter().filter_map(|key| sent.waits.get(&key).copied()).max();
        if let Some((until, said)) = told.filter(|(until, _)| *until > now_ms) {
            if now_ms.saturating_sub(said) > ON_ITS_WAY {
                self.violations.count(Rule::BotCallDuringWait);
            }
            return Err((until - now_ms).div_ceil(1_000));
        }
        if !self.enforced {
            return Ok(());
        }
        let over = |times: &VecDeque<u64>, (count, window): Budget| {
            let recent = times.iter().filter(|at| now_ms.saturating_sub(**at) < window).count();
            (recent >= count).then(|| {
                let oldest = times.iter().rev().nth(count - 1).copied().unwrap_or(now_ms);
                oldest.saturating_add(window).saturating_sub(now_ms).max(1)
            })
        };
        let none = VecDeque::new();
        let in_chat = sent.chats.get(&chat).unwrap_or(&none);
        let waits = [
            over(&sent.overall, OVERALL).map(|wait| (0, wait)),
            over(in_chat, (CHAT.0 + BURST, CHAT.1)).map(|wait| (chat, wait)),
            is_group.then(|| over(in_chat, GROUP)).flatten().map(|wait| (chat, wait)),
        ];
        if let Some((key, wait)) = waits.into_iter().flatten().max_by_key(|(_, wait)| *wait) {
            self.violations.count(Rule::BotRateLimit);
            let seconds = wait.div_ceil(1_000);
            sent.waits.insert(key, (now_ms.saturating_add(seconds.saturating_mul(1_000)), now_ms));
            return Err(seconds);
        }
        sent.overall.push_back(now_ms);
        while sent.overall.len() > OVERALL.0 {
            sent.overall.pop_front();
        }
        let in_chat = sent.chats.entry(chat).or_default();
        in_chat.push_back(now_ms);
        while in_chat.len() > GROUP.0 {
            in_chat.pop_front();
        }
        Ok(())
    }

    /// Tells the whole bot to wait.
    pub(super) fn hold(&self, seconds: u64, now_ms: u64) {
        let until = now_ms.saturating_add(seconds.saturating_mul(1_000));
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).waits.insert(0, (until, now_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_budgets_hold_and_a_breach_is_counted() {
        let violations = Violations::default();
        let limits = SendLimits::new(Limits::Published, violations.clone());
        for chat in 1..=30 {
            assert_eq!(limits.admit(chat, false, 0), Ok(()));
        }
        assert_eq!(limits.admit(31, false, 10), Err(1), "the 31st within a second");
        assert_eq!(limits.admit(32, false, 500), Err(1), "perhaps on its way when the wait was told");
        assert_eq!(limits.admit(32, false, 900), Err(1), "told to wait, and did not");
        assert_eq!(limits.admit(32, false, 1_100), Ok(()));
        let counted = violations.snapshot();
        assert_eq!(
            (counted.get("bot.rate_limit"), counted.get("bot.call_during_wait")),
            (Some(&1), Some(&1))
        );
    }

    #[test]
    fn a_group_takes_twenty_a_minute() {
        let limits = SendLimits::new(Limits::Published, Violations::default());
        for n in 0..20 {
            assert_eq!(limits.admit(-5, true, n * 1_000), Ok(()), "{n}");
        }
        assert_eq!(limits.admit(-5, true, 20_000), Err(40), "until the first is a minute old");
        assert_eq!(limits.admit(-5, true, 60_000), Ok(()));
    }
}
