//! How actors of the tree find each other: references that survive restarts, by the id of what they stand for.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::allowance::Allowances;
use super::notifier::{Notifier, Posted, Raise};
use super::pair::{self, PairActor};
use super::queue::{self, QueueActor};
use super::session::{self, SessionActor};
use super::throttle::ThrottleActor;
use crate::model::{AccountId, Alert, PairId};
use crate::supervision::ChildRef;

/// A map of references.
#[derive(Debug)]
pub struct Refs<K, C>(RwLock<BTreeMap<K, C>>);

impl<K, C> Default for Refs<K, C> {
    fn default() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }
}

impl<K: Ord, C: Clone> Refs<K, C> {
    /// The reference for a key.
    pub fn get(&self, key: &K) -> Option<C> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// All references, in order of their keys.
    pub fn all(&self) -> Vec<C> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Adds or replaces a reference.
    pub fn set(&self, key: K, reference: C) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, reference);
    }

    /// Removes a reference.
    pub fn remove(&self, key: &K) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The references of one tree.
#[derive(Default)]
pub struct Links {
    /// `sessions/<account id>`.
    pub sessions: Refs<AccountId, ChildRef<SessionActor>>,
    /// `queues/<account id>`.
    pub queues: Refs<AccountId, ChildRef<QueueActor>>,
    /// `throttles/<account id>`.
    pub throttles: Refs<AccountId, ChildRef<ThrottleActor>>,
    /// `throttles/egress/<address>`.
    pub egress: Refs<String, ChildRef<ThrottleActor>>,
    /// `pairs/<pair id>`.
    pub pairs: Refs<PairId, ChildRef<PairActor>>,
    /// What users may send.
    pub allowances: Allowances,
    notifier: OnceLock<ChildRef<Notifier>>,
    lease_until: RwLock<Option<Instant>>,
    store_lost: StoreLost,
    attempted: Attempted,
    connections: AtomicU64,
    alerts_lost: AtomicU64,
}

/// Accounts whose session had its first attempt to connect.
struct Attempted(watch::Sender<HashSet<AccountId>>);

impl Default for Attempted {
    fn default() -> Self {
        Self(watch::Sender::new(HashSet::new()))
    }
}

/// Says once that the store cannot be used any more.
struct StoreLost(watch::Sender<Option<String>>);

impl Default for StoreLost {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Links {
    /// Sets the notifier, once.
    pub fn set_notifier(&self, notifier: ChildRef<Notifier>) {
        // A tree is built once, so a second notifier cannot come.
        let _ = self.notifier.set(notifier);
    }

    /// Hands an alert to the notifier; one that it cannot take is in the log at least.
    pub fn alert(&self, alert: Alert) {
        let refused = match self.notifier.get() {
            Some(notifier) => notifier.tell(Raise(alert)).err().map(|refused| refused.into_message().0),
            None => Some(alert),
        };
        if let Some(alert) = refused {
            self.lose_alert();
            tracing::error!(kind = %alert.kind, subject = %alert.subject, text = %alert.text, "alert could not be queued");
        }
    }

    /// An alert was given up before it was written to the store.
    pub(super) fn lose_alert(&self) {
        self.alerts_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Alerts that were given up before they were written to the store; each is in the log.
    pub fn alerts_lost(&self) -> u64 {
        self.alerts_lost.load(Ordering::Relaxed)
    }

    /// Something new is in the bot's outbox. A refusal loses nothing: the notifier looks there by itself too.
    pub fn posted(&self) {
        if let Some(notifier) = self.notifier.get() {
            let _ = notifier.tell(Posted);
        }
    }

    /// Wakes a pair. A refusal loses nothing: routes wait in the store, and the pair looks there by itself too.
    pub fn wake_pair(&self, pair: PairId) {
        if let Some(reference) = self.pairs.get(&pair) {
            let _ = reference.tell(pair::Wake);
        }
    }

    /// Wakes one lane of a queue. A refusal loses nothing: deliveries wait in the store.
    pub fn wake_queue(&self, account: AccountId, pair: PairId) {
        if let Some(reference) = self.queues.get(&account) {
            let _ = reference.tell(queue::Wake(pair));
        }
    }

    /// The name of the next connection: no other has it.
    pub(super) fn next_connection(&self) -> session::ConnectionId {
        session::ConnectionId::new(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// The account is connected: its queue may go on.
    pub fn connected(&self, account: AccountId) {
        if let Some(reference) = self.queues.get(&account) {
            let _ = reference.tell(queue::Resume);
        }
    }

    /// The platform ended a session while it was used for sending.
    pub fn session_dead(&self, account: AccountId, connection: session::ConnectionId, error: String) {
        if let Some(reference) = self.sessions.get(&account) {
            let _ = reference.tell(session::Dead { connection, error });
        }
    }

    /// The node has had no lease for so long that others may take its accounts: every session lets go of its connection.
    pub(super) fn let_go(&self) {
        for session in self.sessions.all() {
            // One that does not take it holds no connection, or is told again.
            let _ = session.tell(session::LeaseLost);
        }
    }

    /// A session's first attempt to connect is over, well or not.
    pub fn attempted(&self, account: AccountId) {
        self.attempted.0.send_if_modified(|accounts| accounts.insert(account));
    }

    /// The account's attempts are not counted any more: it left, or it has new pairs to take on.
    pub fn forget(&self, account: AccountId) {
        self.attempted.0.send_if_modified(|accounts| accounts.remove(&account));
    }

    /// Ends when the first attempts of all these accounts are over.
    pub async fn all_attempted(&self, accounts: &[AccountId]) {
        let mut attempted = self.attempted.0.subscribe();
        // An error means that the links are gone, and nobody waits for them.
        let _ = attempted.wait_for(|done| accounts.iter().all(|account| done.contains(account))).await;
    }

    /// The store cannot be used any more: the one thing, besides an operator, that ends the process.
    pub fn report_store_lost(&self, error: String) {
        self.store_lost.0.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert(error);
            first
        });
    }

    /// Ends, with the error, when the store cannot be used any more.
    pub fn store_lost(&self) -> impl Future<Output = String> + Send + use<> {
        let mut lost = self.store_lost.0.subscribe();
        async move {
            loop {
                if let Some(error) = lost.borrow_and_update().clone() {
                    return error;
                }
                if lost.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// The node's lease lasts until then.
    pub fn set_lease(&self, until: Instant) {
        *self.lease_until.write().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Whether a send may start now: the lease lasts for `margin` more.
    #[must_use]
    pub fn lease_lasts(&self, margin: Duration) -> bool {
        let until = *self.lease_until.read().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now() + margin)
    }

    /// Whether the node's lease ended at least so long ago.
    #[must_use]
    pub fn lease_over_for(&self, time: Duration) -> bool {
        let until = *self.lease_until.read().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until + time <= Instant::now())
    }
}
