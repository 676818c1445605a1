//! Section `throttle`: how close to the platforms' limits sends may go, and how long a wait is kept.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units;

/// A set of budgets for sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleProfile {
    /// New accounts, or after a penalty.
    Cautious,
    /// The published or known limits, with room.
    Normal,
    /// An operator's own risk.
    Fast,
}

impl ThrottleProfile {
    /// The name in store and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cautious => "cautious",
            Self::Normal => "normal",
            Self::Fast => "fast",
        }
    }
}

/// The throttle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleConfig {
    /// Profile of accounts that name none. Accounts of the sandbox have a profile of their own.
    pub profile: ThrottleProfile,
    /// Added to every wait that a platform asks for.
    #[serde(deserialize_with = "units::positive")]
    pub hold_extra: Duration,
    /// Share of a wait by which chance may lengthen it, 0 to 100.
    pub hold_jitter_percent: u8,
    /// Longest lengthening by chance.
    #[serde(deserialize_with = "units::positive")]
    pub hold_jitter_max: Duration,
    /// Sends that one lane keeps in memory; the rest waits in the store.
    pub lane_max: NonZeroUsize,
}

impl ThrottleConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            self.hold_jitter_percent > 100,
            "throttle.hold_jitter_percent",
            "it must be 100 or less",
        );
    }
}
