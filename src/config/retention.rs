//! Section `retention`: how long is kept what delivery needs no more.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Retention.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long message bodies of finished deliveries are kept for replay.
    #[serde(deserialize_with = "units::positive")]
    pub finished_after: Duration,
    /// How often the purge runs.
    #[serde(deserialize_with = "units::positive")]
    pub purge_interval: Duration,
    /// Rows that one purge deletes at most.
    pub purge_batch: NonZeroU32,
    /// How long the answer to an order with an idempotency key is kept.
    #[serde(deserialize_with = "units::positive")]
    pub idempotency_keys_after: Duration,
}
