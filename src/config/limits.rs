//! Section `limits`: how much one daemon takes on.

use std::num::NonZeroUsize;

use serde::Deserialize;

/// Bounds of one daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Alerts that wait for the store.
    pub alerts_waiting_max: NonZeroUsize,
}
