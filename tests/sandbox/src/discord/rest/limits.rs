//! Rate limits of the REST API: buckets by route and channel, 50 requests a second per bot, invalid requests per address.
//!
//! Sources: discord.com/developers/docs/topics/rate-limits; the figures per route are the ones that bots are shown in
//! headers. A bucket's window begins with its first request; the global budget is a sliding window, the strictest of
//! the forms that clients must be ready for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::config::Limits;
use crate::violations::{Rule, Violations};

const GLOBAL_LIMIT: usize = 50;
const GLOBAL_WINDOW_MS: u64 = 1_000;
/// Ten minutes.
const INVALID_WINDOW_MS: u64 = 600_000;
/// An hour, for which an address is shut out after too many invalid requests.
const BAN_MS: u64 = 3_600_000;
/// Idle buckets are dropped when there are more than this.
const MAX_BUCKETS: usize = 4_096;

/// What shares a counter, together with the bot and the channel or guild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    CreateMessage,
    EditMessage,
    DeleteMessage,
    ReadMessages,
    Gateway,
    Other,
}

#[derive(Clone, Copy)]
struct Budget {
    limit: u64,
    window_ms: u64,
}

impl Bucket {
    const fn budget(self, limits: Limits) -> Budget {
        let (limit, window_ms) = match (limits, self) {
            (Limits::None, _) => (1_000_000, 1_000),
            (Limits::Published, Self::CreateMessage | Self::EditMessage) => (5, 5_000),
            (Limits::Published, Self::DeleteMessage | Self::ReadMessages) => (5, 1_000),
            (Limits::Published, Self::Gateway) => (2, 5_000),
            (Limits::Published, Self::Other) => (10, 10_000),
        };
        Budget { limit, window_ms }
    }

    /// The bucket's name in headers. Writing, editing and deleting share a name, yet count apart: a trap that the real
    /// server sets as well.
    const fn hash(self) -> &'static str {
        match self {
            Self::CreateMessage | Self::EditMessage | Self::DeleteMessage => {
                "80c17d2f203122d936070c88c8d10f33"
            }
            Self::ReadMessages => "5a06aca6b91ea3a06ac14e0d7aea5bc1",
            Self::Gateway => "41f9cd5d28af77da04563bcb1d67fdfd",
            Self::Other => "a8c1d3f0c5e64b9a8a1a2f60b1e0a2d7",
        }
    }
}

/// What one call is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) bot: u64,
    pub(super) bucket: Bucket,
    /// Channel or guild, 0 without.
    pub(super) major: u64,
}

/// The state of a bucket as headers show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BucketState {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) reset_at_ms: u64,
    pub(super) reset_after_ms: u64,
    pub(super) hash: &'static str,
}

/// Whom a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// This bot on this route.
    User,
    /// This bot on every route.
    Global,
}

/// A 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) scope: Scope,
    pub(super) retry_after_ms: u64,
    pub(super) bucket: Option<BucketState>,
    /// Whether it counts as an invalid request: not when the server made it up.
    pub(super) deserved: bool,
}

#[derive(Debug, Default)]
struct Window {
    start_ms: u64,
    used: u64,
    refused: bool,
}

#[derive(Debug, Default)]
struct Global {
    log: VecDeque<u64>,
    refused_until_ms: u64,
    /// Set by a fault: until then every call of the bot is refused.
    told_to_wait_until_ms: u64,
}

#[derive(Debug, Default)]
struct State {
    windows: HashMap<Key, Window>,
    globals: HashMap<u64, Global>,
    invalid: Window,
    banned_until_ms: u64,
}

/// All counters of the REST API.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limits: Limits,
    max_invalid: u64,
    violations: Violations,
    state: Mutex<State>,
}

impl RateLimiter {
    pub(crate) fn new(limits: Limits, max_invalid: u64, violations: Violations) -> Self {
        Self { limits, max_invalid, violations, state: Mutex::default() }
    }

    /// Whether the address is shut out.
    pub(super) fn is_banned(&self, now_ms: u64) -> bool {
        now_ms < self.lock().banned_until_ms
    }

