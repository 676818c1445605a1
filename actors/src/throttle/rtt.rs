//! The shortest round trip of the last minutes: how much of a window has passed at the server when an answer arrives.

use std::collections::VecDeque;
use std::time::Duration;

/// Answers needed before the floor is believed.
const SAMPLES_MIN: u32 = 20;
/// Minutes that are looked at.
const MINUTES: u64 = 10;

/// The least of one minute's round trips.
#[derive(Clone, Debug)]
struct Minute {
    index: u64,
    samples: u32,
    least: Duration,
}

/// Ten minutes of round trips, one entry a minute.
#[derive(Clone, Debug, Default)]
pub(super) struct RttFloor {
    minutes: VecDeque<Minute>,
}

impl RttFloor {
    /// Takes a measured round trip.
    pub(super) fn sample(&mut self, now: Duration, rtt: Duration) {
        let index = minute(now);
        self.minutes.retain(|minute| minute.index + MINUTES >= index);
        match self.minutes.back_mut().filter(|minute| minute.index == index) {
            Some(minute) => {
                minute.samples = minute.samples.saturating_add(1);
                minute.least = minute.least.min(rtt);
            }
            None => self.minutes.push_back(Minute { index, samples: 1, least: rtt }),
        }
    }

    /// Nine tenths of the least round trip; zero until enough were seen. A request reaches the server no sooner after
    /// it is sent than the forward half of it, and was counted no later before its answer than the backward half.
    pub(super) fn floor(&self, now: Duration) -> Duration {
        let oldest = minute(now).saturating_sub(MINUTES);
        let seen = || self.minutes.iter().filter(|minute| minute.index >= oldest);
        let samples = seen().fold(0_u32, |sum, minute| sum.saturating_add(minute.samples));
        if samples < SAMPLES_MIN {
            return Duration::ZERO;
        }
        seen().map(|minute| minute.least).min().map_or(Duration::ZERO, |least| least * 9 / 10)
    }
}

const fn minute(at: Duration) -> u64 {
    at.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_floor_waits_for_twenty_answers_and_forgets_after_ten_minutes() {
        let mut rtt = RttFloor::default();
        for n in 0..19 {
            rtt.sample(ms(n), ms(100));
        }
        assert_eq!(rtt.floor(ms(20)), Duration::ZERO);
        rtt.sample(ms(20), ms(50));
        assert_eq!(rtt.floor(ms(20)), ms(45));
        for minute in 1..=30_u64 {
            for _ in 0..20 {
                rtt.sample(ms(minute * 60_000), ms(100));
            }
        }
        assert_eq!(rtt.floor(ms(30 * 60_000)), ms(90), "the short one is old");
        assert!(rtt.minutes.len() <= 11);
        assert_eq!(rtt.floor(ms(60 * 60_000)), Duration::ZERO, "nothing was seen lately");
    }
}
