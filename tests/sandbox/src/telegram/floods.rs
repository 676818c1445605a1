//! Waits that clients were told, and the published limits on sends.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::world::Chat;

/// A sliding window: so many in so long.
#[derive(Debug, Clone, Copy)]
struct Window {
    limit: usize,
    length: TimeDelta,
}

/// Messages of one account (core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this publishes these
/// for bots; what holds for users is not published, so they have the same).
const ACCOUNT: Window = Window { limit: 30, length: TimeDelta::seconds(1) };
/// Messages to one group or channel; edits count as well (github.com/tdlib/td/issues/2592).
const GROUP: Window = Window { limit: 20, length: TimeDelta::seconds(60) };
/// Messages to one chat come about this far apart …
const CHAT_INTERVAL: TimeDelta = TimeDelta::seconds(1);
/// … but so many may come at once: "short bursts" are tolerated.
const CHAT_BURST: i32 = 3;
/// Pages of history for one user: what users report (pypi.org/project/telethon-floodgate); Telegram publishes none.
const HISTORY: Window = Window { limit: 30, length: TimeDelta::seconds(30) };
/// Waits and windows kept; ended ones go first.
const KEPT: usize = 16_384;

/// Whom a wait is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// Somebody who is signed in, on whatever key.
    User(i64),
    /// A key with which nobody is signed in.
    Key(i64),
}

/// What stands against further calls.
#[derive(Debug, Default)]
pub(super) struct Floods {
    /// By caller and method.
    waits: HashMap<(Caller, u32), DateTime<Utc>>,
    /// By user and chat: slow mode.
    slow: HashMap<(i64, Chat), DateTime<Utc>>,
    histories: HashMap<i64, VecDeque<DateTime<Utc>>>,
    accounts: HashMap<i64, VecDeque<DateTime<Utc>>>,
    groups: HashMap<(i64, i64), VecDeque<DateTime<Utc>>>,
    /// By account and chat: until when the chat is spoken for (the generic cell rate algorithm).
    chats: HashMap<(i64, Chat), DateTime<Utc>>,
}

impl Window {
    /// How long a further message must wait.
    fn wait(self, sent: &mut VecDeque<DateTime<Utc>>, now: DateTime<Utc>) -> TimeDelta {
        while sent.front().is_some_and(|first| *first + self.length <= now) {
            sent.pop_front();
        }
        let full = sent.len() >= self.limit;
        sent.front().filter(|_| full).map_or(TimeDelta::zero(), |first| *first + self.length - now)
    }
}

impl Floods {
    /// What is left of a wait told for this method.
    pub(super) fn holds(&self, who: Caller, method: u32, now: DateTime<Utc>) -> Option<Duration> {
        let until = self.waits.get(&(who, method))?;
        (*until - now).to_std().ok().filter(|left| !left.is_zero())
    }

    /// Remembers that a client was told to wait.
    pub(super) fn tell(&mut self, who: Caller, method: u32, until: DateTime<Utc>, now: DateTime<Utc>) {
        if self.waits.len() >= KEPT {
            self.waits.retain(|_, until| *until > now);
        }
        self.waits.insert((who, method), until);
    }

    /// What is left of a slow mode's wait.
    pub(super) fn slowed(&self, user: i64, chat: Chat, now: DateTime<Utc>) -> Option<Duration> {
        let until = self.slow.get(&(user, chat))?;
        (*until - now).to_std().ok().filter(|left| !left.is_zero())
    }

    /// Remembers that a user was told to wait before the next message in a chat.
    pub(super) fn slow(&mut self, user: i64, chat: Chat, until: DateTime<Utc>, now: DateTime<Utc>) {
        if self.slow.len() >= KEPT {
            self.slow.retain(|_, until| *until > now);
        }
        self.slow.insert((user, chat), until);
    }

    /// Counts a page of history; if there were too many, nothing is counted and the wait is told.
    pub(super) fn count_history(&mut self, user: i64, now: DateTime<Utc>) -> Option<Duration> {
        if self.histories.len() >= KEPT {
            self.histories.retain(|_, read| read.back().is_some_and(|last| *last + HISTORY.length > now));
        }
        let read = self.histories.entry(user).or_default();
        let wait = HISTORY.wait(read, now);
        if wait > TimeDelta::zero() {
            return Some(wait.to_std().unwrap_or_default());
        }
        read.push_back(now);
        None
    }

