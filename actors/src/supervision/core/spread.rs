//! Starts spread over time: at most so many in any second, whoever asks and for when.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::Moment;

const NANOS: u128 = 1_000_000_000;

/// Places for starts, `1 / rate` seconds apart; each is given once, so that no second holds more than `rate` of them.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    rate: u128,
    /// Places that are taken, as runs: first place to the one after the last.
    taken: BTreeMap<u128, u128>,
}

impl Spread {
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self { rate: u128::from(rate.get()), taken: BTreeMap::new() }
    }

    /// Takes the first free place at or after `wanted`; answers its time.
    pub(super) fn take(&mut self, now: Moment, wanted: Moment) -> Moment {
        self.prune(now);
        let first = wanted.as_nanos().saturating_mul(self.rate).div_ceil(NANOS);
        let run = self.taken.range(..=first).next_back().map(|(from, to)| (*from, *to));
        let (from, place) = match run {
            Some((from, to)) if to >= first => (from, to.max(first)),
            _ => (first, first),
        };
        let mut to = place.saturating_add(1);
        // What begins right behind joins the run.
        if let Some(next) = self.taken.remove(&to) {
            to = next;
        }
        self.taken.insert(from, to);
        let nanos = place.saturating_mul(NANOS).div_ceil(self.rate);
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn prune(&mut self, now: Moment) {
        let current = now.as_nanos().saturating_mul(self.rate) / NANOS;
        while let Some(entry) = self.taken.first_entry() {
            if *entry.get() >= current {
                return;
            }
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is wanted and when: never early, and no second holds more than the rate.
        #[test]
        fn no_second_holds_more_than_the_rate(
            rate in 1_u32..50,
            wishes in proptest::collection::vec((0_u64..500, 0_u64..5_000), 1..300),
        ) {
            let mut spread = Spread::new(NonZeroU32::new(rate).expect("not zero"));
            let (mut now, mut given) = (Duration::ZERO, Vec::new());
            for (pass, ahead) in wishes {
                now += Duration::from_millis(pass);
                let wanted = now + Duration::from_millis(ahead);
                let place = spread.take(now, wanted);
                prop_assert!(place >= wanted);
                given.push(place);
            }
            given.sort_unstable();
            for (at, first) in given.iter().enumerate() {
                let within = given[at..].iter().take_while(|place| **place < *first + Duration::from_secs(1));
                prop_assert!(u32::try_from(within.count()).is_ok_and(|count| count <= rate));
            }
        }
    }

    #[test]
    fn a_free_place_is_taken_at_once() {
        let mut spread = Spread::new(NonZeroU32::new(2).expect("not zero"));
        let at = Duration::from_millis;
        assert_eq!(spread.take(at(0), at(500)), at(500));
        assert_eq!(spread.take(at(0), at(500)), at(1_000));
        assert_eq!(spread.take(at(0), at(0)), at(0), "before them");
        assert_eq!(spread.take(at(0), at(0)), at(1_500), "behind the run that it closed");
    }
}
