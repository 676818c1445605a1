//! Section `limits`: how much one daemon takes on.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Bounds of one daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Alerts that wait for the store.
    pub alerts_waiting_max: NonZeroUsize,
    /// Telegram sign-ins under way.
    pub sign_ins_max: NonZeroUsize,
    /// How long a sign-in may take in all.
    #[serde(deserialize_with = "units::positive")]
    pub sign_in_deadline: Duration,
    /// How long the answer to a new pair waits until its source is read.
    #[serde(deserialize_with = "units::positive")]
    pub source_wait: Duration,
    /// Whether users' proxies and webhooks may lie in private networks or on this machine.
    pub private_targets: bool,
    /// Longest time to resolve the name of a target that a user gave.
    #[serde(deserialize_with = "units::positive")]
    pub lookup_timeout: Duration,
}