    /// Counts a send or an edit; if a published limit is used up, nothing is counted and the wait until all have room
    /// is told.
    pub(super) fn count(&mut self, user: i64, chat: Chat, now: DateTime<Utc>) -> Option<Duration> {
        self.forget(now);
        let account = self.accounts.entry(user).or_default();
        let mut wait = ACCOUNT.wait(account, now);
        let group = match chat {
            Chat::Channel(channel) => Some(self.groups.entry((user, channel)).or_default()),
            Chat::User(_) => None,
        };
        let free = self.chats.entry((user, chat)).or_insert(now);
        wait = wait.max(*free - now - CHAT_INTERVAL * (CHAT_BURST - 1));
        match group {
            None if wait <= TimeDelta::zero() => {}
            None => return Some(wait.to_std().unwrap_or_default()),
            Some(group) => {
                wait = wait.max(GROUP.wait(group, now));
                if wait > TimeDelta::zero() {
                    return Some(wait.to_std().unwrap_or_default());
                }
                group.push_back(now);
            }
        }
        account.push_back(now);
        *free = (*free).max(now) + CHAT_INTERVAL;
        None
    }

    /// Drops what has ended when there is too much.
    fn forget(&mut self, now: DateTime<Utc>) {
        if self.accounts.len() >= KEPT {
            self.accounts.retain(|_, sent| sent.back().is_some_and(|last| *last + ACCOUNT.length > now));
        }
        if self.groups.len() >= KEPT {
            self.groups.retain(|_, sent| sent.back().is_some_and(|last| *last + GROUP.length > now));
        }
        if self.chats.len() >= KEPT {
            self.chats.retain(|_, free| *free > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_holds_for_its_method_until_it_ends() {
        let now = DateTime::UNIX_EPOCH;
        let mut floods = Floods::default();
        let (one, two) = (Caller::User(1), Caller::Key(1));
        floods.tell(one, 7, now + TimeDelta::seconds(5), now);
        assert_eq!(floods.holds(one, 7, now), Some(Duration::from_secs(5)));
        assert_eq!(floods.holds(one, 8, now), None);
        assert_eq!(floods.holds(two, 7, now), None);
        assert_eq!(floods.holds(one, 7, now + TimeDelta::seconds(5)), None);
    }

    #[test]
    fn the_twenty_first_message_in_a_minute_waits_until_the_first_is_a_minute_old() {
        let start = DateTime::UNIX_EPOCH;
        let mut floods = Floods::default();
        for second in 0..20 {
            let now = start + TimeDelta::seconds(second);
            assert_eq!(floods.count(1, Chat::Channel(5), now), None);
        }
        let now = start + TimeDelta::seconds(20);
        assert_eq!(floods.count(1, Chat::Channel(5), now), Some(Duration::from_secs(40)));
        assert_eq!(floods.count(1, Chat::Channel(6), now), None, "another channel");
        assert_eq!(floods.count(1, Chat::User(5), now), None, "a private conversation");
        assert_eq!(floods.count(1, Chat::Channel(5), start + TimeDelta::seconds(60)), None);
    }

    #[test]
    fn a_short_burst_to_a_chat_is_tolerated_and_then_one_a_second_goes() {
        let start = DateTime::UNIX_EPOCH;
        let mut floods = Floods::default();
        for _ in 0..3 {
            assert_eq!(floods.count(1, Chat::User(5), start), None);
        }
        assert_eq!(floods.count(1, Chat::User(5), start), Some(Duration::from_secs(1)));
        assert_eq!(floods.count(2, Chat::User(5), start), None, "another account");
        for second in 1..100 {
            let now = start + TimeDelta::seconds(second);
            assert_eq!(floods.count(1, Chat::User(5), now), None, "{second}");
        }
    }

    #[test]
    fn a_user_reads_thirty_pages_of_history_in_half_a_minute() {
        let start = DateTime::UNIX_EPOCH;
        let mut floods = Floods::default();
        for _ in 0..30 {
            assert_eq!(floods.count_history(1, start), None);
        }
        assert_eq!(floods.count_history(1, start), Some(Duration::from_secs(30)));
        assert_eq!(floods.count_history(2, start), None);
        assert_eq!(floods.count_history(1, start + TimeDelta::seconds(30)), None);
    }

    #[test]
    fn an_account_sends_thirty_messages_a_second() {
        let start = DateTime::UNIX_EPOCH;
        let mut floods = Floods::default();
        for chat in 0..30 {
            assert_eq!(floods.count(1, Chat::Channel(chat), start), None);
        }
        assert_eq!(floods.count(1, Chat::Channel(30), start), Some(Duration::from_secs(1)));
        assert_eq!(floods.count(1, Chat::Channel(30), start + TimeDelta::seconds(1)), None);
    }
}
