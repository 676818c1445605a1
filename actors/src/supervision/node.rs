//! The control word of a child: state, command slot, depth and ledger, readable and writable from any thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::task::AtomicWaker;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    command::Command,
    failure::{Failure, Phase},
    panics::Caught,
    path::ChildPath,
    world::World,
};

/// State of a child as everybody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Loading, or waiting for its turn to start; its mailbox fills.
    Starting,
    /// Up.
    Running,
    /// Failed; waits before its next start; its mailbox fills.
    Backoff,
    /// Out of service until an admin or a probe starts it; its mailbox refuses.
    Parked,
    /// Up but held: handles nothing, its mailbox fills.
    Suspended,
    /// Finishing its queue before it ends; its mailbox refuses.
    Draining,
    /// Down; its mailbox refuses.
    Stopped,
}

impl NodeState {
    /// All states, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Parked,
        Self::Suspended,
        Self::Draining,
        Self::Stopped,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Running => 1,
            Self::Backoff => 2,
            Self::Parked => 3,
            Self::Suspended => 4,
            Self::Draining => 5,
            Self::Stopped => 6,
        }
    }

    fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Stopped)
    }

    /// Why a mailbox in this state refuses a message; `None` when it takes one.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Starting | Self::Running | Self::Backoff | Self::Suspended => None,
            Self::Parked => Some(Refusal::Parked),
            Self::Draining => Some(Refusal::Draining),
            Self::Stopped => Some(Refusal::Stopped),
        }
    }
}

/// Why a mailbox refused a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It holds as many messages as it may.
    #[error("mailbox is full")]
    Full,
    /// The child is parked.
    #[error("child is parked")]
    Parked,
    /// The child is finishing its queue and will end.
    #[error("child is draining")]
    Draining,
    /// The child is down.
    #[error("child is stopped")]
    Stopped,
}

/// The latest failure of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// Wall clock.
    pub at: DateTime<Utc>,
    /// What failed.
    #[serde(flatten)]
    pub failure: Failure,
    /// How often in a row it failed with this signature.
    pub count: u64,
}

/// The slowly changing part, behind a lock in which no foreign code runs.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) since: DateTime<Utc>,
    pub(crate) next_attempt: Option<DateTime<Utc>>,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) reason: Option<String>,
    pub(crate) observable: Arc<Value>,
}

/// Why an instance's work is being dropped: decides what an unanswered ask is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teardown {
    None,
    Crash,
    Stop,
}

/// The control word. Shared by the runner, every reference and the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) path: ChildPath,
    pub(crate) kind: &'static str,
    pub(crate) branch: bool,
    pub(crate) world: Arc<World>,
    capacity: usize,
    state: AtomicU8,
    teardown: AtomicU8,
    depth: AtomicUsize,
    epoch: AtomicU64,
    restarts: AtomicU64,
    command: Mutex<Option<Command>>,
    pub(crate) waker: AtomicWaker,
    ledger: Mutex<Ledger>,
}

