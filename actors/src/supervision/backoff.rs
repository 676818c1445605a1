//! Delay before a restart: exponential, capped, with jitter drawn from a hash so that a run can be replayed.

use std::time::Duration;

/// Exponential backoff.
///
/// The delay before the n-th consecutive restart is `min(cap, base * 2^(n-1))`, of which jitter takes away up to
/// `jitter_percent`. 100 % is the "full jitter" of aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Delay before the first restart.
    pub base: Duration,
    /// Longest delay.
    pub cap: Duration,
    /// Share of the delay that jitter may take away, 0 to 100.
    pub jitter_percent: u8,
    /// A child that had been up this long starts again from `base` at its next failure.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// 1 s doubling to 60 s, full jitter, forgotten after 120 s up.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            jitter_percent: 100,
            reset_after: Duration::from_secs(120),
        }
    }
}

impl Backoff {
    /// The delay before the `attempt`-th consecutive restart (1 is the first). `key` names the child and the run.
    #[must_use]
    pub fn delay(&self, attempt: u32, key: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap);
        let range = full.as_micros().saturating_mul(u128::from(self.jitter_percent.min(100))) / 100;
        let draw = u128::from(mix(key, u64::from(attempt)) >> 32);
        let cut = range.saturating_mul(draw) >> 32;
        full.saturating_sub(Duration::from_micros(u64::try_from(cut).unwrap_or(u64::MAX)))
    }
}

/// A key for [`Backoff::delay`] out of the run's seed and a child's path.
#[must_use]
pub fn jitter_key(seed: u64, path: &str) -> u64 {
    // Eight bytes at a time; no path holds a zero byte, so that none is mistaken for what the last word is filled with.
    path.as_bytes().chunks(8).fold(mix(seed, 0), |hash, bytes| {
        let word = bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        mix(hash, word)
    })
}

/// SplitMix64's finaliser over both words (prng.di.unimi.it/splitmix64.c).
fn mix(state: u64, word: u64) -> u64 {
    let mut z = state.wrapping_add(word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
