//! What a supervisor knows of a child before it starts: identity, restart type, bounds and limits.

use std::{num::NonZeroUsize, time::Duration};

use thiserror::Error;

use super::{
    backoff::Backoff,
    child::Child,
    core::{AutoShutdown, CorePolicy, OnExceed, Strategy},
    path::Segment,
    reload::BranchLimits,
    window::Intensity,
};

/// When a child that ended is started again (the terms are Erlang/OTP's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartType {
    /// Always.
    Permanent,
    /// After a failure only; after a normal end it stays down and its spec is kept.
    Transient,
    /// Never; its spec is forgotten as soon as it ends.
    Temporary,
}

/// How long a child may take to stop (OTP's `shutdown` in milliseconds).
///
/// A branch has OTP's `infinity`. OTP's `brutal_kill` no child has: a limit of zero cuts off work at once, but the child is
/// still told that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopLimit {
    /// From the request to the end; then what is left is dropped.
    pub limit: Duration,
    /// The part at the end of `limit` that is kept for `Child::drain`: queued messages and running futures get the rest.
    pub reserve: Duration,
}

impl Default for StopLimit {
    /// 10 s, of which 3 s for `drain`.
    fn default() -> Self {
        Self { limit: Duration::from_secs(10), reserve: Duration::from_secs(3) }
    }
}

/// Half-open attempts of a parked child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Time from parking to the first attempt; doubled after each attempt that fails.
    pub interval: Duration,
    /// Longest time between attempts.
    pub cap: Duration,
}

/// Everything but identity and arguments: restart type, limits, bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// When to start it again.
    pub restart: RestartType,
    /// Delay before a restart.
    pub backoff: Backoff,
    /// Restarts allowed before it is parked. OTP counts for the supervisor alone: see [`BranchSpec::intensity`].
    pub intensity: Intensity,
    /// Messages its mailbox holds.
    pub mailbox: NonZeroUsize,
    /// How long it may take to stop (OTP's `shutdown`).
    pub stop: StopLimit,
    /// Longest time for one `Child::load`.
    pub load_limit: Duration,
    /// When any of its work in flight makes no progress for this long it is failed; `None` never judges.
    pub stuck_after: Option<Duration>,
    /// Attempts to un-park it when it was parked for its intensity; `None` waits for an admin.
    pub probe: Option<Probe>,
    /// Its branch may end with it; see [`BranchSpec::auto_shutdown`]. Never for a permanent child.
    pub significant: bool,
}

impl Default for Policy {
    /// Permanent; 5 restarts in 60 s; mailbox of 1,024; load within 60 s; stuck after 120 s; no probe.
    fn default() -> Self {
        Self {
            restart: RestartType::Permanent,
            backoff: Backoff::default(),
            intensity: Intensity::new(5, Duration::from_secs(60)),
            mailbox: NonZeroUsize::MIN.saturating_add(1023),
            stop: StopLimit::default(),
            load_limit: Duration::from_secs(60),
            stuck_after: Some(Duration::from_secs(120)),
            probe: None,
            significant: false,
        }
    }
}

impl Policy {
    /// Checks that the limits make sense together.
    ///
    /// # Errors
    /// The [`SpecError`] naming the first field at fault.
    pub fn check(&self) -> Result<(), SpecError> {
        check_intensity(self.intensity)?;
        if self.backoff.cap < self.backoff.base {
            return Err(SpecError::CapBelowBase);
        }
        if self.backoff.jitter_percent > 100 {
            return Err(SpecError::JitterOver100);
        }
        if self.stop.limit < self.stop.reserve {
            return Err(SpecError::ReserveOverLimit);
        }
        if self.load_limit.is_zero() || self.stuck_after.is_some_and(|limit| limit.is_zero()) {
            return Err(SpecError::ZeroLimit);
        }
        if self.probe.is_some_and(|probe| probe.interval.is_zero() || probe.cap < probe.interval) {
            return Err(SpecError::BadProbe);
        }
        if self.significant && self.restart == RestartType::Permanent {
            return Err(SpecError::SignificantPermanent);
        }
        Ok(())
    }
}

/// Checks the limits of a branch.
pub(crate) fn check_limits(intensity: Option<Intensity>, on_exceed: OnExceed) -> Result<(), SpecError> {
    match intensity {
        Some(intensity) => check_intensity(intensity),
        None if matches!(on_exceed, OnExceed::Storm(_)) => Err(SpecError::StormWithoutIntensity),
        None => Ok(()),
    }
}

fn check_intensity(intensity: Intensity) -> Result<(), SpecError> {
    if intensity.window.is_zero() { Err(SpecError::ZeroWindow) } else { Ok(()) }
}

/// A child to add: its id in its branch, its arguments and its policy.
#[derive(Debug)]
pub struct ChildSpec<C: Child> {
    pub(crate) id: String,
    pub(crate) args: C::Args,
    pub(crate) policy: Policy,
    pub(crate) shard_key: Option<u64>,
}

impl<C: Child> ChildSpec<C> {
    /// A child under the default [`Policy`]. The id is checked when the child is added.
    pub fn new(id: impl Into<String>, args: C::Args) -> Self {
        Self { id: id.into(), args, policy: Policy::default(), shard_key: None }
    }

