//! The tree as operators, tests and metrics see it, from any thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, atomic::Ordering},
};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{
    changes::ChangeFeed,
    child::Child,
    command::Command,
    core::Event,
    health::Health,
    node::LastFailure,
    path::ChildPath,
    reference::{AnyChild, ChildRef},
    state::{NodeState, Refusal},
    tally::KindTotals,
    world::World,
};

/// One child of the tree at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// Where it stands.
    pub path: ChildPath,
    /// What kind of actor it is; `supervisor` for a branch.
    pub kind: String,
    /// The thread on which it lives.
    pub shard: u16,
    /// Its state.
    pub state: NodeState,
    /// Why it is in this state, for a parked child.
    pub reason: Option<String>,
    /// Since when it is in this state.
    pub since: DateTime<Utc>,
    /// Number of its latest start; 0 before the first.
    pub epoch: u64,
    /// Restarts since it was added that nobody asked for: after a failure or a normal end, or by a probe.
    pub restarts_total: u64,
    /// Automatic restarts inside its intensity window.
    pub restarts_in_window: u32,
    /// When it will be started by itself.
    pub next_attempt: Option<DateTime<Utc>>,
    /// Messages in its mailbox.
    pub depth: usize,
    /// Its latest failure.
    pub last_failure: Option<LastFailure>,
    /// Of a branch: how many of its children are in which state.
    pub children: Option<BTreeMap<NodeState, usize>>,
    /// What it last published of itself.
    pub observable: Value,
}

/// Why an operator's order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// No child of that path.
    #[error("no such child")]
    NotFound,
    /// The root takes no orders: restart or stop the process.
    #[error("the root takes no orders")]
    Root,
    /// Its branch is stopping, parked or not started.
    #[error("its branch is not running")]
    BranchDown,
    /// Branches cannot be suspended.
    #[error("a branch cannot be suspended")]
    Branch,
    /// Not in this state.
    #[error("the child is {0}")]
    NotNow(NodeState),
    /// It is stopping for good.
    #[error("the child is stopping")]
    Stopping,
}

/// A view of a runtime's tree, and an operator's way in.
#[derive(Clone)]
pub struct Tree {
    pub(crate) world: Arc<World>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tree")
    }
}

impl Tree {
    /// Everything at or below `prefix`, the root first, then in order of paths.
    #[must_use]
    pub fn snapshot(&self, prefix: &ChildPath) -> Vec<NodeView> {
        let mut all = Vec::new();
        self.world.walk(prefix, |listed| all.push(listed.clone()));
        all.iter().map(Self::view_of).collect()
    }

    /// One child.
    #[must_use]
    pub fn view(&self, path: &ChildPath) -> Option<NodeView> {
        self.world.find(path).as_ref().map(Self::view_of)
    }

    /// Children in whose code a thread is at this moment. Of a process that does not get to its end, those that block it.
    #[must_use]
    pub fn at_work(&self) -> Vec<ChildPath> {
        let shards = 0..u16::try_from(self.world.shards.count()).unwrap_or(u16::MAX);
        let inside = shards.filter_map(|shard| self.world.shards.pulse(shard)?.now());
        inside.filter_map(|(_, child)| Some(self.world.by_id(child)?.path.clone())).collect()
    }

    /// Tells from now on which children change. The first answer names all there are.
    #[must_use]
    pub fn changes(&self) -> ChangeFeed {
        self.world.feeds.open(|| {
            let mut all = BTreeSet::new();
            self.world.walk(&ChildPath::root(), |listed| {
                all.insert(listed.node().path.clone());
            });
            all
        })
    }

    /// A handle to the child at a path, if it is of this type.
    #[must_use]
    pub fn find<C: Child>(&self, path: &ChildPath) -> Option<ChildRef<C>> {
        self.world.find(path)?.typed()
    }

