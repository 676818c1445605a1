//! Section `queue`: how pairs and queues take their work from the store, and when a delivery is given up.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units;

/// Pairs and queues.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Deliveries of one lane that a queue reads ahead.
    pub lane_lookahead: NonZeroU32,
    /// Routes that a pair claims at once.
    pub claim_batch: NonZeroU32,
    /// How long what is read in a chat that is also a target waits for the answer to a send that it may be.
    #[serde(deserialize_with = "units::positive")]
    pub answer_wait: Duration,
    /// How often pairs and queues look into the store without being woken.
    #[serde(deserialize_with = "units::positive")]
    pub poll_interval: Duration,
    /// Tries of one delivery that count; then it is a dead letter.
    pub tries_max: NonZeroU32,
    /// Claims of one event that may fail its pair; then the event is skipped with a reason.
    pub event_attempts_max: NonZeroU32,
    /// Failed sends of one account in a row after which the account or its platform counts as down.
    pub circuit_failures: NonZeroU32,
    /// Delay before the second try; doubles with each.
    #[serde(deserialize_with = "units::positive")]
    pub backoff_base: Duration,
    /// Longest delay between two tries.
    #[serde(deserialize_with = "units::positive")]
    pub backoff_cap: Duration,
}

impl QueueConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            self.backoff_cap < self.backoff_base,
            "queue.backoff_cap",
            "it must be at least queue.backoff_base",
        );
    }
}
