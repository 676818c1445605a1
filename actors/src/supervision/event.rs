//! The stream of supervision events: delivered to an injected sink, each of them.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{failure::Failure, path::ChildPath};

/// Something the runtime did to a child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SupervisionEvent {
    /// Wall clock.
    pub at: DateTime<Utc>,
    /// Which child.
    pub path: ChildPath,
    /// Its kind, `supervisor` for a branch.
    pub kind: Cow<'static, str>,
    /// What happened.
    pub what: Happening,
}

/// What happened to a child.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    /// It is up.
    Started {
        /// Number of the start.
        epoch: u64,
    },
    /// It failed or ended and waits for its backoff, which begins now; it is started afterwards, unless it is stopped first.
    Restarting {
        /// The failure; none when a permanent child ended normally.
        failure: Option<Failure>,
        /// Backoff before the start.
        delay: Duration,
        /// Restarts of this child inside its window, this one included.
        restarts_in_window: u32,
    },
    /// It is parked: its mailbox refuses, nothing starts it but an admin or a probe.
    Parked {
        /// Why.
        cause: ParkCause,
        /// The failure or the reason it gave.
        reason: String,
        /// Time until the next half-open attempt.
        probe_in: Option<Duration>,
    },
    /// It was parked and is started again.
    Unparked {
        /// By whom.
        by: Unparker,
    },
    /// It is a branch whose intensity was exceeded: its children are stopped, it fails in its own supervisor.
    Escalated {
        /// The causal chain, leaf first.
        chain: String,
    },
    /// It is a branch in which too many children fail: it starts them slower from now on.
    Storm {
        /// Restarts inside its window.
        restarts_in_window: u32,
    },
    /// Its storm is over.
    StormOver,
    /// It does not give its thread back: everything on that thread waits for it.
    Stalled {
        /// The thread.
        shard: u16,
        /// For how long so far.
        blocked_for: Duration,
    },
    /// It gave its thread back.
    StallOver {
        /// The thread.
        shard: u16,
    },
    /// It ended and stays down.
    Stopped {
        /// False when it was killed or lost queued messages or running work.
        clean: bool,
    },
    /// A failure that changes nothing by itself: while it was stopping, or in a destructor or a snapshot.
    Contained {
        /// The failure.
        failure: Failure,
    },
}

/// Why a child was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkCause {
    /// Its restart intensity was exceeded.
    Intensity,
    /// Its load said that it cannot work.
    Fatal,
    /// It asked for it.
    Asked,
    /// Its half-open attempt failed.
    Probe,
    /// It is a branch that escalated to the root.
    Escalated,
}

impl ParkCause {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Intensity, Self::Fatal, Self::Asked, Self::Probe, Self::Escalated];

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intensity => "intensity",
            Self::Fatal => "fatal",
            Self::Asked => "asked",
            Self::Probe => "probe",
            Self::Escalated => "escalated",
        }
    }
}

/// Who un-parked a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unparker {
    /// An operator.
    Admin,
    /// A half-open attempt.
    Probe,
}

impl Unparker {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Probe];

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Probe => "probe",
        }
    }
}

/// Takes supervision events. Called on any of the runtime's threads: hand over and return, never block.
pub trait SupervisionSink: Send + Sync {
    /// Takes one event. A panic in here is contained.
    fn record(&self, event: &SupervisionEvent);
}

/// A sink that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl SupervisionSink for NoSink {
    fn record(&self, _event: &SupervisionEvent) {}
}
