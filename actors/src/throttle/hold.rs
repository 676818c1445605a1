//! How long a hold lasts: what the platform asks for, a second more, and a spread that nobody else shares.

use std::time::Duration;

/// Added to every wait.
const MARGIN: Duration = Duration::from_secs(1);
/// Most that the spread may add.
const SPREAD_MAX: Duration = Duration::from_secs(30);
/// The spread is up to this part of the wait: five in a hundred.
const SPREAD_PART: u32 = 20;

/// A seeded generator (`SplitMix64`, prng.di.unimi.it): jitter must differ between identities, not be secret.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in `[0, most]`, to the microsecond.
    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next().checked_rem(micros.saturating_add(1)).unwrap_or_default())
    }
}

/// The length of a hold for an asked wait of `wait`: `wait + 1 s + U(0, min(5 % of wait, 30 s))`, so one second for
/// a wait of zero.
pub(super) fn length(wait: Duration, jitter: &mut Jitter) -> Duration {
    let spread = jitter.up_to((wait / SPREAD_PART).min(SPREAD_MAX));
    wait.saturating_add(MARGIN).saturating_add(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_longer_than_asked_by_a_second_and_a_bounded_spread() {
        let mut jitter = Jitter::new(1);
        assert_eq!(length(Duration::ZERO, &mut jitter), MARGIN);
        let mut lengths = std::collections::BTreeSet::new();
        for (wait, most) in [(5, 250), (100, 5_000), (3_600, 30_000), (80_000, 30_000)] {
            for _ in 0..100 {
                let asked = Duration::from_secs(wait);
                let held = length(asked, &mut jitter);
                assert!(held >= asked + MARGIN && held <= asked + MARGIN + Duration::from_millis(most));
                lengths.insert(held);
            }
        }
        assert!(lengths.len() > 350, "the spread spreads: {}", lengths.len());
        assert_eq!(length(Duration::MAX, &mut jitter), Duration::MAX);
    }
}
