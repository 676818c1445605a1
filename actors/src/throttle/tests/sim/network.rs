//! A network with jitter and stalls.

use std::time::Duration;

use super::super::super::hold::Jitter;

/// Seeded chance.
pub(crate) struct Chance(Jitter);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Jitter::new(seed))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next() % bound
    }

    /// Uniform in `[0, most]`, to the microsecond.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap();
        Duration::from_micros(self.below(micros + 1))
    }

    /// Exponential with that mean.
    fn pause(&mut self, mean: Duration) -> Duration {
        let uniform = f64::from(u32::try_from(self.below(1 << 31)).unwrap() + 1) / f64::from(1_u32 << 31);
        mean.mul_f64(-uniform.ln())
    }
}

/// One way 30 ms and up to 20 ms more; when it stalls, about every 5 s, every packet is held for 0.2 to 0.6 s.
pub(crate) struct Network {
    chance: Chance,
    stalls: bool,
    stall: (Duration, Duration),
}

impl Network {
    pub(crate) fn new(seed: u64, stalls: bool) -> Self {
        Self { chance: Chance::new(seed), stalls, stall: (Duration::ZERO, Duration::ZERO) }
    }

    /// When a packet sent now arrives.
    pub(crate) fn arrival(&mut self, now: Duration) -> Duration {
        let arrival = now + Duration::from_millis(30) + self.chance.up_to(Duration::from_millis(20));
        if !self.stalls {
            return arrival;
        }
        while self.stall.1 < now {
            let start = self.stall.1.max(now) + self.chance.pause(Duration::from_secs(5));
            let length = Duration::from_millis(200) + self.chance.up_to(Duration::from_millis(400));
            self.stall = (start, start + length);
        }
        if arrival >= self.stall.0 { arrival.max(self.stall.1) } else { arrival }
    }
}
