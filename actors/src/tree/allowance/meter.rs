//! What one user may send now: counts of the day, what is under way, suspension. Pure.

use std::collections::HashSet;

use crate::model::{Day, DeliveryId, Usage};

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// One of the day's messages is set aside for the delivery.
    Granted,
    /// The day's messages are used up or set aside.
    Full,
    /// It cannot be told before the store was asked.
    Unread,
}

/// The end of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lapse {
    /// When, Unix milliseconds.
    pub(super) at: i64,
    /// The limit from then on; `None`: as many as come.
    pub(super) limit: Option<u64>,
}

/// The meter of one user. What is confirmed, what is set aside and what an earlier run began are never more together
/// than the limit; where it is not sure, it counts too much rather than too little, and asks the store before it refuses.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) suspended: bool,
    pub(super) limit: Option<u64>,
    /// What the limit becomes when the plan ends, if it does.
    pub(super) lapse: Option<Lapse>,
    /// Sends at the platform whose outcome is not written yet.
    pub(super) sending: usize,
    /// Deliveries that wait for a message of the day.
    pub(super) waiting: usize,
    day: Day,
    delivered: u64,
    /// Handed over by somebody who is gone; their deliveries are not complete.
    begun: HashSet<DeliveryId>,
    reserved: HashSet<DeliveryId>,
    /// The day's counts were read.
    read: bool,
    /// Nothing happened since they were read.
    exact: bool,
    /// While the store is asked.
    reading: bool,
    /// How often the store was asked.
    readings: u64,
    /// Settled since a reading began: whether the reading has them is not known.
    settled: HashSet<DeliveryId>,
    /// Confirmed since a reading began.
    confirmed: u64,
    /// Something was left open since a reading began.
    left_open: bool,
    /// The day of which the user was told that it is used up.
    told: Option<Day>,
}

impl Meter {
    pub(super) fn new(day: Day) -> Self {
        Self {
            suspended: false,
            limit: None,
            lapse: None,
            sending: 0,
            waiting: 0,
            day,
            delivered: 0,
            begun: HashSet::new(),
            reserved: HashSet::new(),
            read: false,
            exact: false,
            reading: false,
            readings: 0,
            settled: HashSet::new(),
            confirmed: 0,
            left_open: false,
            told: None,
        }
    }

    /// The day that is counted.
    pub(super) const fn day(&self) -> Day {
        self.day
    }

    /// Confirmed today, as far as is known.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The day and its limit, once all of it is delivered and not only set aside; the first time that it is asked for.
    pub(super) fn used_up_untold(&mut self) -> Option<(Day, u64)> {
        let used_up = |limit: &u64| self.read && self.delivered >= *limit && self.told != Some(self.day);
        let limit = self.limit.filter(used_up)?;
        self.told = Some(self.day);
        Some((self.day, limit))
    }

    /// The user could not be told.
    pub(super) const fn not_told(&mut self) {
        self.told = None;
    }

    /// How often the store was asked.
    pub(super) const fn readings(&self) -> u64 {
        self.readings
    }

    /// Takes the end of the plan into account, if it has come.
    pub(super) fn look_at_plan(&mut self, now_ms: i64) {
        if let Some(lapse) = self.lapse.take_if(|lapse| lapse.at <= now_ms) {
            self.limit = lapse.limit;
            self.distrust();
        }
    }

    /// The counts are not to be trusted any more.
    pub(super) fn distrust(&mut self) {
        (self.read, self.left_open) = (false, true);
    }

    /// Sets one message of the day aside for a delivery.
    pub(super) fn claim(&mut self, delivery: DeliveryId, today: Day) -> Claim {
        self.turn(today);
        let Some(limit) = self.limit else {
            self.reserved.insert(delivery);
            return Claim::Granted;
        };
        if !self.read {
            return Claim::Unread;
        }
        let spoken_for = self.reserved.len().saturating_add(self.begun.len());
        let taken = self.delivered.saturating_add(u64::try_from(spoken_for).unwrap_or(u64::MAX));
        if self.begun.remove(&delivery) || taken < limit {
            self.reserved.insert(delivery);
            Claim::Granted
        } else if self.exact {
            Claim::Full
        } else {
            Claim::Unread
        }
    }

    /// A delivery is complete, and the store has counted it.
    pub(super) fn confirm(&mut self, delivery: DeliveryId, today: Day) {
        self.turn(today);
        self.settle(delivery);
        self.delivered = self.delivered.saturating_add(1);
        self.confirmed = self.confirmed.saturating_add(1);
        self.exact = false;
    }

    /// A delivery ended without being counted, or was never handed over.
    pub(super) fn settle(&mut self, delivery: DeliveryId) {
        self.reserved.remove(&delivery);
        if self.reading {
            self.settled.insert(delivery);
        }
    }

    /// A delivery was handed over, and nobody here knows how it ends.
    pub(super) fn leave_open(&mut self, delivery: DeliveryId) {
        self.reserved.remove(&delivery);
        self.distrust();
    }

    /// The store is asked from now on.
    pub(super) fn reading(&mut self) {
        self.settled.clear();
        (self.reading, self.confirmed, self.left_open) = (true, 0, false);
    }

    /// What the store said of `day`; nothing, where it failed.
    pub(super) fn apply(&mut self, day: Day, usage: Option<Usage>) {
        self.reading = false;
        self.readings = self.readings.wrapping_add(1);
        let Some(usage) = usage.filter(|_| day == self.day) else { return };
        self.delivered = usage.delivered.saturating_add(self.confirmed);
        let open = |id: &DeliveryId| !self.reserved.contains(id) && !self.settled.contains(id);
        self.begun = usage.begun.into_iter().filter(open).collect();
        self.read = !self.left_open;
        self.exact = self.confirmed == 0 && self.settled.is_empty();
    }

