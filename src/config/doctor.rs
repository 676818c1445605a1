//! Section `doctor`: from where on `switchyard doctor` warns, and how far it looks.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units::{self, ByteSize};

/// The doctor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoctorConfig {
    /// Longest time for one answer of a platform.
    #[serde(deserialize_with = "units::positive")]
    pub answer_timeout: Duration,
    /// Below this much free room on the data folder's disk it warns.
    pub disk_free_warn: ByteSize,
    /// Below this much it fails.
    pub disk_free_fail: ByteSize,
    /// Below so many free inodes it warns.
    pub inodes_free_warn: NonZeroU64,
    /// Below so many it fails.
    pub inodes_free_fail: NonZeroU64,
    /// From this difference between our clock and another on it warns.
    #[serde(deserialize_with = "units::positive")]
    pub clock_skew_warn: Duration,
    /// From this difference on it fails.
    #[serde(deserialize_with = "units::positive")]
    pub clock_skew_fail: Duration,
    /// Users' data keys that are tried, accounts and pairs that are looked at; of more, the first.
    pub looked_at_max: NonZeroU32,
}

impl DoctorConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            self.disk_free_fail.bytes() > self.disk_free_warn.bytes(),
            "doctor.disk_free_fail",
            "it must be at most doctor.disk_free_warn",
        );
        check.refuse_if(
            self.inodes_free_fail > self.inodes_free_warn,
            "doctor.inodes_free_fail",
            "it must be at most doctor.inodes_free_warn",
        );
        check.refuse_if(
            self.clock_skew_fail < self.clock_skew_warn,
            "doctor.clock_skew_fail",
            "it must be at least doctor.clock_skew_warn",
        );
    }
}
