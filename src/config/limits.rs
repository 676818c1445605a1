//! Section `limits`: how much one daemon takes on.

use std::num::{NonZeroU32, NonZeroUsize};
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
    /// Telegram sign-ins under way of one user.
    pub sign_ins_per_user_max: NonZeroUsize,
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
    /// Requests with one API key in `key_window`.
    pub key_requests: NonZeroU32,
    /// The window for it.
    #[serde(deserialize_with = "units::positive")]
    pub key_window: Duration,
    /// Requests of one admin in `admin_window`.
    pub admin_requests: NonZeroU32,
    /// The window for it.
    #[serde(deserialize_with = "units::positive")]
    pub admin_window: Duration,
    /// Requests that need no credential, of one address in `open_window`.
    pub open_requests: NonZeroU32,
    /// The window for it.
    #[serde(deserialize_with = "units::positive")]
    pub open_window: Duration,
    /// Callers whose counts are kept in memory.
    pub rate_subjects_max: NonZeroUsize,
    /// Idempotency keys that one caller may have.
    pub idempotency_keys_max: NonZeroU32,
    /// How long one try of an order with such a key may take.
    #[serde(deserialize_with = "units::positive")]
    pub idempotency_lease: Duration,
    /// How long the look at a new pair's two chats may take.
    #[serde(deserialize_with = "units::positive")]
    pub look_wait: Duration,
    /// How long the answer to a suspension waits for sends under way.
    #[serde(deserialize_with = "units::positive")]
    pub suspension_wait: Duration,
}