    /// Counts an answer of 401, 403 or 429.
    pub(super) fn count_invalid(&self, now_ms: u64) {
        self.violations.count(Rule::DiscordInvalidRequest);
        let mut state = self.lock();
        if now_ms.saturating_sub(state.invalid.start_ms) >= INVALID_WINDOW_MS {
            state.invalid = Window { start_ms: now_ms, ..Window::default() };
        }
        state.invalid.used = state.invalid.used.saturating_add(1);
        if self.limits == Limits::Published && state.invalid.used >= self.max_invalid {
            state.banned_until_ms = now_ms.saturating_add(BAN_MS);
        }
    }

    /// Refuses a bot's calls for a while because a fault says so.
    pub(super) fn tell_to_wait(&self, bot: u64, wait_ms: u64, now_ms: u64) -> Refusal {
        let mut state = self.lock();
        let global = state.globals.entry(bot).or_default();
        global.told_to_wait_until_ms = now_ms.saturating_add(wait_ms);
        Refusal { scope: Scope::Global, retry_after_ms: wait_ms, bucket: None, deserved: false }
    }

    /// Refuses a call that comes while a wait that was told is in force.
    pub(super) fn check_wait(&self, bot: u64, now_ms: u64) -> Result<(), Refusal> {
        let mut state = self.lock();
        let until = state.globals.entry(bot).or_default().told_to_wait_until_ms;
        if now_ms >= until {
            return Ok(());
        }
        self.violations.count(Rule::DiscordCallDuringWait);
        let retry_after_ms = until.saturating_sub(now_ms);
        Err(Refusal { scope: Scope::Global, retry_after_ms, bucket: None, deserved: true })
    }

    /// Counts a call, or refuses it; a refused call takes no room in any budget.
    pub(super) fn admit(&self, key: Key, now_ms: u64) -> Result<BucketState, Refusal> {
        let mut state = self.lock();
        let state = &mut *state;
        let global = state.globals.entry(key.bot).or_default();
        if self.limits == Limits::Published {
            self.check_global(global, now_ms)?;
        }
        let budget = key.bucket.budget(self.limits);
        if state.windows.len() >= MAX_BUCKETS {
            let limits = self.limits;
            state.windows.retain(|key, window| {
                now_ms.saturating_sub(window.start_ms) < key.bucket.budget(limits).window_ms
            });
        }
        let window = state.windows.entry(key).or_default();
        if now_ms.saturating_sub(window.start_ms) >= budget.window_ms {
            *window = Window { start_ms: now_ms, ..Window::default() };
        }
        let reset_at_ms = window.start_ms.saturating_add(budget.window_ms);
        let reset_after_ms = reset_at_ms.saturating_sub(now_ms);
        let full = window.used >= budget.limit;
        if !full {
            window.used = window.used.saturating_add(1);
            if self.limits == Limits::Published {
                global.log.push_back(now_ms);
            }
        }
        let remaining = budget.limit.saturating_sub(window.used);
        let bucket = BucketState {
            limit: budget.limit,
            remaining,
            reset_at_ms,
            reset_after_ms,
            hash: key.bucket.hash(),
        };
        if !full {
            return Ok(bucket);
        }
        let again = std::mem::replace(&mut window.refused, true);
        self.violations.count(if again { Rule::DiscordCallDuringWait } else { Rule::DiscordRateLimit });
        Err(Refusal {
            scope: Scope::User,
            retry_after_ms: reset_after_ms,
            bucket: Some(bucket),
            deserved: true,
        })
    }

    fn check_global(&self, global: &mut Global, now_ms: u64) -> Result<(), Refusal> {
        while global.log.front().is_some_and(|at| now_ms.saturating_sub(*at) >= GLOBAL_WINDOW_MS) {
            global.log.pop_front();
        }
        if global.log.len() < GLOBAL_LIMIT {
            return Ok(());
        }
        let oldest = global.log.front().copied().unwrap_or(now_ms);
        let until = oldest.saturating_add(GLOBAL_WINDOW_MS);
        let again = now_ms < global.refused_until_ms;
        global.refused_until_ms = until;
        self.violations.count(if again { Rule::DiscordCallDuringWait } else { Rule::DiscordGlobalRateLimit });
        let retry_after_ms = until.saturating_sub(now_ms);
        Err(Refusal { scope: Scope::Global, retry_after_ms, bucket: None, deserved: true })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