    fn turn(&mut self, today: Day) {
        if today != self.day {
            (self.day, self.delivered) = (today, 0);
            (self.read, self.exact) = (false, false);
        } else if self.read && self.limit.is_none() {
            // Without a limit nothing is kept up to date that a limit would need.
            self.read = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> DeliveryId {
        DeliveryId::from_uuid(Uuid::from_u128(n))
    }

    fn day(n: i64) -> Day {
        Day::of(n * 86_400_000)
    }

    fn meter(limit: u64, delivered: u64, begun: &[u128]) -> Meter {
        let mut meter = Meter::new(day(0));
        meter.limit = Some(limit);
        read(&mut meter, delivered, begun);
        meter
    }

    fn read(meter: &mut Meter, delivered: u64, begun: &[u128]) {
        meter.reading();
        meter.apply(meter.day(), Some(Usage { delivered, begun: begun.iter().copied().map(id).collect() }));
    }

    #[test]
    fn what_is_under_way_counts_as_used() {
        let mut meter = meter(3, 1, &[]);
        assert_eq!(meter.claim(id(1), day(0)), Claim::Granted);
        assert_eq!(meter.claim(id(2), day(0)), Claim::Granted);
        assert_eq!(meter.claim(id(3), day(0)), Claim::Full);
        meter.confirm(id(1), day(0));
        assert_eq!(meter.claim(id(3), day(0)), Claim::Unread, "asked again before it is refused");
        read(&mut meter, 2, &[2]);
        assert_eq!(meter.claim(id(3), day(0)), Claim::Full);
        meter.settle(id(2));
        assert_eq!(meter.claim(id(3), day(0)), Claim::Granted, "given up: its place is free");
    }

    #[test]
    fn what_an_earlier_run_began_goes_first() {
        let mut meter = meter(2, 1, &[7]);
        assert_eq!(meter.claim(id(8), day(0)), Claim::Full);
        assert_eq!(meter.claim(id(7), day(0)), Claim::Granted);
        assert_eq!(meter.claim(id(8), day(0)), Claim::Full);
    }

    #[test]
    fn what_is_left_open_is_asked_for_before_anything_else_is_granted() {
        let mut meter = meter(2, 0, &[]);
        assert_eq!(meter.claim(id(1), day(0)), Claim::Granted);
        meter.leave_open(id(1));
        assert_eq!(meter.claim(id(2), day(0)), Claim::Unread);
        read(&mut meter, 1, &[]);
        assert_eq!(meter.claim(id(2), day(0)), Claim::Granted);
        assert_eq!(meter.claim(id(3), day(0)), Claim::Full);
    }

    #[test]
    fn a_confirmation_during_a_reading_is_never_lost() {
        let mut meter = meter(2, 0, &[]);
        assert_eq!(meter.claim(id(1), day(0)), Claim::Granted);
        meter.distrust();
        meter.reading();
        meter.confirm(id(1), day(0));
        // The store was asked before it had the first.
        meter.apply(day(0), Some(Usage { delivered: 0, begun: vec![id(1)] }));
        assert_eq!(meter.claim(id(2), day(0)), Claim::Granted);
        assert_ne!(meter.claim(id(3), day(0)), Claim::Granted);
    }

    #[test]
    fn midnight_frees_what_is_confirmed_and_keeps_what_is_under_way() {
        let mut meter = meter(2, 1, &[]);
        assert_eq!(meter.claim(id(1), day(0)), Claim::Granted);
        assert_eq!(meter.claim(id(2), day(0)), Claim::Full);
        assert_eq!(meter.claim(id(2), day(1)), Claim::Unread);
        read(&mut meter, 0, &[1]);
        assert_eq!(meter.claim(id(2), day(1)), Claim::Granted);
        assert_eq!(meter.claim(id(3), day(1)), Claim::Full, "the one of yesterday evening ends today");
    }

    #[test]
    fn a_plan_that_ends_leaves_the_limit_that_comes_after_it() {
        let mut meter = Meter::new(day(0));
        meter.lapse = Some(Lapse { at: 1_000, limit: Some(1) });
        meter.look_at_plan(999);
        assert_eq!(meter.claim(id(1), day(0)), Claim::Granted);
        meter.confirm(id(1), day(0));
        meter.look_at_plan(1_000);
        assert_eq!(meter.claim(id(2), day(0)), Claim::Unread);
        read(&mut meter, 1, &[]);
        assert_eq!(meter.claim(id(2), day(0)), Claim::Full);
    }

    #[test]
    fn without_a_limit_nothing_is_asked_and_a_limit_that_comes_is_exact() {
        let mut meter = Meter::new(day(0));
        for n in 0..100 {
            assert_eq!(meter.claim(id(n), day(0)), Claim::Granted);
            meter.confirm(id(n), day(0));
        }
        meter.limit = Some(100);
        assert_eq!(meter.claim(id(200), day(0)), Claim::Unread);
        read(&mut meter, 100, &[]);
        assert_eq!(meter.claim(id(200), day(0)), Claim::Full);
        assert_eq!(meter.used_up_untold(), Some((day(0), 100)));
        assert_eq!(meter.used_up_untold(), None, "once a day");
    }
}
