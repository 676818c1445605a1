//! Rate limits of the REST API: buckets by route and channel, 50 requests a second per bot or, without a bot's token,
//! per address, what all webhooks of a channel share, and invalid requests per address.
//!
//! Sources: discord.com/developers/docs/topics/rate-limits; the figures per route are the ones that bots are shown in
//! headers. A bucket's window begins with its first request; the global budget is a sliding window, the strictest of
//! the forms that clients must be ready for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::bucket::Bucket;
use crate::config::Limits;
use crate::violations::{Rule, Violations};

const GLOBAL_LIMIT: usize = 50;
const GLOBAL_WINDOW_MS: u64 = 1_000;
/// Messages that all webhooks of a channel may write in a minute: no header shows it
/// (github.com/discord/discord-api-docs/issues/367).
const HOOKED_LIMIT: usize = 30;
const HOOKED_WINDOW_MS: u64 = 60_000;
/// Ten minutes.
const INVALID_WINDOW_MS: u64 = 600_000;
/// An hour, for which an address is shut out after too many invalid requests.
const BAN_MS: u64 = 3_600_000;
/// Idle buckets are dropped when there are more than this.
const MAX_BUCKETS: usize = 4_096;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Bot(u64),
    /// Whoever knows a webhook's token.
    Webhook(u64),
}

impl Caller {
    /// Under whom 50 requests a second are counted: a bot, or `None` for the address.
    const fn global(self) -> Option<u64> {
        match self {
            Self::Bot(id) => Some(id),
            Self::Webhook(_) => None,
        }
    }
}

/// What one call is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) caller: Caller,
    pub(super) bucket: Bucket,
    /// Channel, guild or webhook, 0 without.
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
    /// What others use as well: not counted against the address.
    Shared,
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
}

#[derive(Debug, Default)]
struct State {
    windows: HashMap<Key, Window>,
    globals: HashMap<Option<u64>, Global>,
    /// What the webhooks of each channel wrote in the last minute, refused tries included.
    hooked: HashMap<u64, Global>,
    /// Set by faults: until then every call of the caller is refused.
    told_to_wait_until_ms: HashMap<Caller, u64>,
    /// Set by faults: until then everybody's writes in the channel are refused.
    slow_until_ms: HashMap<u64, u64>,
    /// Webhooks that callers were told are gone.
    gone: HashSet<u64>,
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

    /// Whether a caller was told before that a webhook is gone, and now asks for it again.
    pub(super) fn is_known_as_gone(&self, webhook: u64) -> bool {
        let mut state = self.lock();
        if state.gone.len() >= MAX_BUCKETS {
            state.gone.clear();
        }
        !state.gone.insert(webhook)
    }

    /// Refuses a caller's calls for a while because a fault says so.
    pub(super) fn tell_to_wait(&self, caller: Caller, wait_ms: u64, now_ms: u64) -> Refusal {
        self.lock().told_to_wait_until_ms.insert(caller, now_ms.saturating_add(wait_ms));
        Refusal { scope: scope(caller), retry_after_ms: wait_ms, bucket: None, deserved: false }
    }

    /// Refuses a call that comes while a wait that was told is in force.
    pub(super) fn check_wait(&self, caller: Caller, now_ms: u64) -> Result<(), Refusal> {
        let mut state = self.lock();
        let until = state.told_to_wait_until_ms.get(&caller).copied().unwrap_or_default();
        if now_ms >= until {
            state.told_to_wait_until_ms.remove(&caller);
            return Ok(());
        }
        self.violations.count(Rule::DiscordCallDuringWait);
        let retry_after_ms = until.saturating_sub(now_ms);
        Err(Refusal { scope: scope(caller), retry_after_ms, bucket: None, deserved: true })
    }

    /// Refuses everybody's writes in a channel for a while because a fault says so.
    pub(super) fn slow_down(&self, channel: u64, wait_ms: u64, now_ms: u64) -> Refusal {
        self.lock().slow_until_ms.insert(channel, now_ms.saturating_add(wait_ms));
        Refusal { scope: Scope::Shared, retry_after_ms: wait_ms, bucket: None, deserved: false }
    }

