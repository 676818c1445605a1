//! A time of day that follows tokio's (pausable) clock, and randomness that repeats under a seed.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::ports::{Clock, Rng};

/// A wall clock that starts at a fixed time and moves with tokio's clock.
#[derive(Debug)]
pub struct VirtualClock {
    origin: Instant,
    start: DateTime<Utc>,
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self { origin: Instant::now(), start: DateTime::UNIX_EPOCH + chrono::Duration::days(20_000) }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = chrono::Duration::from_std(self.origin.elapsed()).unwrap_or(chrono::Duration::MAX);
        self.start + passed
    }
}

/// SplitMix64 (prng.di.unimi.it/splitmix64.c): the same numbers for the same seed.
#[derive(Debug)]
pub struct SeededRng(Mutex<u64>);

impl SeededRng {
    /// A generator for a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buffer.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}
