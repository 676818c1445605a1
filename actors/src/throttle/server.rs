//! The other side, for tests: a server that counts what an identity sends, in sliding windows, in fixed ones on the
//! clock's beat, and in fixed ones from the first request.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ids::Lane;
use super::profiles::{Budget, ChatKey, Profile};

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
    const fn new(cut: Cut, limit: u32, window: Duration) -> Self {
        Self { cut, limit, window, log: VecDeque::new(), start: Duration::ZERO, used: 0 }
    }

    /// Counts a request; false if it was one too many. What costs more than the limit may go when nothing else counts.
    fn count(&mut self, now: Duration, cost: u32) -> bool {
        match self.cut {
            Cut::Sliding => {
                while let Some((_, old)) = self.log.pop_front_if(|(at, _)| *at + self.window <= now) {
                    self.used = self.used.saturating_sub(old);
                }
                self.log.push_back((now, cost));
            }
            Cut::OnTheBeat => {
                let into = now.as_nanos().checked_rem(self.window.as_nanos()).unwrap_or_default();
                let start = now.saturating_sub(Duration::from_nanos_u128(into));
                self.restart(start != self.start, start);
            }
            Cut::FromFirst => self.restart(now >= self.start + self.window, now),
        }
        self.used = self.used.saturating_add(cost);
        self.used <= self.limit.max(cost)
    }

    const fn restart(&mut self, over: bool, start: Duration) {
        if over || self.used == 0 {
            (self.start, self.used) = (start, 0);
        }
    }
}

/// One budget as all three kinds of servers count it.
#[derive(Clone, Debug)]
struct Counters {
    budget: Budget,
    cuts: [Counter; 3],
    /// A window that is a quarter longer: what is too much for it came close to the limit.
    longer: Counter,
}

impl Counters {
    fn new(budget: Budget) -> Self {
        let Budget { limit, window, .. } = budget;
        let cuts = [Cut::Sliding, Cut::OnTheBeat, Cut::FromFirst].map(|cut| Counter::new(cut, limit, window));
        Self { budget, cuts, longer: Counter::new(Cut::Sliding, limit, window + window / 4) }
    }

    fn count(&mut self, now: Duration, cost: u32) -> Tally {
        let over = self.cuts.iter_mut().map(|counter| u32::from(!counter.count(now, cost))).sum();
        let close = !self.longer.count(now, cost);
        let full = self.cuts.iter().any(|counter| counter.used >= counter.limit);
        let Budget { name, limit, window, .. } = self.budget;
        Tally { budget: name, limit, window, full, over, close }
    }
}

/// What a request meant for one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) budget: &'static str,
    pub(crate) limit: u32,
    pub(crate) window: Duration,
    /// Nothing more may come before time has passed.
    pub(crate) full: bool,
    /// How many of the three kinds of servers say that it was one too many.
    pub(crate) over: u32,
    /// It would have been one too many for a window that is a quarter longer.
    pub(crate) close: bool,
}

/// What a platform counts of one identity, by the limits that a profile names.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    profile: Profile,
    account: Vec<Counters>,
    chats: BTreeMap<ChatKey, Vec<Counters>>,
}

impl Server {
    pub(crate) fn new(profile: Profile) -> Self {
        let account = profile.account_budgets().map(Counters::new).collect();
        Self { profile, account, chats: BTreeMap::new() }
    }

    /// A request arrives: what it means for each budget that it uses up. Time never goes back.
    pub(crate) fn count(&mut self, now: Duration, lane: Lane, cost: u32) -> Vec<Tally> {
        let key = self.profile.chat_of(lane);
        let budgets = || self.profile.chat_budgets(key).map(Counters::new).collect();
        let chat = self.chats.entry(key).or_insert_with(budgets);
        self.account.iter_mut().chain(chat).map(|counters| counters.count(now, cost)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountKind, ChatId, Place, Platform};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_kind_of_server_sees_one_too_many() {
        let budget = *Profile::named(AccountKind::DiscordBot, "normal").unwrap().budgets().first().unwrap();
        let mut counters = Counters::new(Budget { limit: 2, window: ms(1_000), ..budget });
        let mut at = |at| counters.count(ms(at), 1).over;
        assert_eq!((at(5_900), at(5_950)), (0, 0));
        assert_eq!(at(6_100), 2, "sliding and from the first; a new second on the beat");
        assert_eq!(at(6_200), 2);
        assert_eq!(at(6_300), 3);
        assert_eq!(at(7_400), 0, "all three windows are over");
    }

    #[test]
    fn a_server_counts_chats_apart_and_groups_by_the_minute_too() {
        let mut server = Server::new(Profile::named(AccountKind::TelegramBot, "normal").unwrap());
        let mut count = |at, chat| {
            let place =
                Place { platform: Platform::Telegram, chat: ChatId::new(chat).unwrap(), thread: None };
            server.count(ms(at), Lane::from(place), 1)
        };
        let names = |tallies: Vec<Tally>| tallies.iter().map(|tally| tally.budget).collect::<Vec<_>>();
        assert_eq!(names(count(0, 1)), ["account", "chat"]);
        assert_eq!(names(count(0, -1)), ["account", "chat", "group"]);
        let is_close = |tallies: &[Tally]| tallies.iter().any(|tally| tally.close);
        let over = |tallies: &[Tally]| tallies.iter().map(|tally| tally.over).sum::<u32>();
        let again = count(1_200, 1);
        assert!(over(&again) == 0 && is_close(&again), "a second after the last one");
        let late = count(3_000, 1);
        assert!(over(&late) == 0 && !is_close(&late));
        assert_eq!(over(&count(3_900, 1)), 3, "one of three is the beat, and the second is the same");
    }
}
