//! A server's counters: sliding windows, fixed ones on the clock's beat, fixed ones from the first request.

use std::collections::VecDeque;
use std::time::Duration;

/// How a server cuts time into windows.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Sliding,
    OnTheBeat,
    FromFirst,
}

/// One budget, counted as one kind of server does.
#[derive(Clone, Debug)]
struct Counter {
    cut: Cut,
    limit: u32,
    window: Duration,
    log: VecDeque<(Duration, u32)>,
    start: Duration,
    used: u32,
}

impl Counter {
    /// Counts a request; false if it was one too many. What costs more than the limit may go when nothing else counts.
    fn count(&mut self, now: Duration, cost: u32) -> bool {
        match self.cut {
            Cut::Sliding => {
                while self.log.front().is_some_and(|(at, _)| *at + self.window <= now) {
                    self.used -= self.log.pop_front().unwrap().1;
                }
                self.log.push_back((now, cost));
            }
            Cut::OnTheBeat => {
                let beats = now.as_nanos() / self.window.as_nanos();
                let start = self.window * u32::try_from(beats).unwrap();
                self.restart(start != self.start, start);
            }
            Cut::FromFirst => self.restart(now >= self.start + self.window, now),
        }
        self.used += cost;
        self.used <= self.limit.max(cost)
    }

    fn restart(&mut self, over: bool, start: Duration) {
        if over || self.used == 0 {
            (self.start, self.used) = (start, 0);
        }
    }
}

/// One budget as all three kinds of servers count it.
#[derive(Clone, Debug)]
pub(crate) struct Counters([Counter; 3]);

impl Counters {
    pub(crate) fn new(limit: u32, window: Duration) -> Self {
        let counter =
            |cut| Counter { cut, limit, window, log: VecDeque::new(), start: Duration::ZERO, used: 0 };
        Self([Cut::Sliding, Cut::OnTheBeat, Cut::FromFirst].map(counter))
    }

    /// How many of the three say that it was one too many.
    pub(crate) fn count(&mut self, now: Duration, cost: u32) -> u32 {
        self.0.iter_mut().map(|counter| u32::from(!counter.count(now, cost))).sum()
    }
}

#[test]
fn every_kind_of_server_sees_one_too_many() {
    let ms = Duration::from_millis;
    let mut counters = Counters::new(2, ms(1_000));
    let mut at = |at| counters.count(ms(at), 1);
    assert_eq!((at(5_900), at(5_950)), (0, 0));
    assert_eq!(at(6_100), 2, "sliding and from the first; a new second on the beat");
    assert_eq!(at(6_200), 2);
    assert_eq!(at(6_300), 3);
    assert_eq!(at(7_400), 0, "all three windows are over");
}
