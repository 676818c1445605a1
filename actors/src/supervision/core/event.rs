//! What a supervisor is told, and what it decides.

use std::time::Duration;

use super::{AutoShutdown, OnExceed, SlotPolicy};
use crate::supervision::{
    event::{ParkCause, Unparker},
    window::Intensity,
};

/// A child of this supervisor: grows by one with each child added, so that order of keys is order of start.
pub type Key = u64;

/// Time since the runtime was made.
pub type Moment = Duration;

/// How a branch is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndHow {
    /// Children end their instance and are held, to be started again.
    Halt,
    /// Children end for good.
    Stop,
}

/// How an instance of a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended itself.
    Normal,
    /// It failed: panic, declared, stuck, or its load did.
    Failed,
    /// It is a branch and escalated.
    Escalated,
    /// Its load said that it cannot work.
    Fatal,
    /// It asked to be parked.
    Park,
    /// It was halted by this supervisor.
    Halted,
    /// It was stopped by this supervisor and its runner is gone.
    Stopped,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The branch is to start.
    Begin,
    /// The branch is to end by `deadline`.
    End {
        /// For a restart, or for good.
        how: EndHow,
        /// Latest end.
        deadline: Option<Moment>,
    },
    /// The branch is killed.
    Abandon,
    /// The branch itself was parked by its supervisor.
    Shelve,
    /// A child was added.
    Added {
        /// The child.
        key: Key,
        /// Its policy.
        policy: SlotPolicy,
    },
    /// A child is to be removed by `deadline`.
    Remove {
        /// The child.
        key: Key,
        /// Latest end.
        deadline: Option<Moment>,
    },
    /// A child is up.
    Up {
        /// The child.
        key: Key,
    },
    /// A child has nothing to run.
    Ignored {
        /// The child.
        key: Key,
    },
    /// An instance of a child ended.
    Exited {
        /// The child.
        key: Key,
        /// How.
        exit: Exit,
    },
    /// An admin restarts a child, or starts it where it is down.
    Restart {
        /// The child.
        key: Key,
    },
    /// An admin takes a child down; its spec is kept (OTP's `terminate_child`).
    Terminate {
        /// The child.
        key: Key,
    },
    /// A child's backoff is over, or the time for its half-open attempt has come.
    Due {
        /// The child.
        key: Key,
    },
    /// The half-open attempt of a parked child is to be made now, before its time.
    Probe {
        /// The child.
        key: Key,
    },
    /// The time has come to see whether the storm is over.
    StormDue,
    /// The branch goes by other limits from now on.
    Reconfigure {
        /// Restarts of all children together.
        intensity: Option<Intensity>,
        /// What follows when they are exceeded.
        on_exceed: OnExceed,
        /// Whether it ends with its significant children.
        auto_shutdown: AutoShutdown,
    },
    /// A child goes by another policy from now on.
    Repolicy {
        /// The child.
        key: Key,
        /// Its policy.
        policy: SlotPolicy,
    },
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a child now.
    Start {
        /// The child.
        key: Key,
    },
    /// Say when a child's backoff is over, so that it is started again.
    Restart {
        /// The child.
        key: Key,
        /// The backoff.
        delay: Duration,
    },
    /// Park a child.
    Park {
        /// The child.
        key: Key,
        /// Why.
        cause: ParkCause,
        /// Time until its half-open attempt.
        probe_in: Option<Duration>,
    },
    /// Say again when the half-open attempt of a parked child is due.
    Probe {
        /// The child.
        key: Key,
        /// Time until then.
        delay: Duration,
    },
    /// Say that a parked child is started again.
    Unparked {
        /// The child.
        key: Key,
        /// By whom.
        by: Unparker,
    },
    /// End a child's instance, keep its queue.
    Halt {
        /// The child.
        key: Key,
        /// Latest end.
        deadline: Option<Moment>,
        /// It stays down afterwards: its mailbox refuses from now on.
        down: bool,
    },
    /// Keep a child down with its mailbox open.
    Hold {
        /// The child.
        key: Key,
    },
    /// Keep a child down with its mailbox closed, because its branch is parked.
    Shelve {
        /// The child.
        key: Key,
    },
    /// Keep a child down with its mailbox closed, spec kept.
    Rest {
        /// The child.
        key: Key,
    },
    /// Stop a child for good.
    Stop {
        /// The child.
        key: Key,
        /// Latest end.
        deadline: Option<Moment>,
    },
    /// A child without an instance ends for good, spec kept for the view.
    Retire {
        /// The child.
        key: Key,
    },
    /// A child without an instance ends for good and its spec is forgotten.
    Forget {
        /// The child.
        key: Key,
    },
    /// End a child at once.
    Kill {
        /// The child.
        key: Key,
    },
    /// Every child had its first attempt: the branch is up.
    Settled,
    /// The branch ended as asked.
    Ended,
    /// The branch gives up: say so, with the child that exceeded its intensity.
    Escalating {
        /// The child.
        culprit: Key,
    },
    /// All children are halted after giving up: the branch fails in its own supervisor.
    Fail {
        /// The child.
        culprit: Key,
    },
    /// All children are halted after a significant one ended: the branch ends normally in its own supervisor.
    Finish,
    /// Too many children fail: the branch lives on and starts them slower. Ask again after the time given.
    Storm {
        /// Restarts inside the branch's window.
        restarts_in_window: u32,
        /// Time until [`Event::StormDue`].
        check_in: Duration,
    },
    /// The storm goes on: ask again after the time given.
    StormGoesOn {
        /// Time until [`Event::StormDue`].
        check_in: Duration,
    },
    /// The storm is over.
    StormOver,
}
