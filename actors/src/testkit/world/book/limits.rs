//! The limits that the platforms publish, counted where the requests arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::fault::Scope;
use super::super::plan::Plan;
use super::super::promise::Promise;
use super::{Book, Disturbance};
use crate::model::{AccountId, Place};
use crate::throttle::server::{Server, Tally};
use crate::throttle::{Lane, Profile};

/// What waits for a window of this length waits so long that it may be late.
const LONG: Duration = Duration::from_secs(60);

/// What each account's platform counts.
pub(super) struct Limits(BTreeMap<AccountId, Server>);

impl Limits {
    pub(super) fn new(plan: &Plan) -> Self {
        let counted = plan.accounts.iter().filter_map(|account| {
            let profile = Profile::named(account.kind, &account.profile).ok()?;
            Some((account.id, Server::new(profile)))
        });
        Self(counted.collect())
    }
}

/// What a send close to a limit is counted as.
fn closeness(budget: &str) -> &'static str {
    match budget {
        "account" => "sends close to a limit of an account",
        "group" => "sends close to a limit of a group",
        "channel" => "sends close to a limit of a channel",
        "channel_minute" => "sends close to a limit of a channel's minute",
        "webhook" => "sends close to a limit of a webhook",
        _ => "sends close to a limit of a chat",
    }
}

impl Book {
    /// A request arrived, whatever it was and whatever becomes of it: it counts.
    pub(super) fn count_against_limits(&self, account: AccountId, target: Place) {
        let now = self.log.now();
        let tallies = {
            let mut pages = self.pages();
            let server = pages.limits.0.get_mut(&account);
            server.map(|server| server.count(now, Lane::from(target), 1)).unwrap_or_default()
        };
        for Tally { budget, limit, window, full, over, close } in tallies {
            if full && window >= LONG {
                self.delays(account, target, window);
            }
            if close {
                self.count(closeness(budget));
            }
            if over > 0 {
                let chat = target.chat;
                let how = format!("{account} -> {chat} is more than {limit} in {window:?} ({budget})");
                self.breaks(Promise::LimitsKept, &how);
            }
        }
    }

    /// A limit is used up: what goes there is late, and rightly so.
    fn delays(&self, account: AccountId, target: Place, window: Duration) {
        let there =
            self.plan.pairs.iter().filter(|pair| pair.target_account == account && pair.target == target);
        let scope = Scope::Pairs(there.map(|pair| pair.id).collect());
        let from = self.log.now();
        self.pages().disturbances.push(Disturbance { from, to: Some(from + window), scope });
        self.count("limits of a minute used up");
    }
}
