//! Waits that clients were told, and the published limits on sends.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::world::Chat;

/// Messages to one group or channel in a minute (core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
/// publishes it for bots; what holds for users beyond it is not published).
const CHANNEL_SENDS: usize = 20;
/// The length of that minute.
const WINDOW: TimeDelta = TimeDelta::seconds(60);
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
    sends: HashMap<(i64, Chat), VecDeque<DateTime<Utc>>>,
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

    /// Counts a send; if the published limit of the chat is used up, the wait until it has room.
    pub(super) fn count(&mut self, user: i64, chat: Chat, now: DateTime<Utc>) -> Option<Duration> {
        let Chat::Channel(_) = chat else { return None };
        if self.sends.len() >= KEPT {
            self.sends.retain(|_, window| window.back().is_some_and(|last| *last + WINDOW > now));
        }
        let window = self.sends.entry((user, chat)).or_default();
        while window.front().is_some_and(|first| *first + WINDOW <= now) {
            window.pop_front();
        }
        if window.len() >= CHANNEL_SENDS {
            let free = window.front().map_or(now, |first| *first + WINDOW);
            return Some((free - now).to_std().unwrap_or_default());
        }
        window.push_back(now);
        None
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
}
