//! Section `admin`: from where staff may call, and what is kept of what they do.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::networks;
use super::units::{self, ByteSize};
use crate::network::Network;

/// The staff's side of the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Networks that admins may call from.
    #[serde(deserialize_with = "networks::list")]
    pub networks: Vec<Network>,
    /// Most networks that can be set at run time.
    pub networks_max: NonZeroUsize,
    /// How long another node's change of the allow-list may take to count here.
    #[serde(deserialize_with = "units::positive")]
    pub networks_refresh: Duration,
    /// How long a sign-in of an admin lasts that is not used.
    #[serde(deserialize_with = "units::positive")]
    pub session_idle: Duration,
    /// How long a sign-in of an admin lasts in all.
    #[serde(deserialize_with = "units::positive")]
    pub session_lifetime: Duration,
    /// Most admins.
    pub admins_max: NonZeroU32,
    /// Longest value that is kept in the audit log as it is.
    pub audit_value_max: ByteSize,
}

/// Longest time for which a network that was taken away may still be let in by another node.
const REFRESH_MAX: Duration = Duration::from_secs(10);

impl AdminConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            self.networks_refresh > REFRESH_MAX,
            "admin.networks_refresh",
            "it must be at most 10s: so long a network that was taken away may still be let in",
        );
        check.refuse_if(
            self.session_idle > self.session_lifetime,
            "admin.session_idle",
            "it must not be longer than admin.session_lifetime",
        );
    }
}
