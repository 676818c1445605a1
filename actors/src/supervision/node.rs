//! The control word of a child: state, command slot, depth and ledger, readable and writable from any thread.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::task::AtomicWaker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    cell::BranchCell,
    command::Command,
    contained::failure_of,
    core::Key,
    failure::{Failure, Phase},
    panics::Caught,
    path::ChildPath,
    runner::Limits,
    state::{Counts, NodeState, Refusal},
    tally::Tally,
    world::World,
};

/// The latest failure of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// `None` stands for `null`.
    pub(crate) observable: Option<Arc<Value>>,
    /// Apart, for most children never have any of it.
    rare: Option<Box<Rare>>,
    /// Counts of the shelf of the directory on which it stands.
    shelf: Option<Arc<Counts>>,
    /// Its kind and its branch count it: as long as it is in the directory.
    counted: bool,
}

/// What is known of a child that failed, waits, or got other limits.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) next_attempt: Option<DateTime<Utc>>,
    pub(crate) last_failure: Option<LastFailure>,
    pub(crate) reason: Option<String>,
    /// Limits that its runner has not read yet.
    limits: Option<Arc<Limits>>,
}

impl Ledger {
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    /// It is tried again by itself, at a time that is known.
    pub(crate) fn awaits_attempt(&self) -> bool {
        self.rare().is_some_and(|rare| rare.next_attempt.is_some())
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Says what a child waits for; nothing is allocated for one that does not.
    fn plan(&mut self, next_attempt: Option<DateTime<Utc>>, reason: Option<String>) {
        if self.rare.is_some() || next_attempt.is_some() || reason.is_some() {
            let rare = self.rare_mut();
            rare.next_attempt = next_attempt;
            rare.reason = reason;
        }
    }
}

/// Why an instance's work is being dropped: decides what an unanswered ask is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teardown {
    None,
    Crash,
    Stop,
}

/// Where a child belongs: its supervisor, its key there, and the thread on which it lives.
pub(crate) struct Place {
    pub(crate) parent: Weak<BranchCell>,
    pub(crate) key: Key,
    pub(crate) shard: u16,
    /// When it was added, by the wall clock.
    pub(crate) since: DateTime<Utc>,
}

/// The control word. Shared by the runner, every reference and the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) path: ChildPath,
    /// Its supervisor, and its key there.
    pub(crate) parent: Weak<BranchCell>,
    pub(crate) key: Key,
    /// The thread on which it lives.
    pub(crate) shard: u16,
    /// What is counted of its kind.
    tally: Arc<Tally>,
    /// The supervisor that it is; `None` for any other child.
    pub(crate) branch: Option<Arc<BranchCell>>,
    /// Counts of the branch it belongs to.
    family: Arc<Counts>,
    pub(crate) world: Arc<World>,
    capacity: AtomicU32,
    state: AtomicU8,
    teardown: AtomicU8,
    depth: AtomicU32,
    epoch: AtomicU64,
    restarts: AtomicU64,
    /// When it last said that all of its work goes on, in microseconds since the runtime was made.
    beat: AtomicU64,
    command: Mutex<Option<Command>>,
    /// There is one, or was a moment ago.
    commanded: AtomicBool,
    /// Its runner takes turns right now, and looks for commands before it stops.
    at_it: AtomicBool,
    pub(crate) waker: AtomicWaker,
    ledger: Mutex<Ledger>,
    limits_changed: AtomicBool,
}

