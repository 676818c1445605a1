//! Waits of routes whose budget is not that of new messages.
//!
//! The throttle knows one window for each channel, and its hints are those of new messages. Discord counts edits and
//! deletions apart, and older messages more strictly: what it says of those is kept here, and a call that it would refuse
//! is not made (discord.com/developers/docs/topics/rate-limits).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchyard_actors::model::{HoldScope, SendOutcome};
use switchyard_actors::ports::RateLimitHint;
use tokio::time::Instant;

/// What is done to a message that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// Its content is replaced.
    Edit,
    /// It goes.
    Delete,
}

/// Routes of channels that are used up for now.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<(Change, i64), Instant>>);

impl Gates {
    /// How a call of a route ends that is closed; `None` when it is open.
    pub(super) fn closed(&self, change: Change, channel: i64) -> Option<SendOutcome> {
        let wait = self.wait(change, channel)?;
        Some(SendOutcome::RetryAfter { wait, scope: HoldScope::Chat })
    }

    fn wait(&self, change: Change, channel: i64) -> Option<Duration> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = gates.get(&(change, channel))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    /// Takes over what an answer of the route said.
    pub(super) fn note(&self, change: Change, channel: i64, hint: Option<&RateLimitHint>) {
        let Some(hint) = hint else { return };
        let now = Instant::now();
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, until| *until > now);
        let until = now.checked_add(hint.reset_after).filter(|_| hint.remaining == 0);
        match until {
            Some(until) => gates.insert((change, channel), until),
            None => gates.remove(&(change, channel)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(remaining: u32, seconds: u64) -> RateLimitHint {
        RateLimitHint { limit: 5, remaining, reset_after: Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_used_up_route_waits_until_its_window_ends_and_no_other_does() {
        let gates = Gates::default();
        gates.note(Change::Edit, 1, None);
        gates.note(Change::Edit, 1, Some(&hint(1, 5)));
        assert_eq!(gates.wait(Change::Edit, 1), None);
        gates.note(Change::Edit, 1, Some(&hint(0, 5)));
        assert_eq!(gates.wait(Change::Edit, 1), Some(Duration::from_secs(5)));
        assert_eq!(gates.wait(Change::Delete, 1), None);
        assert_eq!(gates.wait(Change::Edit, 2), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(gates.wait(Change::Edit, 1), None);
        gates.note(Change::Delete, 1, Some(&hint(0, 1)));
        assert_eq!(gates.0.lock().unwrap().len(), 1, "what is over is forgotten");
    }
}
