//! What is wrong at the moment, and what that does to requests, connections and calls of the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::Sabotage;
use super::book::Book;
use super::dice::Dice;
use super::fault::{Fault, Ill, Scope, StoreIll, Trouble};
use super::plan::node_id;
use super::promise::Promise;
use crate::model::{AccountId, NodeId, Platform, SendOutcome};
use crate::ports::{Clock, ConnectRequest, ConnectionError, Operation, SendRequest};
use crate::testkit::{Arrival, Caller, Dial, FakePlatform, Fate, Handed, MemoryStore, Passage, Wire};

/// The adapters' own timeout of a send.
const PATIENCE: Duration = Duration::from_secs(30);

/// The least that a packet needs from a node to the platform, or back.
const LENGTH: Duration = Duration::from_millis(25);

/// The answer with which targets refuse some messages for good.
const CURSED: &str = "this message is refused";

/// What one node sees of the world.
pub(super) struct NodeView {
    pub(super) store: MemoryStore,
    pub(super) clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
}

impl NodeView {
    /// A node whose process runs.
    pub(super) fn new(store: MemoryStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, gate: Arc::default() }
    }
}

/// What holds everything that wants to leave or enter a process that stands still. It lets go in the order of arrival,
/// which a watch channel does not.
#[derive(Default)]
struct Gate {
    shut: AtomicBool,
    opened: Notify,
}

impl Gate {
    fn shut(&self, on: bool) {
        self.shut.store(on, Ordering::Relaxed);
        if !on {
            self.opened.notify_waiters();
        }
    }

    fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed)
    }

    async fn pass(&self) {
        while self.is_shut() {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            opened.await;
        }
    }
}

/// How one call of the store goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trip {
    pub(super) there: Duration,
    pub(super) back: Duration,
    pub(super) failure: Failure,
}

/// Whether a call of the store fails, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Failure {
    #[default]
    None,
    /// Nothing is done.
    Before,
    /// It is done, and nobody is told.
    After,
    /// The caller panics.
    Panic,
}

/// How long a packet is under way where nothing is wrong. A path has a length, and most packets take hardly longer: a
/// throttle counts on the shortest round trip being among the twenty that it saw.
fn one_way(dice: &Dice) -> Duration {
    let jitter = if dice.chance(80) { 2 } else { 95 };
    LENGTH + dice.time(Duration::ZERO, Duration::from_millis(jitter))
}

struct Sky {
    next: usize,
    faults: BTreeMap<usize, Fault>,
    /// Store calls until the one that panics, by node.
    panics: BTreeMap<usize, u64>,
    /// The last drain began.
    farewell: bool,
}

/// See the module.
pub(super) struct Weather {
    pub(super) book: Arc<Book>,
    pub(super) views: Vec<NodeView>,
    pub(super) platform: FakePlatform,
    pub(super) sabotage: Option<Sabotage>,
    wire: Dice,
    store: Dice,
    sky: Mutex<Sky>,
}

impl Weather {
    /// A clear sky.
    pub(super) fn new(
        seed: u64,
        book: Arc<Book>,
        views: Vec<NodeView>,
        platform: FakePlatform,
        sabotage: Option<Sabotage>,
    ) -> Self {
        let (wire, store) = (Dice::new(seed, "wire"), Dice::new(seed, "store"));
        let sky = Sky { next: 0, faults: BTreeMap::new(), panics: BTreeMap::new(), farewell: false };
        Self { book, views, platform, sabotage, wire, store, sky: Mutex::new(sky) }
    }

    fn sky(&self) -> MutexGuard<'_, Sky> {
        self.sky.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault that lasts begins; its number.
    pub(super) fn begin(&self, fault: Fault) -> usize {
        let mut sky = self.sky();
        let number = sky.next;
        sky.next = sky.next.saturating_add(1);
        sky.faults.insert(number, fault);
        number
    }

    /// It ends.
    pub(super) fn end(&self, number: usize) {
        self.sky().faults.remove(&number);
    }

    /// The store call of a node after so many others panics.
    pub(super) fn panic_after(&self, node: usize, calls: u64) {
        self.sky().panics.insert(node, calls);
    }

    /// Everything that was wrong ends.
    pub(super) fn clear(&self) {
        let mut sky = self.sky();
        sky.faults.clear();
        sky.panics.clear();
    }

    /// The last drain begins.
    pub(super) fn bid_farewell(&self) {
        self.sky().farewell = true;
    }

    /// Whether the last drain began.
    pub(super) fn is_farewell(&self) -> bool {
        self.sky().farewell
    }

    /// A node's process stands still, or goes on.
    pub(super) fn freeze(&self, node: usize, on: bool) {
        if let Some(view) = self.views.get(node) {
            view.gate.shut(on);
        }
    }

    /// Whether a node's process stands still.
    pub(super) fn is_frozen(&self, node: usize) -> bool {
        self.views.get(node).is_some_and(|view| view.gate.is_shut())
    }

