//! Turns between the chats that may send: round robin in each class, lone messages first.

use std::collections::VecDeque;

use super::class::{Class, PerClass, Turn};
use super::profiles::ChatKey;

/// A ready chat and its place in the order of arrival.
#[derive(Clone, Copy, Debug)]
struct Ready {
    chat: ChatKey,
    arrival: u64,
}

/// The ready chats of one class.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Chats whose head is a lone message.
    lone: VecDeque<Ready>,
    /// The others, by turn.
    turns: VecDeque<Ready>,
    /// A lone message went last.
    lone_last: bool,
    arrivals: u64,
}

impl Ring {
    fn is_empty(&self) -> bool {
        self.lone.is_empty() && self.turns.is_empty()
    }

    /// Lone messages go first, but pass only every other one of those that came before them: many of them cannot
    /// starve a chat.
    fn lone_is_next(&self) -> bool {
        match (self.lone.front(), self.turns.front()) {
            (Some(lone), Some(turn)) => !self.lone_last || lone.arrival < turn.arrival,
            (lone, _) => lone.is_some(),
        }
    }

    fn enter(&mut self, chat: ChatKey, lone: bool) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let ready = Ready { chat, arrival: self.arrivals };
        if lone {
            self.lone.push_back(ready);
        } else {
            self.turns.push_back(ready);
        }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) chat: ChatKey,
    pub(super) class: Class,
    /// It is the backfill's turn by its share.
    pub(super) due: bool,
    pub(super) lone: bool,
}

/// The ready chats. A chat stands here at most once, with one head of one of its lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Fair {
    rings: PerClass<Ring>,
    turn: Turn,
}

impl Fair {
    /// A chat's head may go as far as the chat is concerned.
    pub(super) fn enter(&mut self, class: Class, chat: ChatKey, lone: bool) {
        self.rings.get_mut(class).enter(chat, lone);
    }

    /// The chat's head may not go after all.
    pub(super) fn withdraw(&mut self, class: Class, chat: ChatKey) {
        let ring = self.rings.get_mut(class);
        for queue in [&mut ring.lone, &mut ring.turns] {
            if let Some(place) = queue.iter().position(|ready| ready.chat == chat) {
                queue.remove(place);
                return;
            }
        }
    }

    /// Whose turn it is, if anyone's.
    pub(super) fn pick(&self) -> Option<Pick> {
        let ready = PerClass::each(|class| !self.rings.get(class).is_empty());
        let (class, due) = self.turn.choose(&ready)?;
        let ring = self.rings.get(class);
        let lone = ring.lone_is_next();
        let chat = if lone { ring.lone.front() } else { ring.turns.front() };
        Some(Pick { chat: chat?.chat, class, due, lone })
    }

    /// The picked chat gives up this turn.
    pub(super) fn pass(&mut self, pick: Pick) {
        let ring = self.rings.get_mut(pick.class);
        if let Some(ready) = if pick.lone { ring.lone.pop_front() } else { ring.turns.pop_front() } {
            ring.enter(ready.chat, false);
        }
    }

    /// The picked chat goes.
    pub(super) fn take(&mut self, pick: Pick) {
        let backfill_waits = !self.rings.get(Class::Backfill).is_empty();
        self.turn.went(pick.class, backfill_waits);
        let ring = self.rings.get_mut(pick.class);
        ring.lone_last = pick.lone;
        if pick.lone {
            ring.lone.pop_front();
        } else {
            ring.turns.pop_front();
        }
    }
}
