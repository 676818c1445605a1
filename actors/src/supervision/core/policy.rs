//! How a supervisor and each of its children are configured, as far as decisions go.

use std::{num::NonZeroU32, time::Duration};

use crate::supervision::{
    backoff::Backoff,
    spec::{Order, Probe, RestartType},
    window::Intensity,
};

/// Which siblings are restarted with a child that failed (the terms are Erlang/OTP's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// None: the failed child alone. With [`Order::Concurrent`] it is OTP's `simple_one_for_one`.
    #[default]
    OneForOne,
    /// All of them: stopped newest first, then started oldest first.
    OneForAll,
    /// Those that were added after it, in the same orders.
    RestForOne,
}

/// What follows when a branch's own intensity is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExceed {
    /// Its children are halted and it fails in its own supervisor, as in OTP.
    #[default]
    Escalate,
    /// It lives on and starts its children slower, until its window is empty again.
    Storm(Storm),
}

/// How a branch starts its children while too many of them fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Shortest delay before a restart while the storm lasts.
    pub floor: Duration,
    /// Restarts in any second, in a storm or not.
    pub starts_per_second: NonZeroU32,
}

/// When a branch ends by itself because significant children did (the terms are Erlang/OTP's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// As soon as one ended by itself for good.
    AnySignificant,
    /// When the last of them ended by itself for good.
    AllSignificant,
}

/// How a supervisor is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorePolicy {
    /// Who is restarted with a child that failed.
    pub strategy: Strategy,
    /// Order of start and stop.
    pub order: Order,
    /// Restarts of all children together before `on_exceed`; `None` never exceeds.
    pub intensity: Option<Intensity>,
    /// What follows then.
    pub on_exceed: OnExceed,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
    /// The root parks a branch that escalated; others apply their restart rule.
    pub parks_escalated: bool,
}

impl CorePolicy {
    /// one_for_one in this order, without an intensity of its own.
    #[must_use]
    pub const fn new(order: Order) -> Self {
        Self {
            strategy: Strategy::OneForOne,
            order,
            intensity: None,
            on_exceed: OnExceed::Escalate,
            auto_shutdown: AutoShutdown::Never,
            parks_escalated: false,
        }
    }
}

/// The part of a child's policy that decisions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPolicy {
    /// When to start it again.
    pub restart: RestartType,
    /// Delay before a restart.
    pub backoff: Backoff,
    /// Restarts before it is parked.
    pub intensity: Intensity,
    /// Half-open attempts.
    pub probe: Option<Probe>,
    /// Its branch may end with it.
    pub significant: bool,
    /// Key of its jitter, from seed and path.
    pub jitter_key: u64,
}
