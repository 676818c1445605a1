//! What follows from the way a send ended: the ledger entry, and what the lane does next. Pure.

use std::time::Duration;

use crate::model::{DeadReason, SendOutcome};
use crate::ports::{Rng, TryResult};
use crate::supervision::Backoff;

/// What the queue does after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The part is at the target: the next part, or the next delivery.
    Advance,
    /// The same part again after this time.
    Retry(Duration),
    /// Nothing was done, and nothing may be: the lane is read from the store anew.
    Leave,
    /// The delivery is given up; the lane goes on with the next.
    Drop,
    /// The target refuses the pair: its lane stops.
    PausePair(String),
    /// The account may not send: all lanes stop.
    Quarantine(String),
    /// The session is over: all lanes wait for a new login.
    SessionDead(String),
}

/// A try, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What the ledger keeps; `None` when nothing changed.
    pub result: Option<TryResult>,
    /// What the queue does.
    pub next: Next,
    /// Whether it speaks for or against the account as a whole: `Some(true)` worked, `Some(false)` failed.
    pub health: Option<bool>,
}

/// What a verdict depends on besides the outcome.
pub(super) struct Circumstances<'a> {
    /// The part that was tried.
    pub part: u16,
    /// Whether the part's copy was to be deleted.
    pub removes: bool,
    /// The part, where it certainly is not at the target.
    pub unsent: Option<u16>,
    /// Tries counted so far.
    pub tries: u32,
    /// Tries of this lane in a row that failed, counted or not: the exponent of the backoff.
    pub failures: u32,
    /// The account fails as a whole: nobody's tries count.
    pub circuit_open: bool,
    /// Tries after which a delivery is dead.
    pub tries_max: u32,
    /// Backoff between tries.
    pub retry: Backoff,
    /// Now, Unix milliseconds.
    pub now_ms: i64,
    /// Randomness of the jitter.
    pub rng: &'a dyn Rng,
}

/// Judges a try.
#[must_use]
pub(super) fn judge(outcome: SendOutcome, at: &Circumstances<'_>) -> Verdict {
    match outcome {
        SendOutcome::Delivered { .. } if at.removes => done(TryResult::Gone { part: at.part }),
        SendOutcome::Delivered { message } => done(TryResult::Sent { part: at.part, message }),
        // The throttle holds the lane or the account; the queue asks it again at once and waits there.
        SendOutcome::RetryAfter { wait, .. } => {
            later(at, wait, false, "platform asks to wait".to_owned(), Some(true))
        }
        SendOutcome::Offline { error } => later(at, backoff(at), false, error, None),
        SendOutcome::Backoff { error } | SendOutcome::Unclear { error } => failed(at, error),
        SendOutcome::Refused { error } => Verdict {
            result: Some(TryResult::Dead(DeadReason::Refused(error))),
            next: Next::Drop,
            health: Some(true),
        },
        SendOutcome::PausePair { error } => stop(at, error, Next::PausePair),
        SendOutcome::Quarantine { error } => stop(at, error, Next::Quarantine),
        SendOutcome::SessionDead { error } => stop(at, error, Next::SessionDead),
    }
}

fn done(result: TryResult) -> Verdict {
    Verdict { result: Some(result), next: Next::Advance, health: Some(true) }
}

fn failed(at: &Circumstances<'_>, error: String) -> Verdict {
    if !at.circuit_open && at.tries.saturating_add(1) >= at.tries_max {
        let result = Some(TryResult::Dead(DeadReason::Exhausted(error)));
        return Verdict { result, next: Next::Drop, health: Some(false) };
    }
    later(at, backoff(at), !at.circuit_open, error, Some(false))
}

fn later(
    at: &Circumstances<'_>,
    wait: Duration,
    counts: bool,
    error: String,
    health: Option<bool>,
) -> Verdict {
    let not_before = at.now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    // A wait that the platform named is kept by the throttle, which knows its scope.
    let next = if health == Some(true) { Next::Retry(Duration::ZERO) } else { Next::Retry(wait) };
    Verdict { result: Some(TryResult::Later { not_before, counts, error, unsent: at.unsent }), next, health }
}

fn stop(at: &Circumstances<'_>, error: String, next: impl FnOnce(String) -> Next) -> Verdict {
    let (error_text, unsent) = (error.clone(), at.unsent);
    let result = Some(TryResult::Later { not_before: at.now_ms, counts: false, error: error_text, unsent });
    Verdict { result, next: next(error), health: None }
}

fn backoff(at: &Circumstances<'_>) -> Duration {
    at.retry.delay(at.failures.saturating_add(1), at.rng.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HoldScope;

    struct Zero;
    impl Rng for Zero {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    fn at(tries: u32, circuit_open: bool) -> Circumstances<'static> {
        let retry = Backoff { base: Duration::from_millis(500), ..Backoff::default() };
        Circumstances {
            part: 0,
            removes: false,
            unsent: None,
            tries,
            failures: tries,
            circuit_open,
            tries_max: 8,
            retry,
            now_ms: 1_000,
            rng: &Zero,
        }
    }

    #[test]
    fn the_eighth_counted_failure_is_the_last() {
        let error = || SendOutcome::Backoff { error: "500".to_owned() };
        let seventh = judge(error(), &at(6, false));
        assert!(matches!(seventh.result, Some(TryResult::Later { counts: true, .. })));
        let eighth = judge(error(), &at(7, false));
        assert_eq!(eighth.result, Some(TryResult::Dead(DeadReason::Exhausted("500".to_owned()))));
        assert_eq!(eighth.next, Next::Drop);
    }

    #[test]
    fn while_the_account_fails_as_a_whole_no_try_counts() {
        let verdict = judge(SendOutcome::Unclear { error: "timeout".to_owned() }, &at(7, true));
        assert!(matches!(verdict.result, Some(TryResult::Later { counts: false, .. })));
        assert_eq!(verdict.health, Some(false));
    }

    #[test]
    fn a_platforms_wait_is_left_to_the_throttle_and_counts_nothing() {
        let wait = Duration::from_secs(5);
        let verdict = judge(SendOutcome::RetryAfter { wait, scope: HoldScope::Account }, &at(7, false));
        assert_eq!(verdict.next, Next::Retry(Duration::ZERO));
        let error = "platform asks to wait".to_owned();
        assert_eq!(
            verdict.result,
            Some(TryResult::Later { not_before: 6_000, counts: false, error, unsent: None })
        );
    }

    #[test]
    fn a_pause_keeps_the_delivery() {
        let verdict = judge(SendOutcome::PausePair { error: "50001".to_owned() }, &at(7, false));
        assert!(matches!(verdict.result, Some(TryResult::Later { counts: false, .. })));
        assert_eq!(verdict.next, Next::PausePair("50001".to_owned()));
    }
}
