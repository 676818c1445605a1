//! The pure core of the rate limits: a sliding window log whose times are rounded up to the end of a slot.
//!
//! A sliding window log keeps the time of every request and grants one more while fewer than the limit lie in the window
//! (it is the exact one of the algorithms compared in blog.cloudflare.com/counting-things-a-lot-of-different-things and
//! en.wikipedia.org/wiki/Rate_limiting). Here a request is only known by its slot, a sixtieth of the window, and counts
//! until the last instant of its slot has left the window. So no window of that length, wherever it begins, ever holds more
//! than the limit, and a request comes back at most one slot late; what is kept is 61 numbers at most, whatever the limit.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// Slots in a window.
pub(super) const SLOTS: i64 = 60;

/// So many requests in any window of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimit {
    /// Requests that one window may hold.
    pub requests: NonZeroU32,
    /// Its length; less than a millisecond counts as one.
    pub window: Duration,
}

impl ApiLimit {
    /// Length of a slot in milliseconds, rounded up: the window is never shorter than it is said to be.
    pub(super) fn slot_ms(self) -> i64 {
        let window = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX);
        window.saturating_add(SLOTS - 1).div_euclid(SLOTS).max(1)
    }

    /// The slot of a time in Unix milliseconds.
    pub(super) fn slot(self, now: i64) -> i64 {
        now.div_euclid(self.slot_ms())
    }
}

/// The requests of one subject: how many in which slot, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window(VecDeque<(i64, u32)>);

impl Window {
    /// Lets go of what has left the window. What lies further ahead than a window was noted before the clock was set back: it
    /// happened before now, and counts as of now.
    pub(super) fn advance(&mut self, now: i64) {
        let (oldest, latest) = (now.saturating_sub(SLOTS), now.saturating_add(SLOTS));
        let mut ahead = 0_u32;
        self.0.retain(|(slot, count)| {
            if *slot > latest {
                ahead = ahead.saturating_add(*count);
            }
            (oldest..=latest).contains(slot)
        });
        if ahead > 0 {
            self.add(now, ahead);
        }
    }

    /// Requests in the window.
    pub(super) fn used(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Notes requests, never earlier than the last that was noted: the clock may have been set back.
    pub(super) fn add(&mut self, slot: i64, count: u32) {
        match self.0.back_mut() {
            Some((last, known)) if *last >= slot => *known = known.saturating_add(count),
            _ => self.0.push_back((slot, count)),
        }
    }

    /// The first slot in which fewer than so many requests are in the window; none if that is so already.
    pub(super) fn below(&self, requests: u32) -> Option<i64> {
        let mut used = self.used();
        let mut free = None;
        for (slot, count) in &self.0 {
            if used < requests {
                break;
            }
            used = used.saturating_sub(*count);
            free = Some(slot.saturating_add(SLOTS + 1));
        }
        free
    }

    /// The last slot that holds a request.
    pub(super) fn last(&self) -> Option<i64> {
        self.0.back().map(|(slot, _)| *slot)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is stored.
    pub(super) fn encode(&self) -> String {
        let slots: Vec<String> = self.0.iter().map(|(slot, count)| format!("{slot}:{count}")).collect();
        slots.join(",")
    }

    /// As it was stored; none if it is no window.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut window = Self::default();
        for entry in text.split(',').filter(|entry| !entry.is_empty()) {
            let (slot, count) = entry.split_once(':')?;
            window.add(slot.parse().ok()?, count.parse().ok()?);
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: u32, window_ms: u64) -> ApiLimit {
        ApiLimit { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_millis(window_ms) }
    }

    /// What a caller of the core does.
    fn grants(window: &mut Window, limit: ApiLimit, now: i64) -> bool {
        let slot = limit.slot(now);
        window.advance(slot);
        let granted = window.used() < limit.requests.get();
        if granted {
            window.add(slot, 1);
        }
        granted
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            requests in 1_u32..20,
            window_ms in 1_u64..5_000,
            steps in prop::collection::vec(0_i64..400, 1..400),
        ) {
            let limit = limit(requests, window_ms);
            let (mut window, mut now, mut granted) = (Window::default(), 1_795_000_000_000_i64, Vec::new());
            for step in steps {
                now += step;
                if grants(&mut window, limit, now) {
                    granted.push(now);
                }
                let length = i64::try_from(window_ms).unwrap();
                let inside = granted.iter().filter(|at| **at > now - length).count();
                prop_assert!(inside <= usize::try_from(requests).unwrap(), "{inside} in {window_ms} ms");
                prop_assert!(window.0.len() <= 61);
                prop_assert_eq!(Window::decode(&window.encode()), Some(window.clone()));
            }
        }

        #[test]
        fn a_request_comes_back_one_slot_late_at_most(requests in 1_u32..50, window_ms in 1_u64..100_000) {
            let limit = limit(requests, window_ms);
            let (mut window, start) = (Window::default(), 1_795_000_000_123_i64);
            for _ in 0..requests {
                prop_assert!(grants(&mut window, limit, start));
            }
            prop_assert!(!grants(&mut window, limit, start));
            let later = start + limit.slot_ms() * (SLOTS + 1);
            prop_assert!(grants(&mut window, limit, later));
            // What `below` promises is kept.
            let mut full = Window::default();
            for _ in 0..requests {
                grants(&mut full, limit, start);
            }
            let free = full.below(requests).unwrap();
            prop_assert!(!grants(&mut full.clone(), limit, free * limit.slot_ms() - 1));
            prop_assert!(grants(&mut full, limit, free * limit.slot_ms()));
        }

        #[test]
        fn a_clock_that_is_set_back_grants_no_more(back in 1_i64..10_000_000) {
            let limit = limit(5, 60_000);
            let (mut window, start) = (Window::default(), 1_795_000_000_000_i64);
            for _ in 0..5 {
                prop_assert!(grants(&mut window, limit, start));
            }
            prop_assert!(!grants(&mut window, limit, start - back));
            // And nobody waits for the clock to be where it was: two windows are the most.
            prop_assert!(grants(&mut window, limit, start - back + 2 * 61 * limit.slot_ms()));
        }
    }

    #[test]
    fn what_is_no_window_is_told() {
        assert_eq!(Window::decode(""), Some(Window::default()));
        for text in ["1", "a:1", "1:b", "1:-1", "1:1,2"] {
            assert_eq!(Window::decode(text), None, "{text}");
        }
    }
}
