//! True sliding window over failures, with millisecond resolution and bounded memory.

use std::{collections::VecDeque, time::Duration};

/// How many restarts are allowed in how long: `max_restarts` within `window` are, one more exceeds it (OTP's
/// `intensity` and `period`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts allowed inside the window (OTP's `intensity`); 0 means that the first failure exceeds it.
    pub max_restarts: u32,
    /// Length of the window (OTP's `period`).
    pub window: Duration,
}

impl Intensity {
    /// `max_restarts` within `window`.
    #[must_use]
    pub const fn new(max_restarts: u32, window: Duration) -> Self {
        Self { max_restarts, window }
    }
}

/// Time of events still inside the window; never holds more than `max_restarts + 1`.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    intensity: Intensity,
    stamps: VecDeque<Duration>,
}

impl SlidingWindow {
    /// An empty window.
    #[must_use]
    pub const fn new(intensity: Intensity) -> Self {
        Self { intensity, stamps: VecDeque::new() }
    }

    /// Records an event; true when there are now more than `max_restarts` younger than the window.
    pub fn record(&mut self, now: Duration) -> bool {
        self.prune(now);
        self.stamps.push_back(now);
        let allowed = usize::try_from(self.intensity.max_restarts).unwrap_or(usize::MAX);
        let exceeded = self.stamps.len() > allowed;
        while self.stamps.len() > allowed.saturating_add(1) {
            self.stamps.pop_front();
        }
        exceeded
    }

    /// Events younger than the window.
    #[must_use]
    pub fn count(&self, now: Duration) -> u32 {
        let young =
            self.stamps.iter().filter(|stamp| now.saturating_sub(**stamp) < self.intensity.window).count();
        u32::try_from(young).unwrap_or(u32::MAX)
    }

    /// Time until it will be empty, if nothing is recorded meanwhile; zero when it is.
    #[must_use]
    pub fn empty_in(&self, now: Duration) -> Duration {
        let newest = self.stamps.back().map(|stamp| stamp.saturating_add(self.intensity.window));
        newest.map_or(Duration::ZERO, |end| end.saturating_sub(now))
    }

    /// Goes by another intensity from the next record on; what was recorded stays.
    pub fn set_intensity(&mut self, intensity: Intensity) {
        self.intensity = intensity;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.stamps = VecDeque::new();
    }

    fn prune(&mut self, now: Duration) {
        while self.stamps.front().is_some_and(|stamp| now.saturating_sub(*stamp) >= self.intensity.window) {
            self.stamps.pop_front();
        }
    }
}