    /// Ends when a node's process runs.
    pub(super) fn running(&self, node: usize) -> BoxFuture<'static, ()> {
        let Some(view) = self.views.get(node) else { return std::future::ready(()).boxed() };
        let gate = Arc::clone(&view.gate);
        async move { gate.pass().await }.boxed()
    }

    /// How the next call of the store goes.
    pub(super) fn trip(&self, node: usize, writes: bool) -> Trip {
        let mut sky = self.sky();
        if let Some(left) = sky.panics.get_mut(&node) {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => {
                    sky.panics.remove(&node);
                    return Trip { failure: Failure::Panic, ..Trip::default() };
                }
            }
        }
        let dice = &self.store;
        let quick = |dice: &Dice| {
            if dice.chance(80) { Duration::ZERO } else { Duration::from_millis(dice.between(1, 4)) }
        };
        let mut trip = Trip { there: quick(dice), back: quick(dice), failure: Failure::None };
        for fault in sky.faults.values() {
            let Trouble::Store { node: only, ill } = fault.trouble else { continue };
            if only.is_some_and(|only| only != node) {
                continue;
            }
            match ill {
                StoreIll::Slow { most } => {
                    trip.there += dice.time(Duration::ZERO, most);
                    trip.back += dice.time(Duration::ZERO, most / 4);
                }
                StoreIll::Away => trip.failure = Failure::Before,
                StoreIll::Hangs { percent, time } if dice.chance(percent) => trip.there += time,
                StoreIll::Unsure { percent } if writes && dice.chance(percent) => {
                    trip.failure = Failure::After;
                }
                StoreIll::Flaky { percent } if dice.chance(percent) => trip.failure = Failure::Before,
                StoreIll::Hangs { .. } | StoreIll::Unsure { .. } | StoreIll::Flaky { .. } => {}
            }
        }
        trip
    }

    /// The node of an id.
    fn index(&self, node: NodeId) -> Option<usize> {
        (0..self.views.len()).find(|index| node_id(*index) == node)
    }

    /// Whether a node may work for an account: it holds a lease, and the account is its own.
    fn check_owner(&self, caller: Caller, what: &str) {
        let Some((node, view)) = self.index(caller.node).and_then(|node| Some((node, self.views.get(node)?)))
        else {
            return;
        };
        let until = view.store.lease_until();
        if until.is_none_or(|until| until <= view.clock.now()) {
            let how = format!("node {node} {what} {} without a lease", caller.account);
            self.book.breaks(Promise::LeaseHeld, &how);
        }
        if view.store.owner(caller.account).is_some_and(|fence| fence.node != caller.node) {
            let how = format!("node {node} {what} {}, which is another node's", caller.account);
            self.book.breaks(Promise::OneOwner, &how);
        }
    }

    /// What the faults that meet a request make of it.
    fn fare(&self, account: AccountId, request: &SendRequest, passage: &mut Passage) {
        let dice = &self.wire;
        let mut waits = Vec::new();
        for fault in self.sky().faults.values() {
            let Trouble::Sends { at, percent, ill } = fault.trouble else { continue };
            if !at.meets(account, request.target) || !dice.chance(percent) {
                continue;
            }
            let error = || "503".to_owned();
            passage.fate = match ill {
                Ill::Unanswered => Fate::Unanswered,
                Ill::Lost => Fate::Lost,
                Ill::Failed => Fate::Answered(SendOutcome::Backoff { error: error() }),
                Ill::FailedLate => Fate::CarriedBut(SendOutcome::Backoff { error: error() }),
                Ill::Flood { wait, scope } => {
                    waits.push((fault.scope.clone(), wait));
                    Fate::Answered(SendOutcome::RetryAfter { wait, scope })
                }
                Ill::RefusesPair => Fate::Answered(SendOutcome::PausePair { error: "50001".to_owned() }),
                Ill::Quarantined => {
                    Fate::Answered(SendOutcome::Quarantine { error: "PEER_FLOOD".to_owned() })
                }
                Ill::Hangs { patience } => {
                    passage.patience = patience;
                    Fate::Unanswered
                }
                Ill::Slow { most } => {
                    // An edit that is overtaken by the next one is beyond anybody's power.
                    if matches!(request.operation, Operation::Send { .. }) {
                        passage.there += dice.time(Duration::ZERO, most);
                    } else {
                        passage.back += dice.time(Duration::ZERO, most);
                    }
                    continue;
                }
            };
            self.book.count("sends that fared ill");
            break;
        }
        for (scope, wait) in waits {
            self.disturbed_for(&scope, wait.mul_f64(1.05) + Duration::from_secs(2));
        }
    }

    /// Pairs are disturbed for as long as a wait lasts.
    fn disturbed_for(&self, scope: &Scope, time: Duration) {
        let (book, number) = (Arc::clone(&self.book), self.book.disturbed(scope));
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            book.calmed(number);
        });
    }

    /// Whether one connection of an account keeps others from being made or used.
    fn dial_error(&self, account: AccountId) -> Option<ConnectionError> {
        self.sky().faults.values().find_map(|fault| match &fault.trouble {
            Trouble::Unreachable { account: only } if only.is_none_or(|only| only == account) => {
                Some(ConnectionError::Unreachable("no route".to_owned()))
            }
            Trouble::DialWait { account: only } if *only == account => {
                let left = (fault.at + fault.lasts).saturating_sub(self.book.log.now());
                let wait = left.max(Duration::from_secs(1));
                Some(ConnectionError::Wait { wait, reason: "session_start_limit".to_owned() })
            }
            Trouble::Logout { account: only } if *only == account => {
                Some(ConnectionError::NeedsLogin("AUTH_KEY_UNREGISTERED".to_owned()))
            }
            _ => None,
        })
    }

    /// Whether the platform keeps an account logged out.
    pub(super) fn is_logged_out(&self, account: AccountId) -> bool {
        let out =
            |fault: &Fault| matches!(fault.trouble, Trouble::Logout { account: only } if only == account);
        self.sky().faults.values().any(out)
    }

    fn sabotaged(&self, request: &SendRequest, passage: &mut Passage) {
        match self.sabotage {
            Some(Sabotage::EditsAreNotCarriedOut) if matches!(request.operation, Operation::Edit { .. }) => {
                passage.fate = Fate::Answered(SendOutcome::Delivered { message: None });
            }
            Some(Sabotage::OneTargetBlocksAll) if self.is_slow_somewhere() => {
                passage.there += Duration::from_secs(25);
            }
            _ => {}
        }
    }

    fn is_slow_somewhere(&self) -> bool {
        self.sky().faults.values().any(|fault| matches!(fault.trouble, Trouble::Sends { .. }))
    }
}

