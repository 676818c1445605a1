//! The end of a run: everything settles, the accounts are made up, the nodes drain, and nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{DRAIN, Play, ROUND};
use crate::model::AccountId;
use crate::supervision::{ChildPath, NodeState, NodeView};
use crate::testkit::world::Sabotage;
use crate::testkit::world::node::Node;
use crate::testkit::world::plan::Writing;
use crate::testkit::world::promise::Promise;

/// How long everything may take to settle once nothing goes wrong any more.
const SETTLE: Duration = Duration::from_secs(600);
/// How long requests and calls of the store that hang may still be under way then.
const LINGER: Duration = Duration::from_secs(80);

impl Play {
    /// Nothing goes wrong any more: everything comes to its end in bounded time.
    pub(super) async fn calm(&self) {
        self.book.log.note("calm");
        self.weather.clear();
        for node in self.nodes() {
            self.weather.freeze(node.index, false);
            node.disarm();
            node.start();
        }
        if self.weather.sabotage == Some(Sabotage::SuspendedStayBehind) {
            self.suspend_for_good();
        }
        let last: Vec<&Writing> =
            self.plan().writings.iter().filter(|writing| writing.at > self.plan().calm_at).collect();
        let (mut last, end) = (last.into_iter().peekable(), Instant::now() + SETTLE);
        let mut seconds = 0_u64;
        loop {
            while let Some(writing) = last.next_if(|writing| self.begun + writing.at <= Instant::now()) {
                self.write(writing);
            }
            if seconds.is_multiple_of(ROUND.as_secs()) {
                self.round();
            }
            if self.is_broken() || (last.peek().is_none() && self.unsettled().is_empty()) {
                break;
            }
            if Instant::now() >= end {
                self.did_not_settle();
                break;
            }
            seconds += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.book.log.note("settled");
        tokio::time::sleep(LINGER).await;
    }

    /// A sabotage: an operator suspends a child and forgets it.
    fn suspend_for_good(&self) {
        for operator in self.nodes().iter().filter_map(Node::operator) {
            if let Ok(path) = ChildPath::parse("notifier") {
                let suspended = operator.tree().suspend(&path);
                self.book.log.note(&format!("suspend of {path}: {suspended:?}"));
            }
        }
    }

    fn did_not_settle(&self) {
        let (pending, fallen) = (self.pending(), self.fallen());
        let promise = if pending.is_empty() { Promise::Upright } else { Promise::NoneLost };
        let how = [pending, fallen].concat().join("; ");
        self.book.breaks(promise, &format!("not settled {} s after all was well: {how}", SETTLE.as_secs()));
    }

    fn unsettled(&self) -> Vec<String> {
        [self.pending(), self.fallen()].concat()
    }

    /// What has not come to its end.
    fn pending(&self) -> Vec<String> {
        let mut what = Vec::new();
        let Some(store) = self.weather.views.first().map(|view| &view.store) else { return what };
        let (routes, deliveries) = store.unsettled();
        if (routes, deliveries) != (0, 0) {
            what.push(format!("{routes} open routes, {deliveries} pending deliveries"));
        }
        if !self.book.is_complete(&store.ledger()) {
            what.push("not every event is in the ledger".to_owned());
        }
        if self.tasks.borrow().iter().any(|task| !task.is_finished()) {
            what.push("faults or orders are under way".to_owned());
        }
        what
    }

    /// Children that neither run nor are out of service for a reason that is true.
    fn fallen(&self) -> Vec<String> {
        let mut fallen = Vec::new();
        for node in self.nodes() {
            if !node.is_up() {
                fallen.push(format!("node {} is not up", node.index));
            }
            for view in node.children() {
                if view.state != NodeState::Running && !self.is_elsewhere(node.index, &view) {
                    let why = view.reason.unwrap_or_default();
                    fallen.push(format!("{} on node {} is {:?}: {why}", view.path, node.index, view.state));
                }
            }
        }
        fallen
    }

    /// Whether a child is down here because another node works for its account, and says so.
    fn is_elsewhere(&self, node: usize, view: &NodeView) -> bool {
        let (kind, id) = view.path.as_str().split_once('/').unwrap_or_default();
        let account = match kind {
            "sessions" | "queues" => id.parse().ok(),
            "pairs" => {
                let pair = self.plan().pairs.iter().find(|pair| pair.id.to_string() == id);
                pair.map(|pair| pair.target_account)
            }
            _ => None,
        };
        let owner = account.and_then(|account: AccountId| self.staff.owner(account));
        let said =
            view.last_failure.as_ref().is_some_and(|last| last.failure.text.contains("no longer ours"));
        owner.is_some_and(|owner| owner != node) && said
    }

    /// The accounts, the last drain, and whether anything is left.
    pub(super) async fn farewell(&self) {
        let Some(store) = self.weather.views.first().map(|view| &view.store) else { return };
        for fallen in self.fallen() {
            self.book.breaks(Promise::Upright, &fallen);
        }
        self.book.settle_accounts(&store.ledger(), &self.weather.platform);
        self.weather.bid_farewell();
        for node in self.nodes() {
            // What waits for a child that is down stays in the store; its wake-ups are reported, and are no loss. Reported
            // is also what was queued for a child that was removed, however long ago.
            let down = node.children().into_iter().filter(|view| view.state != NodeState::Running);
            let mut down: BTreeSet<String> = down.map(|view| view.path.to_string()).collect();
            down.extend(node.removed());
            let report = node.drain(DRAIN).await;
            let mut unfinished: BTreeSet<String> = report
                .into_iter()
                .flat_map(|report| report.unfinished)
                .map(|path| path.to_string())
                .collect();
            unfinished.retain(|path| !down.contains(path));
            if !unfinished.is_empty() {
                let how = format!("node {} left unfinished: {unfinished:?}", node.index);
                self.book.breaks(Promise::CleanDrain, &how);
            }
        }
        tokio::time::sleep(LINGER).await;
        let mut left: BTreeMap<&str, String> = BTreeMap::new();
        let lives: Vec<_> = self.nodes().iter().flat_map(Node::leftovers).collect();
        let connected = self.weather.platform.connected();
        if !lives.is_empty() {
            left.insert("lives", format!("{lives:?}"));
        }
        if !connected.is_empty() {
            left.insert("connections", format!("{connected:?}"));
        }
        if store.unsettled() != (0, 0) {
            left.insert("in the store", format!("{:?}", store.unsettled()));
        }
        if !left.is_empty() {
            self.book.breaks(Promise::NothingLeft, &format!("there is left: {left:?}"));
        }
    }
}