    /// Children with the same key live on the same thread; those without one on the thread of the supervisors.
    #[must_use]
    pub const fn shard_key(mut self, key: u64) -> Self {
        self.shard_key = Some(key);
        self
    }

    /// Replaces the whole policy.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Replaces the restart type.
    #[must_use]
    pub const fn restart(mut self, restart: RestartType) -> Self {
        self.policy.restart = restart;
        self
    }

    /// Lets its branch end with it.
    #[must_use]
    pub const fn significant(mut self) -> Self {
        self.policy.significant = true;
        self
    }
}

/// In which order a supervisor starts and stops its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A static branch: one after the other in the order they were added, stopped in reverse, as OTP's supervisors do.
    Ordered,
    /// A dynamic branch: all at once (OTP's `simple_one_for_one`).
    Concurrent,
}

/// A supervisor to add; one_for_one unless told otherwise.
#[derive(Clone, Debug)]
pub struct BranchSpec {
    pub(crate) id: String,
    pub(crate) core: CorePolicy,
    pub(crate) policy: Policy,
}

impl BranchSpec {
    /// A static branch: ordered start, reverse drain. Escalates at more than 10 restarts in 60 s.
    pub fn ordered(id: impl Into<String>) -> Self {
        let intensity = Some(Intensity::new(10, Duration::from_secs(60)));
        Self::new(id, CorePolicy { intensity, ..CorePolicy::new(Order::Ordered) })
    }

    /// A dynamic branch (OTP's `simple_one_for_one`, but each child has an id and a spec of its own, and there is no
    /// template): children come and go, start and drain are concurrent. Without an intensity of its own, for
    /// each child has one and is parked alone.
    pub fn dynamic(id: impl Into<String>) -> Self {
        Self::new(id, CorePolicy::new(Order::Concurrent))
    }

    fn new(id: impl Into<String>, core: CorePolicy) -> Self {
        Self { id: id.into(), core, policy: Policy::default() }
    }

    /// Which siblings are restarted with a child that failed. Groups have an order: a dynamic branch is one_for_one.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.core.strategy = strategy;
        self
    }

    /// Restarts of all its children together before it gives up (OTP's `intensity` and `period`); `None` never does. A child of a group counts here
    /// alone: the group is not parked in parts.
    #[must_use]
    pub const fn intensity(mut self, intensity: Option<Intensity>) -> Self {
        self.core.intensity = intensity;
        self
    }

    /// All limits at once.
    #[must_use]
    pub const fn limits(mut self, limits: BranchLimits) -> Self {
        let BranchLimits { intensity, on_exceed, auto_shutdown } = limits;
        self.core.intensity = intensity;
        self.core.on_exceed = on_exceed;
        self.core.auto_shutdown = auto_shutdown;
        self
    }

    /// What giving up means: to escalate to its own supervisor, or to go on slower.
    #[must_use]
    pub const fn on_exceed(mut self, on_exceed: OnExceed) -> Self {
        self.core.on_exceed = on_exceed;
        self
    }

    /// Whether it ends normally when its significant children did.
    #[must_use]
    pub const fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.core.auto_shutdown = auto_shutdown;
        self
    }

    /// How it is itself restarted by its supervisor (restart type, backoff, intensity, probe, significance).
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn check(&self) -> Result<Segment, SpecError> {
        self.policy.check()?;
        check_limits(self.core.intensity, self.core.on_exceed)?;
        if self.core.order == Order::Concurrent && self.core.strategy != Strategy::OneForOne {
            return Err(SpecError::GroupWithoutOrder);
        }
        Segment::parse(self.id.clone())
    }
}

/// A spec that was refused before anything started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// An id or a path's segment is empty, too long, reserved or holds a forbidden character.
    #[error("bad id {0:?}: expected 1 to 120 printable ASCII characters without '/'")]
    BadId(String),
    /// An intensity's window is zero.
    #[error("the intensity's window is zero")]
    ZeroWindow,
    /// A backoff's cap is below its base.
    #[error("the backoff's cap is below its base")]
    CapBelowBase,
    /// More than all of the delay would be jitter.
    #[error("the backoff's jitter is over 100 %")]
    JitterOver100,
    /// The time kept for `drain` is longer than the whole stop.
    #[error("the stop limit is shorter than its reserve")]
    ReserveOverLimit,
    /// The load limit or the stuck limit is zero.
    #[error("the load limit or the stuck limit is zero")]
    ZeroLimit,
    /// A probe's interval is zero or above its cap.
    #[error("the probe's interval is zero or above its cap")]
    BadProbe,
    /// A permanent child never ends for good.
    #[error("a permanent child cannot be significant")]
    SignificantPermanent,
    /// Its branch never ends by itself.
    #[error("a significant child needs a branch with automatic shutdown")]
    SignificantForNothing,
    /// A group is restarted in order, and a dynamic branch has none.
    #[error("a dynamic branch cannot be one_for_all or rest_for_one")]
    GroupWithoutOrder,
    /// Nothing could ever begin the storm.
    #[error("storm mode needs an intensity")]
    StormWithoutIntensity,
}