impl Wire for Weather {
    fn dialled(&self, request: &ConnectRequest) -> Dial {
        let caller = Caller { account: request.account.id, node: request.fence.node };
        let takes = self.wire.time(Duration::from_millis(20), Duration::from_millis(400));
        Dial { takes, error: self.dial_error(caller.account) }
    }

    fn connected(&self, caller: Caller) {
        let node = self.index(caller.node).unwrap_or_default();
        self.book.log.note(&format!("node {node} connects {}", caller.account));
        self.book.count("connections");
        let account = self.book.plan.accounts.iter().find(|account| account.id == caller.account);
        // One authorisation key is used from one place; a bot of Discord's may have many gateways.
        let one_key = account.is_some_and(|account| account.kind.platform() == Platform::Telegram);
        let other = self
            .platform
            .connected()
            .into_iter()
            .find(|other| other.account == caller.account && other.node != caller.node);
        if one_key && other.is_some() {
            let how =
                format!("node {node} connects {} while another node's connection stands", caller.account);
            self.book.breaks(Promise::OneOwner, &how);
        }
        if self.dial_error(caller.account).is_some() {
            // It broke while it was made.
            let error = ConnectionError::Unreachable("connection reset".to_owned());
            self.platform.hang_up(|other| other == caller, &error);
        }
    }

    fn handed_over(&self, id: Handed, caller: Caller, request: &SendRequest) -> Passage {
        self.book.count("sends");
        self.book.handed_over(id, caller, request);
        self.check_owner(caller, "sends for");
        let (there, back) = (one_way(&self.wire), one_way(&self.wire));
        let mut passage = Passage { there, back, fate: Fate::Carried, patience: PATIENCE };
        self.fare(caller.account, request, &mut passage);
        if self.book.is_cursed(request) {
            passage.fate = match passage.fate {
                Fate::Unanswered | Fate::Lost => Fate::Lost,
                Fate::Answered(outcome) => Fate::Answered(outcome),
                Fate::Carried | Fate::CarriedBut(_) => {
                    Fate::Answered(SendOutcome::Refused { error: CURSED.to_owned() })
                }
            };
        }
        self.sabotaged(request, &mut passage);
        passage
    }

    fn arrived(&self, id: Handed, arrival: &Arrival, answer: Option<&SendOutcome>) {
        let told_short = match answer {
            Some(SendOutcome::RetryAfter { wait, scope })
                if self.sabotage == Some(Sabotage::WaitsAreToldShort) =>
            {
                Some(SendOutcome::RetryAfter { wait: *wait * 20, scope: *scope })
            }
            _ => None,
        };
        self.book.arrived(id, arrival, told_short.as_ref().or(answer));
    }

    fn answered(&self, id: Handed, outcome: &SendOutcome, heard: bool) {
        self.book.answered(id, outcome, heard);
    }

    fn gave_up(&self, id: Handed) {
        self.book.gave_up(id);
    }

    fn reading(&self, _: Caller) -> (Duration, usize) {
        let takes = self.wire.time(Duration::from_millis(5), Duration::from_millis(150));
        (takes, self.wire.count(1, 6))
    }

    fn awake(&self, node: NodeId) -> BoxFuture<'static, ()> {
        self.index(node).map_or_else(|| std::future::ready(()).boxed(), |index| self.running(index))
    }
}