    /// Refuses a write in a channel that was slowed down.
    pub(super) fn check_slow_mode(&self, channel: u64, now_ms: u64) -> Result<(), Refusal> {
        let mut state = self.lock();
        let until = state.slow_until_ms.get(&channel).copied().unwrap_or_default();
        if now_ms >= until {
            state.slow_until_ms.remove(&channel);
            return Ok(());
        }
        self.violations.count(Rule::DiscordCallDuringWait);
        let retry_after_ms = until.saturating_sub(now_ms);
        Err(Refusal { scope: Scope::Shared, retry_after_ms, bucket: None, deserved: false })
    }

    /// Counts a call, or refuses it; a refused call takes no room in any budget but the one that webhooks share.
    /// `hooked` is the channel in which a webhook is to write.
    pub(super) fn admit(&self, key: Key, hooked: Option<u64>, now_ms: u64) -> Result<BucketState, Refusal> {
        let mut state = self.lock();
        let state = &mut *state;
        self.make_room(state, now_ms);
        let published = self.limits == Limits::Published;
        if published {
            self.check_global(state.globals.entry(key.caller.global()).or_default(), now_ms)?;
        }
        let budget = key.bucket.budget(self.limits);
        let window = state.windows.entry(key).or_default();
        if now_ms.saturating_sub(window.start_ms) >= budget.window_ms {
            *window = Window { start_ms: now_ms, ..Window::default() };
        }
        let reset_at_ms = window.start_ms.saturating_add(budget.window_ms);
        let reset_after_ms = reset_at_ms.saturating_sub(now_ms);
        let full = window.used >= budget.limit;
        if !full {
            window.used = window.used.saturating_add(1);
        }
        let (limit, remaining) = (budget.limit, budget.limit.saturating_sub(window.used));
        let bucket = BucketState { limit, remaining, reset_at_ms, reset_after_ms, hash: key.bucket.hash() };
        if full {
            let again = std::mem::replace(&mut window.refused, true);
            self.violations.count(if again { Rule::DiscordCallDuringWait } else { Rule::DiscordRateLimit });
            return Err(Refusal {
                scope: Scope::User,
                retry_after_ms: reset_after_ms,
                bucket: Some(bucket),
                deserved: true,
            });
        }
        if published {
            state.globals.entry(key.caller.global()).or_default().log.push_back(now_ms);
        }
        match hooked.filter(|_| published) {
            Some(channel) => {
                self.check_hooked(state.hooked.entry(channel).or_default(), bucket, now_ms).map(|()| bucket)
            }
            None => Ok(bucket),
        }
    }

    /// Forgets what is over, when much is kept.
    fn make_room(&self, state: &mut State, now_ms: u64) {
        if state.windows.len() >= MAX_BUCKETS {
            let limits = self.limits;
            state.windows.retain(|key, window| {
                now_ms.saturating_sub(window.start_ms) < key.bucket.budget(limits).window_ms
            });
        }
        if state.hooked.len() >= MAX_BUCKETS {
            state.hooked.retain(|_, channel| {
                channel.log.back().is_some_and(|last| now_ms.saturating_sub(*last) < HOOKED_WINDOW_MS)
            });
        }
    }

    /// Counts what webhooks write in a channel. Refused tries count as well, so that hammering never gets through.
    fn check_hooked(&self, channel: &mut Global, bucket: BucketState, now_ms: u64) -> Result<(), Refusal> {
        while channel.log.front().is_some_and(|at| now_ms.saturating_sub(*at) >= HOOKED_WINDOW_MS) {
            channel.log.pop_front();
        }
        let full = channel.log.len() >= HOOKED_LIMIT;
        if full {
            channel.log.pop_front();
        }
        channel.log.push_back(now_ms);
        if !full {
            return Ok(());
        }
        let again = now_ms < channel.refused_until_ms;
        let oldest = channel.log.front().copied().unwrap_or(now_ms);
        channel.refused_until_ms = oldest.saturating_add(HOOKED_WINDOW_MS);
        let rule = if again { Rule::DiscordCallDuringWait } else { Rule::DiscordWebhookChannelLimit };
        self.violations.count(rule);
        Err(Refusal {
            scope: Scope::Shared,
            retry_after_ms: channel.refused_until_ms.saturating_sub(now_ms),
            bucket: Some(bucket),
            deserved: false,
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

/// What a wait that a fault tells is about: all of a bot's calls, but of webhooks only the one that was told.
const fn scope(caller: Caller) -> Scope {
    match caller {
        Caller::Bot(_) => Scope::Global,
        Caller::Webhook(_) => Scope::User,
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
