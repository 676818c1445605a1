//! A store in shared memory with the semantics of the real one, and faults on demand.

mod intake;
mod jobs;
mod keeping;
mod lease;
mod ledger;
mod outbox;
mod pauses;
mod routes;
mod standings;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::clock::VirtualClock;
use crate::model::{
    Account, AccountId, Alert, ChatId, CursorKey, CursorValue, DeadReason, Delivery, DeliveryId, EventKind,
    MessageCopy, MessageId, NodeId, OpenRoute, Pair, PairId, PartState, Place, SkipReason,
};
use crate::ports::{Clock, StoreError};

pub use lease::TELEGRAM_TAKEOVER;
pub use ledger::{LedgerEnd, LedgerEntry};

type EventKey = (AccountId, i64, i64, EventKind, i64);

struct Route {
    open: OpenRoute,
    pair: PairId,
}

#[derive(Default)]
struct State {
    next: u128,
    seq: i64,
    accounts: BTreeMap<AccountId, Account>,
    pairs: BTreeMap<PairId, Pair>,
    events: HashSet<EventKey>,
    routes: BTreeMap<i64, Route>,
    deliveries: BTreeMap<(PairId, i64), Delivery>,
    /// Deliveries that are no longer pending.
    finished: HashSet<DeliveryId>,
    ledger: ledger::Ledger,
    copies: BTreeMap<(PairId, ChatId, MessageId, u16), (Place, MessageId)>,
    cursors: BTreeMap<(AccountId, CursorKey), CursorValue>,
    nodes: BTreeMap<NodeId, lease::NodeLease>,
    assignments: BTreeMap<AccountId, lease::Assignment>,
    alerts: Vec<Alert>,
    jobs: jobs::Runs,
    throttles: HashMap<String, String>,
    queue_pauses: pauses::QueuePausesKept,
    unavailable: bool,
    refuses_assignments: bool,
    unreadable: bool,
    slow_pair_reads: VecDeque<Duration>,
    slow_marks: VecDeque<Duration>,
    users: standings::Known,
}

/// A store that lives in memory, as one node sees it. Clones, and the views of other nodes, share what it holds.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    node: NodeId,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryStore {
    /// An empty store, as its only node sees it.
    fn default() -> Self {
        let node = NodeId::from_uuid(Uuid::from_u128(1));
        Self { state: Arc::default(), node, clock: Arc::new(VirtualClock::default()) }
    }
}

impl MemoryStore {
    /// The same store as a node with this id and clock sees it.
    #[must_use]
    pub fn on_node(&self, node: NodeId, clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::clone(&self.state), node, clock }
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unavailable {
            Err(StoreError::Unavailable("told so by the test".to_owned()))
        } else {
            Ok(state)
        }
    }

    fn peek(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now by this node's clock, Unix milliseconds.
    fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Deletes a pair with what waits for it.
    pub fn remove_pair(&self, id: PairId) {
        let mut state = self.peek();
        state.pairs.remove(&id);
        state.routes.retain(|_, route| route.pair != id);
        state.deliveries.retain(|(pair, _), _| *pair != id);
    }

    /// Deletes an account with its pairs.
    pub fn remove_account(&self, id: AccountId) {
        let of = |pair: &Pair| pair.source_account == id || pair.target_account == id;
        let pairs: Vec<_> = self.peek().pairs.values().filter(|pair| of(pair)).map(|pair| pair.id).collect();
        for pair in pairs {
            self.remove_pair(pair);
        }
        self.peek().accounts.remove(&id);
    }

    /// Every call fails with [`StoreError::Unavailable`] while on.
    pub fn set_unavailable(&self, on: bool) {
        self.peek().unavailable = on;
    }

    /// No account is assigned to any node while on: [`StoreError::Unavailable`].
    pub fn refuse_assignments(&self, on: bool) {
        self.peek().refuses_assignments = on;
    }

    /// The next readings of pairs answer so much later what they found at first.
    pub fn slow_pair_reads(&self, waits: impl IntoIterator<Item = Duration>) {
        self.peek().slow_pair_reads.extend(waits);
    }

    /// What is known of messages that pairs read cannot be told while on; everything else goes on.
    pub fn set_unreadable(&self, on: bool) {
        self.peek().unreadable = on;
    }

    /// The next marks of parts that are to be sent are made so much later.
    pub fn slow_marks(&self, waits: impl IntoIterator<Item = Duration>) {
        self.peek().slow_marks.extend(waits);
    }

    /// Alerts raised so far.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.peek().alerts.clone()
    }

    /// Skips written so far.
    #[must_use]
    pub fn skips(&self) -> Vec<(PairId, SkipReason)> {
        self.peek().ledger.skips()
    }

    /// Deliveries given up so far.
    #[must_use]
    pub fn dead(&self) -> Vec<(DeliveryId, DeadReason)> {
        self.peek().ledger.dead()
    }

    /// How every event that was accepted ended for its pairs, in order of their ends.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        self.peek().ledger.entries.clone()
    }

    /// What the ledger says of tries that did not end a delivery, with their delivery.
    #[must_use]
    pub fn notes(&self) -> Vec<(DeliveryId, String)> {
        self.peek().ledger.notes.clone()
    }

    /// Open routes and pending deliveries: zero when everything accepted is settled.
    #[must_use]
    pub fn unsettled(&self) -> (usize, usize) {
        let state = self.peek();
        (state.routes.len(), state.deliveries.len())
    }

    /// Deletes the newest pending delivery, as no real store would; false when there is none.
    pub fn lose_delivery(&self) -> bool {
        let mut state = self.peek();
        let newest = state.deliveries.keys().max_by_key(|(_, seq)| *seq).copied();
        newest.is_some_and(|key| state.deliveries.remove(&key).is_some())
    }
}

fn is_done(delivery: &Delivery) -> bool {
    delivery.parts.iter().all(|part| part.state == PartState::Sent)
}

impl State {
    fn copies_of(&self, pair: PairId, chat: ChatId, message: MessageId) -> Vec<MessageCopy> {
        let all = self.copies.range((pair, chat, message, 0)..=(pair, chat, message, u16::MAX));
        all.map(|((_, _, _, part), (place, message))| MessageCopy {
            part: *part,
            chat: place.chat,
            message: *message,
        })
        .collect()
    }

    fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    /// Pairs that are paused.
    fn paused(&self) -> BTreeSet<PairId> {
        self.pairs.values().filter(|pair| !pair.paused.is_empty()).map(|pair| pair.id).collect()
    }
}