/// A mailbox's bound as it is counted; no machine holds as many messages as would not fit.
fn bound(capacity: usize) -> u32 {
    u32::try_from(capacity).unwrap_or(u32::MAX)
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
        Place { parent, key, shard, since }: Place,
        (family, branch): (&Arc<Counts>, Option<Arc<BranchCell>>),
        capacity: usize,
    ) -> Arc<Self> {
        let tally = world.tallies.of(kind);
        Arc::new(Self {
            id: world.next_id(),
            path,
            parent,
            key,
            shard,
            tally,
            branch,
            family: Arc::clone(family),
            capacity: AtomicU32::new(bound(capacity)),
            state: AtomicU8::new(NodeState::Starting.code()),
            teardown: AtomicU8::new(0),
            depth: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            beat: AtomicU64::new(0),
            command: Mutex::new(None),
            commanded: AtomicBool::new(false),
            at_it: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            ledger: Mutex::new(Ledger { since, observable: None, rare: None, shelf: None, counted: false }),
            limits_changed: AtomicBool::new(false),
            world: Arc::clone(world),
        })
    }

    pub(crate) fn state(&self) -> NodeState {
        NodeState::from_code(self.state.load(Ordering::SeqCst))
    }

    pub(crate) fn set_state(&self, state: NodeState) {
        if self.state() != state {
            self.set_state_at(state, self.world.wall());
        }
    }

    fn set_state_at(&self, state: NodeState, since: DateTime<Utc>) {
        // Inside the lock, so that a move to another shelf never comes between the change and its counting.
        let mut ledger = lock(&self.ledger);
        let before = NodeState::from_code(self.state.swap(state.code(), Ordering::SeqCst));
        if before == state {
            return;
        }
        if ledger.counted {
            for counts in self.counts(&ledger) {
                counts.leave(before);
                counts.enter(state);
            }
        }
        ledger.since = since;
        ledger.plan(None, None);
        drop(ledger);
        self.world.feeds.mark(&self.path);
    }

    /// Everybody who counts it.
    fn counts<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = &'a Counts> {
        [Some(&self.tally.counts), Some(&*self.family), ledger.shelf.as_deref()].into_iter().flatten()
    }

    /// It was put into the directory: from now on its kind and its branch count it.
    pub(crate) fn listed(&self) {
        let mut ledger = lock(&self.ledger);
        if !std::mem::replace(&mut ledger.counted, true) {
            self.counts(&ledger).for_each(|counts| counts.enter(self.state()));
        }
    }

    /// It stands on another shelf of the directory now.
    pub(crate) fn shelve(&self, shelf: &Arc<Counts>) {
        let mut ledger = lock(&self.ledger);
        let state = self.state();
        shelf.enter(state);
        if let Some(before) = ledger.shelf.replace(Arc::clone(shelf)) {
            before.leave(state);
        }
    }

    /// It was taken out of the directory: from now on nobody counts it.
    pub(crate) fn unlisted(&self) {
        let mut ledger = lock(&self.ledger);
        if std::mem::take(&mut ledger.counted) {
            self.counts(&ledger).for_each(|counts| counts.leave(self.state()));
        }
        ledger.shelf = None;
    }

    /// It failed, and waits for its next start.
    pub(crate) fn back_off(&self, delay: Duration, now: DateTime<Utc>) {
        self.set_state_at(NodeState::Backoff, now);
        self.plan_at(Some(delay), None, now);
        self.count_restart();
    }

    /// It is started again though nobody asked for it.
    pub(crate) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn plan(&self, next_attempt: Option<Duration>, reason: Option<String>) {
        self.plan_at(next_attempt, reason, self.world.wall());
    }

    fn plan_at(&self, next_attempt: Option<Duration>, reason: Option<String>, now: DateTime<Utc>) {
        let at =
            next_attempt.and_then(|delay| now.checked_add_signed(chrono::TimeDelta::from_std(delay).ok()?));
        self.ledger().plan(at, reason);
        self.world.feeds.mark(&self.path);
    }

    /// Publishes what the child shows of itself.
    pub(crate) fn show(&self, value: Value) {
        self.ledger().observable = (!value.is_null()).then(|| Arc::new(value));
        self.world.feeds.mark(&self.path);
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Gives the mailbox another bound and the runner other limits.
    pub(crate) fn set_limits(&self, limits: Limits, capacity: usize) {
        self.capacity.store(bound(capacity), Ordering::Relaxed);
        self.ledger().rare_mut().limits = Some(Arc::new(limits));
        self.limits_changed.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Limits that the runner is to go by from now on.
    pub(crate) fn take_limits(&self) -> Option<Arc<Limits>> {
        if !self.limits_changed.load(Ordering::Acquire) {
            return None;
        }
        self.limits_changed.store(false, Ordering::Release);
        self.ledger().rare_mut().limits.take()
    }

    pub(crate) fn last_failure(&self) -> Option<Failure> {
        self.ledger().rare()?.last_failure.as_ref().map(|last| last.failure.clone())
    }

    /// Counts a failure and keeps it for the tree view.
    pub(crate) fn record(&self, failure: &Failure) {
        self.tally.failed(failure);
        self.keep(failure);
    }

    fn keep(&self, failure: &Failure) {
        let at = self.world.wall();
        let mut ledger = self.ledger();
        let last_failure = &mut ledger.rare_mut().last_failure;
        let count = match &last_failure {
            Some(last) if last.failure.same_signature(failure) => last.count.saturating_add(1),
            _ => 1,
        };
        *last_failure = Some(LastFailure { at, failure: failure.clone(), count });
    }

    /// Tells the sink of a panic that changes nothing by itself. It never hides the failure that is being cleaned up.
    pub(crate) fn contain(&self, phase: Phase, message: Option<&str>, caught: Caught) {
        let failure = failure_of(phase, message, caught);
        if self.teardown() != Teardown::Crash {
            self.keep(&failure);
        }
        self.world.emit(self, super::event::Happening::Contained { failure });
    }

    /// What kind of actor it is.
    pub(crate) fn kind(&self) -> &'static str {
        self.tally.kind
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) const fn is_branch(&self) -> bool {
        self.branch.is_some()
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

    pub(crate) fn depth(&self) -> usize {
        usize::try_from(self.depth.load(Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    /// All of its work goes on.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.world.now().as_micros()).unwrap_or(u64::MAX);
        self.beat.fetch_max(now, Ordering::AcqRel);
    }

    /// When it last said so.
    pub(crate) fn latest_beat(&self) -> Instant {
        self.world.instant(Duration::from_micros(self.beats()))
    }

    /// The latest beat as it is kept, to tell later whether there was another.
    pub(crate) fn beats(&self) -> u64 {
        self.beat.load(Ordering::Acquire)
    }

    /// Takes back what was said since `before`, for it was said of one piece of work; answers whether anything was.
    pub(crate) fn unbeat(&self, before: u64) -> bool {
        let after = self.beats();
        if after == before {
            return false;
        }
        // Another thread's beat in between counts for all.
        let _taken = self.beat.compare_exchange(after, before, Ordering::AcqRel, Ordering::Acquire);
        true
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
            return Err(self.refuse(refusal));
        }
        let capacity = self.capacity.load(Ordering::Relaxed);
        let place = self.depth.fetch_update(Ordering::SeqCst, Ordering::Acquire, |depth| {
            (depth < capacity).then_some(depth.saturating_add(1))
        });
        let permit = place.map(|_| Permit(Arc::clone(self))).map_err(|_| self.refuse(Refusal::Full))?;
        // It may have gone out of service meanwhile. Either this sees it, or whoever takes it down sees the place.
        match self.state().refusal() {
            None => Ok(permit),
            Some(refusal) => Err(self.refuse(refusal)),
        }
    }

    #[cold]
    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.tally.refused(refusal);
        refusal
    }

    /// Gives the runner a command; it bypasses the mailbox. A weaker one never replaces a stronger one.
    pub(crate) fn command(&self, command: Command) {
        let mut slot = lock(&self.command);
        match slot.as_mut() {
            Some(waiting) => waiting.merge(command),
            None => *slot = Some(command),
        }
        drop(slot);
        self.commanded.store(true, Ordering::SeqCst);
        // Either the runner sees the command when it stops taking turns, or this sees that it stopped: one order of all
        // four, so that it is never neither.
        if !self.at_it.load(Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        if !self.commanded.load(Ordering::Acquire) {
            return None;
        }
        self.commanded.store(false, Ordering::SeqCst);
        lock(&self.command).take()
    }

    /// The runner takes turns: nobody needs to wake it.
    pub(crate) fn begin_turns(&self) {
        self.at_it.store(true, Ordering::SeqCst);
    }

    /// The runner takes no more turns. False when a command came meanwhile, which nobody woke it for.
    pub(crate) fn end_turns(&self) -> bool {
        self.at_it.store(false, Ordering::SeqCst);
        !self.commanded.load(Ordering::SeqCst)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.unlisted();
        self.world.feeds.mark(&self.path);
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
