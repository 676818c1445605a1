//! The sandbox's clock: real time, or a moment that stands still, plus an offset that the control API advances.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The furthest that a clock can be advanced in all: ten years.
pub const MAX_OFFSET: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// The clock was asked to go further than [`MAX_OFFSET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock cannot be advanced by more than ten years in all")]
pub struct TooFar;

/// What moves a sandbox's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClockMode {
    /// Real time and the control API.
    #[default]
    Real,
    /// The control API alone: for tests of limits, which no slow machine may upset.
    Frozen,
}

/// Time as the sandbox's servers see it. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct SandboxClock {
    /// The moment that a frozen clock began at.
    frozen_at: Option<DateTime<Utc>>,
    offset_ms: Arc<AtomicI64>,
}

impl SandboxClock {
    /// A clock that shows real time until it is advanced.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that moves as the mode says.
    #[must_use]
    pub fn in_mode(mode: ClockMode) -> Self {
        match mode {
            ClockMode::Real => Self::new(),
            ClockMode::Frozen => Self { frozen_at: Some(real_now()), ..Self::default() },
        }
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.frozen_at.unwrap_or_else(real_now) + self.offset()
    }

    /// Real time, whatever this clock shows: for protocols whose clients compare it with their own clocks.
    #[must_use]
    pub fn real(&self) -> DateTime<Utc> {
        real_now()
    }

    /// Milliseconds since the Unix epoch, never negative.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now().timestamp_millis()).unwrap_or(0)
    }

    /// How far this clock is ahead of real time.
    #[must_use]
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.offset_ms.load(Ordering::SeqCst))
    }

    /// Moves the clock forward and answers the new moment.
    ///
    /// # Errors
    /// [`TooFar`] if the offset would exceed [`MAX_OFFSET`]; the clock is then unchanged.
    pub fn advance(&self, by: Duration) -> Result<DateTime<Utc>, TooFar> {
        self.offset_ms
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |offset| advanced(offset, by))
            .map_err(|_| TooFar)?;
        Ok(self.now())
    }

    /// Whether the clock could be advanced so far.
    ///
    /// # Errors
    /// [`TooFar`] if it could not.
    pub fn check(&self, by: Duration) -> Result<(), TooFar> {
        advanced(self.offset_ms.load(Ordering::SeqCst), by).map(drop).ok_or(TooFar)
    }
}

/// An offset in milliseconds after an advance, if it stays within the bound.
fn advanced(offset: i64, by: Duration) -> Option<i64> {
    let by = i64::try_from(by.as_millis()).ok()?;
    let max = i64::try_from(MAX_OFFSET.as_millis()).ok()?;
    offset.checked_add(by).filter(|sum| *sum <= max)
}

#[expect(clippy::disallowed_methods, reason = "the crate's one adapter to the real clock")]
fn real_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_offset() {
        let clock = SandboxClock::new();
        let other = clock.clone();
        clock.advance(Duration::from_secs(3600)).unwrap();
        assert_eq!(other.offset(), TimeDelta::hours(1));
    }

    #[test]
    fn a_frozen_clock_moves_only_when_advanced() {
        let clock = SandboxClock::in_mode(ClockMode::Frozen);
        let start = clock.now();
        for _ in 0..1_000 {
            assert_eq!(clock.now(), start);
        }
        assert_eq!(clock.advance(Duration::from_millis(1)), Ok(start + TimeDelta::milliseconds(1)));
    }

    #[test]
    fn refuses_to_go_further_than_ten_years() {
        let clock = SandboxClock::new();
        clock.advance(MAX_OFFSET).unwrap();
        assert_eq!(clock.advance(Duration::from_millis(1)), Err(TooFar));
        assert_eq!(clock.advance(Duration::MAX), Err(TooFar));
    }
}
