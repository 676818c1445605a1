//! Section `supervision`: how children are restarted, parked, judged and stopped.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::units;

/// More threads than any machine has processors.
const SHARDS_MAX: u16 = 1_024;

/// Restarts that one window may remember.
const RESTARTS_MAX: u32 = 1_000_000;

/// The supervision tree.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Threads on which actors live; 0 means one fewer than the machine has processors, and at least one.
    pub shards: u16,
    /// An actor that does not give its thread back for this long is reported.
    #[serde(deserialize_with = "units::maybe")]
    pub stall_limit: Option<Duration>,
    /// Delay before a child's first restart; doubles with each failure in a row.
    #[serde(deserialize_with = "units::positive")]
    pub backoff_base: Duration,
    /// Longest delay before a restart.
    #[serde(deserialize_with = "units::positive")]
    pub backoff_cap: Duration,
    /// Share of the delay that chance may take away, 0 to 100.
    pub backoff_jitter_percent: u8,
    /// A child that was up this long starts again from the base.
    #[serde(deserialize_with = "units::positive")]
    pub backoff_reset_after: Duration,
    /// Restarts of one child within the window; one more parks it. 0 parks at the first failure.
    pub restarts_max: u32,
    /// The window.
    #[serde(deserialize_with = "units::positive")]
    pub restarts_window: Duration,
    /// Time from parking to the first attempt to un-park; none waits for an admin.
    #[serde(deserialize_with = "units::maybe")]
    pub probe_interval: Option<Duration>,
    /// Longest time between two attempts to un-park.
    #[serde(deserialize_with = "units::positive")]
    pub probe_cap: Duration,
    /// Restarts of a branch's children together within `storm_window`; one more begins a storm. 0 knows no storms.
    pub storm_restarts: u32,
    /// The window.
    #[serde(deserialize_with = "units::positive")]
    pub storm_window: Duration,
    /// Shortest delay before a restart while a storm lasts.
    #[serde(deserialize_with = "units::positive")]
    pub storm_floor: Duration,
    /// Restarts of a branch's children in any second.
    pub storm_starts_per_second: NonZeroU32,
    /// Messages that a mailbox holds.
    pub mailbox: NonZeroUsize,
    /// Longest time for a child to load its state.
    #[serde(deserialize_with = "units::positive")]
    pub load_deadline: Duration,
    /// With work in flight and no progress for this long a child has failed.
    #[serde(deserialize_with = "units::maybe")]
    pub stuck_after: Option<Duration>,
    /// Longest time for one child to stop.
    #[serde(deserialize_with = "units::positive")]
    pub stop_deadline: Duration,
    /// The end of that time which is kept for the child's own farewell.
    #[serde(deserialize_with = "units::positive")]
    pub stop_reserve: Duration,
    /// How long a start waits for the sessions' first attempts to connect.
    #[serde(deserialize_with = "units::positive")]
    pub first_connect_wait: Duration,
    /// Of log lines of one signature the first in this time is written; none writes every line.
    #[serde(deserialize_with = "units::maybe")]
    pub log_window: Option<Duration>,
    /// Signatures that are told apart in that time.
    pub log_signatures_max: NonZeroUsize,
    /// Messages of one actor that are handled before its neighbours have a turn.
    pub messages_a_turn: NonZeroU32,
    /// What an actor shows of itself is published no more often.
    #[serde(deserialize_with = "units::positive")]
    pub publish_interval: Duration,
    /// Longest time for the whole tree to drain.
    #[serde(deserialize_with = "units::positive")]
    pub drain_deadline: Duration,
}

impl SupervisionConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(self.shards > SHARDS_MAX, "supervision.shards", "it must be 1024 or less");
        check.refuse_if(
            self.restarts_max > RESTARTS_MAX,
            "supervision.restarts_max",
            "it must be 1000000 or less: each is remembered within its window",
        );
        check.refuse_if(
            self.storm_restarts > RESTARTS_MAX,
            "supervision.storm_restarts",
            "it must be 1000000 or less: each is remembered within its window",
        );
        check.refuse_if(
            self.backoff_cap < self.backoff_base,
            "supervision.backoff_cap",
            "it must be at least supervision.backoff_base",
        );
        check.refuse_if(
            self.backoff_jitter_percent > 100,
            "supervision.backoff_jitter_percent",
            "it must be 100 or less",
        );
        check.refuse_if(
            self.probe_interval.is_some_and(|interval| interval > self.probe_cap),
            "supervision.probe_cap",
            "it must be at least supervision.probe_interval",
        );
        check.refuse_if(
            self.stop_reserve >= self.stop_deadline,
            "supervision.stop_reserve",
            "it must be shorter than supervision.stop_deadline",
        );
        check.refuse_if(
            self.drain_deadline < self.stop_deadline,
            "supervision.drain_deadline",
            "it must be at least supervision.stop_deadline",
        );
    }
}
