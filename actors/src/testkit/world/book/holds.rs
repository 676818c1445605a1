//! The waits that a platform asked for, and who knows of them.

use std::time::Duration;

use super::super::promise::Promise;
use super::{Book, Life};
use crate::model::{AccountId, HoldScope, Place};
use crate::testkit::{Caller, Handed};

/// A wait that was told in an answer.
struct Hold {
    told_by: Handed,
    scope: HoldScope,
    account: AccountId,
    target: Place,
    until: Duration,
    /// Who heard it, and when in the order of things.
    heard: Option<(Life, u64)>,
    /// It is in the store: whoever comes next knows it.
    kept: bool,
}

#[derive(Default)]
pub(super) struct Holds(Vec<Hold>);

impl Hold {
    fn meets(&self, life: Life, caller: Caller, target: Place) -> bool {
        let Some((heard_by, _)) = self.heard else { return false };
        let knows = heard_by == life || self.kept;
        knows
            && match self.scope {
                HoldScope::Chat => self.account == caller.account && self.target == target,
                HoldScope::Account => self.account == caller.account,
                // Each node has an address of its own.
                HoldScope::Egress => heard_by.node == life.node,
            }
    }

    /// Under which name the throttle keeps it.
    fn identity(&self) -> String {
        match self.scope {
            HoldScope::Chat | HoldScope::Account => self.account.to_string(),
            HoldScope::Egress => "egress/direct".to_owned(),
        }
    }
}

impl Book {
    /// The platform asks to wait.
    pub(super) fn asked_to_wait(
        &self,
        told_by: Handed,
        caller: Caller,
        target: Place,
        (wait, scope): (Duration, HoldScope),
    ) {
        let until = self.log.now() + wait;
        let hold = Hold { told_by, scope, account: caller.account, target, until, heard: None, kept: false };
        self.pages().holds.0.push(hold);
    }

    /// The answer that told of a wait was heard.
    pub(super) fn heard_of_wait(&self, told_by: Handed, life: Life) {
        self.count("waits heard");
        let mut pages = self.pages();
        let tick = pages.next_tick();
        if let Some(hold) = pages.holds.0.iter_mut().find(|hold| hold.told_by == told_by) {
            hold.heard = Some((life, tick));
        }
    }

    /// A throttle's memory is about to be kept: its place in the order of things.
    pub(in crate::testkit::world) fn throttle_exports(&self) -> u64 {
        self.pages().next_tick()
    }

    /// A throttle's memory, exported then, is in the store.
    pub(in crate::testkit::world) fn throttle_kept(&self, identity: &str, life: Life, exported: u64) {
        let own = |hold: &&mut Hold| {
            let heard = hold.heard.is_some_and(|(by, tick)| by == life && tick < exported);
            heard && hold.identity() == identity
        };
        self.pages().holds.0.iter_mut().filter(own).for_each(|hold| hold.kept = true);
    }

    /// A part leaves its node: no wait may run that the node knows of.
    pub(super) fn check_holds(&self, life: Life, caller: Caller, target: Place) {
        let now = self.log.now();
        let running = {
            let pages = self.pages();
            let mut met =
                pages.holds.0.iter().filter(|hold| now < hold.until && hold.meets(life, caller, target));
            met.next().map(|hold| (hold.scope, hold.until, hold.kept))
        };
        if let Some((scope, until, kept)) = running {
            let kept = if kept { "kept" } else { "heard, not kept yet" };
            let how = format!(
                "{} sends to {} while a wait of scope {scope:?} runs until {:.3} ({kept})",
                caller.account,
                target.chat,
                until.as_secs_f64()
            );
            self.breaks(Promise::WaitsKept, &how);
        }
    }
}
