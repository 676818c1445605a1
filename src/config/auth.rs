//! Section `auth`: how users and the staff sign in, and how failures are slowed down.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units::{self, ByteSize};

/// Signing in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether anybody may register.
    pub registration: bool,
    /// The claim `iss` of access tokens, and the name that authenticators show.
    pub issuer: String,
    /// How long an access token counts.
    #[serde(deserialize_with = "units::positive")]
    pub access_lifetime: Duration,
    /// How long a sign-in lasts that is not used.
    #[serde(deserialize_with = "units::positive")]
    pub session_idle: Duration,
    /// How long a sign-in lasts in all.
    #[serde(deserialize_with = "units::positive")]
    pub session_lifetime: Duration,
    /// Sign-ins of one user at once.
    pub sessions_max: NonZeroUsize,
    /// For how long a refresh token that was just used is taken for a repeat and not for a theft.
    #[serde(deserialize_with = "units::positive")]
    pub refresh_race: Duration,
    /// For how long a sign-in is fresh enough to delete everything.
    #[serde(deserialize_with = "units::positive")]
    pub fresh_for: Duration,
    /// How often it is noted that a sign-in or a key was used.
    #[serde(deserialize_with = "units::positive")]
    pub seen_interval: Duration,
    /// Memory of one password hash.
    pub password_memory: ByteSize,
    /// Passes over it.
    pub password_passes: NonZeroU32,
    /// Lanes.
    pub password_lanes: NonZeroU32,
    /// Hashes computed at once.
    pub password_at_once: NonZeroUsize,
    /// Hashes that wait.
    pub password_waiting_max: usize,
    /// How long a mailed token lasts.
    #[serde(deserialize_with = "units::positive")]
    pub reset_lifetime: Duration,
    /// Least time between two such letters to one address.
    #[serde(deserialize_with = "units::positive")]
    pub reset_gap: Duration,
    /// Page to which a letter sends the reader, with the token behind it; `""`: the letter holds the bare token.
    #[serde(deserialize_with = "units::text")]
    pub reset_page: Option<String>,
    /// Recovery codes of one user.
    pub recovery_codes: NonZeroUsize,
    /// API keys of one user.
    pub api_keys_max: NonZeroUsize,
    /// Failures of one address with one account before it is slowed down.
    pub failures_free: u32,
    /// Failures of one address, whatever the accounts, before it is slowed down.
    pub failures_free_address: u32,
    /// Failures with one account, whatever the addresses, before it is slowed down.
    pub failures_free_account: u32,
    /// First delay after a failure too many; each further one doubles it.
    #[serde(deserialize_with = "units::positive")]
    pub delay_first: Duration,
    /// Longest delay for an address.
    #[serde(deserialize_with = "units::positive")]
    pub lockout: Duration,
    /// Longest delay for an account that is tried from many addresses.
    #[serde(deserialize_with = "units::positive")]
    pub account_delay_max: Duration,
    /// After how long without a failure the earlier ones are forgotten.
    #[serde(deserialize_with = "units::positive")]
    pub failures_kept: Duration,
    /// Failures that are remembered.
    pub failures_max: NonZeroU32,
    /// Rows of each section of an export.
    pub export_rows_max: NonZeroU32,
    /// Exports made at once.
    pub exports_at_once: NonZeroUsize,
    /// Wait before an erasure is tried again.
    #[serde(deserialize_with = "units::positive")]
    pub erasure_retry: Duration,
    /// Tries to log out at a platform before the erasure goes on without.
    pub erasure_tries: NonZeroU32,
}

impl AuthConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        let hour = Duration::from_secs(3_600);
        check.refuse_if(self.issuer.trim().is_empty(), "auth.issuer", "it must not be empty");
        check.refuse_if(
            self.access_lifetime > hour,
            "auth.access_lifetime",
            "an access token cannot be called back: at most \"1h\"",
        );
        check.refuse_if(
            self.access_lifetime < Duration::from_secs(1),
            "auth.access_lifetime",
            "it must be at least \"1s\"",
        );
        check.refuse_if(
            self.session_idle > self.session_lifetime,
            "auth.session_idle",
            "it must not be longer than auth.session_lifetime",
        );
        // RFC 9106 section 3.1 and the least that Argon2 takes: eight KiB for each lane.
        let kib = self.password_memory.bytes() / 1_024;
        check.refuse_if(
            kib < 8 * u64::from(self.password_lanes.get()) || kib > u64::from(u32::MAX),
            "auth.password_memory",
            "Argon2 needs at least 8KiB for each lane, and less than 4096GiB",
        );
    }
}
