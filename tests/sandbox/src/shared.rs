//! What every server of one sandbox shares.

use crate::clock::SandboxClock;
use crate::config::Limits;
use crate::faults::Faults;
use crate::violations::Violations;

/// Handles to the sandbox's clock, faults and counters. Clones are handles to the same values.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The only clock that a server reads.
    pub clock: SandboxClock,
    /// Faults asked for through the control API.
    pub faults: Faults,
    /// Counters of what clients did wrong.
    pub violations: Violations,
    /// Which limits the servers enforce.
    pub limits: Limits,
}

impl Shared {
    /// A new clock, no faults, no violations.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, SandboxClock::new())
    }

    /// A clock of one's own, no faults, no violations.
    #[must_use]
    pub fn with_clock(limits: Limits, clock: SandboxClock) -> Self {
        Self { faults: Faults::new(clock.clone()), clock, violations: Violations::default(), limits }
    }
}
