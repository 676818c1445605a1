//! Draws of one run: everything random comes from its seed.

use std::time::Duration;

use crate::ports::Rng as _;
use crate::testkit::SeededRng;

/// A stream of draws. Streams of one seed with different names are independent, so that one more draw in one of them
/// changes nothing in the others.
#[derive(Debug)]
pub(super) struct Dice(SeededRng);

impl Dice {
    /// The stream of this name.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let rng = SeededRng::new(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, fold));
        // Seeds that differ in few bits begin alike.
        rng.next_u64();
        Self(SeededRng::new(rng.next_u64()))
    }

    /// Uniform in `[least, most]`.
    pub(super) fn between(&self, least: u64, most: u64) -> u64 {
        let sides = most.saturating_sub(least).saturating_add(1);
        least.saturating_add(self.0.next_u64().checked_rem(sides).unwrap_or(0))
    }

    /// As [`Self::between`], for counts and places in lists.
    pub(super) fn count(&self, least: usize, most: usize) -> usize {
        let (least, most) = (u64::try_from(least).unwrap_or(0), u64::try_from(most).unwrap_or(0));
        usize::try_from(self.between(least, most)).unwrap_or(0)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// Uniform to the millisecond.
    pub(super) fn time(&self, least: Duration, most: Duration) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.between(millis(least), millis(most)))
    }

    /// As [`Self::time`], in seconds.
    pub(super) fn seconds(&self, least: u64, most: u64) -> Duration {
        self.time(Duration::from_secs(least), Duration::from_secs(most))
    }

    /// One of several; none of none.
    pub(super) fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.count(0, of.len().saturating_sub(1)))
    }

    /// One of several, by weights that need not add up to anything.
    pub(super) fn weighed<T: Copy>(&self, of: &[(u64, T)]) -> Option<T> {
        let mut left = self.between(1, of.iter().map(|(weight, _)| weight).sum());
        of.iter().find_map(|(weight, what)| match left.checked_sub(*weight) {
            None | Some(0) => Some(*what),
            Some(rest) => {
                left = rest;
                None
            }
        })
    }

    /// A seed for something else.
    pub(super) fn seed(&self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_and_name() {
        let draw =
            |seed, name| (0..8).map(|_| Dice::new(seed, name)).map(|dice| dice.seed()).collect::<Vec<_>>();
        assert_eq!(draw(1, "wire"), draw(1, "wire"));
        assert_ne!(draw(1, "wire"), draw(2, "wire"));
        assert_ne!(draw(1, "wire"), draw(1, "store"));
    }

    #[test]
    fn draws_keep_their_bounds_and_weights() {
        let dice = Dice::new(7, "test");
        let rolls: Vec<u64> = (0..1_000).map(|_| dice.between(3, 5)).collect();
        assert!(
            rolls.iter().all(|roll| (3..=5).contains(roll)) && [3, 4, 5].iter().all(|n| rolls.contains(n))
        );
        let weighed: Vec<char> =
            (0..1_000).filter_map(|_| dice.weighed(&[(9, 'a'), (0, 'b'), (1, 'c')])).collect();
        assert_eq!(weighed.len(), 1_000);
        assert!(!weighed.contains(&'b') && weighed.contains(&'c'));
        assert!(weighed.iter().filter(|letter| **letter == 'a').count() > 800);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
