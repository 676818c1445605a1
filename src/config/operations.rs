//! Sections `events` and `jobs`: streams of events, and long work.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units;

/// Streams of events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// How often the outbox of events is read.
    #[serde(deserialize_with = "units::positive")]
    pub poll_interval: Duration,
    /// Events that are read at once.
    pub page: NonZeroU64,
    /// Events that a listener may be behind before it is cut.
    pub buffer: NonZeroUsize,
    /// Streams that one caller may hold.
    pub streams_per_caller_max: NonZeroUsize,
    /// Time without an event after which a sign of life is sent.
    #[serde(deserialize_with = "units::positive")]
    pub keep_alive: Duration,
    /// How often a caller's right to listen is looked at again.
    #[serde(deserialize_with = "units::positive")]
    pub recheck_interval: Duration,
    /// How long a listener may take nothing before it is given up.
    #[serde(deserialize_with = "units::positive")]
    pub stall_max: Duration,
}

/// Long work.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Jobs of one node at once.
    pub parallel_max: NonZeroUsize,
    /// How long a claim on a job lasts without progress.
    #[serde(deserialize_with = "units::positive")]
    pub lease: Duration,
    /// How often abandoned jobs are looked for.
    #[serde(deserialize_with = "units::positive")]
    pub poll_interval: Duration,
    /// Time before a portion of a job is tried again.
    #[serde(deserialize_with = "units::positive")]
    pub retry_interval: Duration,
    /// Items of a job between two notes of its progress.
    pub portion: NonZeroUsize,
    /// Least time between two sessions that a job connects anew.
    #[serde(deserialize_with = "units::positive")]
    pub reconnect_pace: Duration,
}

impl JobsConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            self.lease <= self.poll_interval,
            "jobs.lease",
            "it must be more than jobs.poll_interval",
        );
    }
}