    /// How many children, branches included, are in which state.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<NodeState, usize> {
        self.world.tallies.by_state()
    }

    /// What is counted of each kind of child, in order of kinds. Kinds whose children are all gone keep what happened.
    #[must_use]
    pub fn totals(&self) -> Vec<KindTotals> {
        self.world.tallies.totals()
    }

    /// Events that the sink did not take, because it panicked over them.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.world.events_lost.load(Ordering::Relaxed)
    }

    /// Log lines that were counted and not written, because others of their signature were written in the same window.
    #[must_use]
    pub fn lines_withheld(&self) -> u64 {
        self.world.log_book.withheld()
    }

    /// The verdict over the whole tree.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::of(self)
    }

    /// Restarts a child, or starts it when it is parked, in backoff or down; its failures are forgotten and none is
    /// counted. A running one ends its instance in good order first; its queue is kept. Not OTP's `restart_child`, which
    /// refuses what runs: that is [`start`](Self::start).
    ///
    /// # Errors
    /// [`OrderError`] when there is nothing to restart.
    pub fn restart(&self, path: &ChildPath) -> Result<(), OrderError> {
        let listed = self.ordered(path)?;
        match listed.node().state() {
            NodeState::Draining => Err(OrderError::Stopping),
            _ => Self::give(&listed, Event::Restart { key: listed.node().key }),
        }
    }

    /// Starts a child that is down, parked or in backoff, without delay; its failures are forgotten (OTP's
    /// `restart_child`).
    ///
    /// # Errors
    /// [`OrderError`]; [`OrderError::NotNow`] when it is up, coming up or going down.
    pub fn start(&self, path: &ChildPath) -> Result<(), OrderError> {
        let listed = self.ordered(path)?;
        match listed.node().state() {
            NodeState::Stopped | NodeState::Parked | NodeState::Backoff => {
                Self::give(&listed, Event::Restart { key: listed.node().key })
            }
            state => Err(Self::not_now(&listed, state)),
        }
    }

    /// Takes a child down in good order and keeps its spec and its queue; a temporary one is forgotten (OTP's
    /// `terminate_child`). Done twice it is the same.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn stop(&self, path: &ChildPath) -> Result<(), OrderError> {
        let listed = self.ordered(path)?;
        Self::give(&listed, Event::Terminate { key: listed.node().key })
    }

    /// Forgets a child that is down, with its queue (OTP's `delete_child`).
    ///
    /// # Errors
    /// [`OrderError`]; [`OrderError::NotNow`] when it is neither stopped nor parked.
    pub fn delete(&self, path: &ChildPath) -> Result<(), OrderError> {
        let listed = self.ordered(path)?;
        match listed.node().state() {
            NodeState::Stopped | NodeState::Parked => {
                Self::give(&listed, Event::Remove { key: listed.node().key, deadline: None })
            }
            state => Err(Self::not_now(&listed, state)),
        }
    }

    /// A child that may be given orders.
    fn ordered(&self, path: &ChildPath) -> Result<AnyChild, OrderError> {
        if path.is_root() {
            return Err(OrderError::Root);
        }
        self.world.find(path).ok_or(OrderError::NotFound)
    }

    /// Why an order does not fit: its state, unless its whole branch is down.
    fn not_now(listed: &AnyChild, state: NodeState) -> OrderError {
        match listed.node().parent.upgrade() {
            Some(parent) if parent.is_live() => OrderError::NotNow(state),
            _ => OrderError::BranchDown,
        }
    }

    fn give(listed: &AnyChild, order: Event) -> Result<(), OrderError> {
        let parent = listed.node().parent.upgrade().ok_or(OrderError::NotFound)?;
        parent.order(order).map_err(|_: Refusal| OrderError::BranchDown)
    }

    /// Holds a running child: it handles nothing, its mailbox fills, its timers rest.
    ///
    /// # Errors
    /// [`OrderError`] when there is none, it is not running, or it is a branch.
    pub fn suspend(&self, path: &ChildPath) -> Result<(), OrderError> {
        self.order(path, NodeState::Running, Command::Suspend)
    }

    /// Lets a suspended child go on.
    ///
    /// # Errors
    /// [`OrderError`] when there is none or it is not suspended.
    pub fn resume(&self, path: &ChildPath) -> Result<(), OrderError> {
        self.order(path, NodeState::Suspended, Command::Resume)
    }

    /// Supervisors and direct children of the root: those that decide about health.
    pub(crate) fn pillars(&self) -> Vec<NodeView> {
        self.world.pillars().iter().map(Self::view_of).collect()
    }

    fn order(&self, path: &ChildPath, from: NodeState, command: Command) -> Result<(), OrderError> {
        let listed = self.world.find(path).ok_or(OrderError::NotFound)?;
        if listed.node().is_branch() {
            return Err(OrderError::Branch);
        }
        let state = listed.node().state();
        if state != from {
            return Err(OrderError::NotNow(state));
        }
        listed.node().command(command);
        Ok(())
    }

    pub(super) fn view_of(listed: &AnyChild) -> NodeView {
        let node = listed.node();
        let restarts_in_window = node
            .parent
            .upgrade()
            .and_then(|parent| parent.slot(node.key))
            .map_or(0, |slot| slot.restarts_in_window);
        let (reason, since, next_attempt, last_failure, observable) = {
            let ledger = node.ledger();
            let observable = ledger.observable.clone();
            let rare = ledger.rare();
            let failure = rare.and_then(|rare| rare.last_failure.clone());
            let reason = rare.and_then(|rare| rare.reason.clone());
            (reason, ledger.since, rare.and_then(|rare| rare.next_attempt), failure, observable)
        };
        NodeView {
            path: node.path.clone(),
            kind: node.kind().to_owned(),
            shard: node.shard,
            state: node.state(),
            reason,
            since,
            epoch: node.epoch(),
            restarts_total: node.restarts(),
            restarts_in_window,
            next_attempt,
            depth: node.depth(),
            last_failure,
            children: node.branch.as_ref().map(|branch| branch.counts.by_state()),
            observable: observable.map_or(Value::Null, |value| Value::clone(&value)),
        }
    }
}