/// Locks; a panic elsewhere never makes the value unreadable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub(crate) fn new(
        world: &Arc<World>,
        path: ChildPath,
        kind: &'static str,
        branch: bool,
        capacity: usize,
    ) -> Arc<Self> {
        world.counts.enter(NodeState::Starting);
        Arc::new(Self {
            id: world.next_id(),
            path,
            kind,
            branch,
            capacity,
            state: AtomicU8::new(NodeState::Starting.code()),
            teardown: AtomicU8::new(0),
            depth: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            command: Mutex::new(None),
            waker: AtomicWaker::new(),
            ledger: Mutex::new(Ledger {
                since: world.wall(),
                next_attempt: None,
                last_failure: None,
                reason: None,
                observable: Arc::new(Value::Null),
            }),
            world: Arc::clone(world),
        })
    }

    pub(crate) fn state(&self) -> NodeState {
        NodeState::from_code(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_state(&self, state: NodeState) {
        let before = NodeState::from_code(self.state.swap(state.code(), Ordering::AcqRel));
        if before == state {
            return;
        }
        self.world.counts.leave(before);
        self.world.counts.enter(state);
        let mut ledger = lock(&self.ledger);
        ledger.since = self.world.wall();
        ledger.next_attempt = None;
        ledger.reason = None;
    }

    pub(crate) fn plan(&self, next_attempt: Option<Duration>, reason: Option<String>) {
        let at = next_attempt
            .and_then(|delay| chrono::TimeDelta::from_std(delay).ok())
            .map(|delay| self.world.wall() + delay);
        let mut ledger = lock(&self.ledger);
        ledger.next_attempt = at;
        ledger.reason = reason;
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn last_failure(&self) -> Option<Failure> {
        self.ledger().last_failure.as_ref().map(|last| last.failure.clone())
    }

    /// Keeps a failure for the tree view.
    pub(crate) fn record(&self, failure: &Failure) {
        let at = self.world.wall();
        let mut ledger = self.ledger();
        let count = match &ledger.last_failure {
            Some(last) if last.failure.same_signature(failure) => last.count.saturating_add(1),
            _ => 1,
        };
        ledger.last_failure = Some(LastFailure { at, failure: failure.clone(), count });
    }

    /// Records a panic that changes nothing by itself and tells the sink.
    pub(crate) fn contain(&self, phase: Phase, message: Option<&str>, caught: Caught) {
        let failure = failure_of(phase, message, caught);
        self.record(&failure);
        self.world.emit(self, super::event::Happening::Contained { failure });
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel).saturating_add(1)
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Acquire)
    }

    pub(crate) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Acquire)
    }

    pub(crate) fn set_teardown(&self, teardown: Teardown) {
        let code = match teardown {
            Teardown::None => 0,
            Teardown::Crash => 1,
            Teardown::Stop => 2,
        };
        self.teardown.store(code, Ordering::Release);
    }

    pub(crate) fn teardown(&self) -> Teardown {
        match self.teardown.load(Ordering::Acquire) {
            0 => Teardown::None,
            1 => Teardown::Crash,
            _ => Teardown::Stop,
        }
    }

    /// One place in the mailbox, or why there is none.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit, Refusal> {
        if let Some(refusal) = self.state().refusal() {
            return Err(refusal);
        }
        self.depth
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |depth| {
                (depth < self.capacity).then_some(depth.saturating_add(1))
            })
            .map(|_| Permit(Arc::clone(self)))
            .map_err(|_| Refusal::Full)
    }

    /// Gives the runner a command; it bypasses the mailbox. A weaker one never replaces a stronger one.
    pub(crate) fn command(&self, command: Command) {
        let mut slot = lock(&self.command);
        match slot.as_mut() {
            Some(waiting) => waiting.merge(command),
            None => *slot = Some(command),
        }
        drop(slot);
        self.waker.wake();
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        lock(&self.command).take()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.world.counts.leave(self.state());
    }
}

/// One occupied place in a mailbox; freed when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Node>);

impl Permit {
    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How many children are in which state; kept incrementally.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicUsize; 7]);

impl Counts {
    fn cell(&self, state: NodeState) -> Option<&AtomicUsize> {
        self.0.get(usize::from(state.code()))
    }

    fn enter(&self, state: NodeState) {
        if let Some(cell) = self.cell(state) {
            cell.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn leave(&self, state: NodeState) {
        if let Some(cell) = self.cell(state) {
            cell.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn by_state(&self) -> BTreeMap<NodeState, usize> {
        NodeState::ALL
            .into_iter()
            .map(|state| (state, self.cell(state).map_or(0, |cell| cell.load(Ordering::Acquire))))
            .collect()
    }
}

pub(crate) fn failure_of(phase: Phase, message: Option<&str>, caught: Caught) -> Failure {
    let mut failure = Failure::new(phase, caught.text);
    failure.message = message.map(str::to_owned);
    failure.location = caught.location;
    failure
}

/// A value whose drop cannot unwind into its owner: a panic in it is recorded as this child's.
pub(crate) struct Contained<T> {
    value: Option<T>,
    node: Arc<Node>,
}

impl<T> Contained<T> {
    pub(crate) const fn new(value: T, node: Arc<Node>) -> Self {
        Self { value: Some(value), node }
    }

    pub(crate) const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(crate) const fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// Takes the value out: from here on its drop is the caller's affair.
    pub(crate) const fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Drops the value now.
    pub(crate) fn clear(&mut self) {
        if let Some(value) = self.value.take()
            && let Err(caught) = super::panics::catch(|| drop(value))
        {
            self.node.contain(Phase::Drop, None, caught);
        }
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        self.clear();
    }
}
