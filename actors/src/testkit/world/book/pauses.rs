//! What operators paused, and who was told that it is.

use std::collections::{BTreeMap, BTreeSet};

use super::super::promise::Promise;
use super::{Book, Life};
use crate::model::{AccountId, PairId, UserId};

/// What can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::testkit::world) enum Subject {
    /// A pair.
    Pair(PairId),
    /// The queue of an account.
    Queue(AccountId),
    /// Everything of a user.
    User(UserId),
}

struct Pause {
    /// When it was written, in the order of things.
    set: u64,
    answered: BTreeSet<usize>,
}

#[derive(Default)]
pub(super) struct Pauses {
    running: BTreeMap<Subject, Pause>,
}

/// A part that leaves its node, and when it was marked for that.
pub(super) struct Leaving {
    pub(super) life: Life,
    pub(super) pair: PairId,
    pub(super) account: AccountId,
    pub(super) user: Option<UserId>,
    pub(super) marked: Option<u64>,
}

impl Book {
    /// A pause was written.
    pub(in crate::testkit::world) fn pause_set(&self, subject: Subject) {
        self.log.note(&format!("{subject:?} is paused"));
        let mut pages = self.pages();
        let set = pages.next_tick();
        pages.pauses.running.insert(subject, Pause { set, answered: BTreeSet::new() });
    }

    /// A node answered that it keeps to it.
    pub(in crate::testkit::world) fn pause_answered(&self, subject: Subject, node: usize) {
        self.log.note(&format!("{subject:?} is paused, node {node} answers"));
        self.count("pauses answered");
        if let Some(pause) = self.pages().pauses.running.get_mut(&subject) {
            pause.answered.insert(node);
        }
    }

    /// The pause is about to be lifted.
    pub(in crate::testkit::world) fn pause_lifted(&self, subject: Subject) {
        self.log.note(&format!("{subject:?} goes on"));
        self.pages().pauses.running.remove(&subject);
    }

    /// A part leaves its node: nothing of it may be paused. What was marked before a pair or a user was paused is under
    /// way, and on a node that did not answer it may still leave.
    pub(super) fn check_pauses(&self, leaving: &Leaving) {
        let paused = {
            let pages = self.pages();
            let marked_before = |pause: &Pause| leaving.marked.is_some_and(|marked| marked < pause.set);
            let answered = |pause: &Pause| pause.answered.contains(&leaving.life.node);
            let meets = |subject: &Subject, pause: &Pause| match subject {
                Subject::Pair(id) => {
                    *id == leaving.pair && !pause.answered.is_empty() && !marked_before(pause)
                }
                Subject::Queue(id) => *id == leaving.account && answered(pause),
                Subject::User(id) => Some(*id) == leaving.user && (answered(pause) || !marked_before(pause)),
            };
            pages
                .pauses
                .running
                .iter()
                .find(|(subject, pause)| meets(subject, pause))
                .map(|(subject, _)| *subject)
        };
        if let Some(subject) = paused {
            let how = format!("{} sends for {} while {subject:?} is paused", leaving.account, leaving.pair);
            self.breaks(Promise::PausesKept, &how);
        }
    }

    /// How long a subject stays paused at least.
    pub(in crate::testkit::world) fn is_paused(&self, subject: Subject) -> bool {
        self.pages().pauses.running.contains_key(&subject)
    }
}
