//! The operator of a world: restarts, suspends, pauses, and puts right what only a person can.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Sabotage;
use super::book::Subject;
use super::fault::Order;
use super::node::Node;
use super::plan::node_id;
use super::store::UNSUPERVISED;
use super::weather::Weather;
use crate::model::{AccountId, AccountState, PauseCause, UserId};
use crate::ports::{Directory as _, Routes as _};
use crate::supervision::{AskError, ChildPath};
use crate::testkit::MemoryStore;
use crate::tree::{Operator, ReconnectError};

/// How long one node is given to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// What a suspension waits for sends that are under way.
const QUIET_LIMIT: Duration = Duration::from_secs(5);

/// See the module. Clones are the same person.
#[derive(Clone)]
pub(super) struct Staff {
    pub(super) weather: Arc<Weather>,
    pub(super) nodes: Rc<Vec<Node>>,
}

impl Staff {
    /// The store without anything in between, as whoever writes orders there sees it.
    fn store(&self) -> Option<&MemoryStore> {
        self.weather.views.first().map(|view| &view.store)
    }

    fn note(&self, text: &str) {
        self.weather.book.log.note(text);
    }

    /// Orders something, and takes it back when its time is over.
    pub(super) async fn carry_out(self, node: usize, order: Order, lasts: Duration) {
        self.note(&format!("the operator orders {order:?} on node {node} for {:.3} s", lasts.as_secs_f64()));
        match order {
            Order::Restart(path) => self.restart(node, &path).await,
            Order::Suspend(path) => self.suspend(node, &path, lasts).await,
            Order::Reconnect(account) => self.reconnect(node, account).await,
            Order::PausePair(pair) => self.pause(Subject::Pair(pair), lasts).await,
            Order::PauseQueue(account) => self.pause(Subject::Queue(account), lasts).await,
            Order::SuspendUser(user) => self.pause(Subject::User(user), lasts).await,
        }
    }

    async fn restart(&self, node: usize, path: &ChildPath) {
        let Some(operator) = self.nodes.get(node).and_then(Node::operator) else { return };
        let answer = limited(operator.restart(path)).await;
        self.note(&format!("restart of {path}: {answer:?}"));
    }

    async fn suspend(&self, node: usize, path: &ChildPath, lasts: Duration) {
        let Some(operator) = self.nodes.get(node).and_then(Node::operator) else { return };
        let held = operator.tree().suspend(path);
        self.note(&format!("suspend of {path}: {held:?}"));
        tokio::time::sleep(lasts).await;
        let goes_on = operator.tree().resume(path);
        self.note(&format!("resume of {path}: {goes_on:?}"));
    }

    async fn reconnect(&self, node: usize, account: AccountId) {
        let Some(operator) = self.nodes.get(node).and_then(Node::operator) else { return };
        let answer = limited(operator.reconnect(account)).await;
        self.note(&format!("reconnect of {account}: {answer:?}"));
    }

    async fn pause(&self, subject: Subject, lasts: Duration) {
        if self.weather.book.is_paused(subject) {
            return;
        }
        self.write(subject, true).await;
        self.weather.book.pause_set(subject);
        let until = tokio::time::Instant::now() + lasts;
        // A node that does not answer in time is told of the end all the same.
        let _ = tokio::time::timeout_at(until, self.tell_all(subject, true)).await;
        tokio::time::sleep_until(until).await;
        self.weather.book.pause_lifted(subject);
        self.write(subject, false).await;
        self.tell_all(subject, false).await;
    }

    /// Writes a pause, or its end, into the store.
    async fn write(&self, subject: Subject, on: bool) {
        let Some(store) = self.store() else { return };
        if self.weather.sabotage == Some(Sabotage::PausesAreForgotten) {
            return;
        }
        match subject {
            // The store itself never fails.
            Subject::Pair(id) => _ = store.set_pause(id, PauseCause::Admin, on).await,
            Subject::Queue(id) => store.pause_queue(id, PauseCause::Admin, on),
            Subject::User(id) => store.set_suspended(id, on),
        }
    }

    /// Tells every node that runs, until each has answered.
    async fn tell_all(&self, subject: Subject, on: bool) {
        let mut left: Vec<usize> = (0..self.nodes.len()).collect();
        while !left.is_empty() {
            let mut silent = Vec::new();
            for node in left {
                let Some(operator) = self.nodes.get(node).and_then(Node::operator) else {
                    // It reads the store when it starts, but not what it read before it was up.
                    if !self.nodes.get(node).is_some_and(Node::is_idle) {
                        silent.push(node);
                    }
                    continue;
                };
                match limited(tell(&operator, subject, on)).await {
                    Some(Ok(())) if on => self.weather.book.pause_answered(subject, node),
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        self.note(&format!("node {node} cannot be told of {subject:?}: {error}"));
                        silent.push(node);
                    }
                    None => silent.push(node),
                }
            }
            left = silent;
            if !left.is_empty() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Puts right what waits for a person: sessions that need login, quarantines, pairs that their target refused.
    pub(super) async fn put_right(&self, logged_out: impl Fn(AccountId) -> bool) {
        let Some(store) = self.store() else { return };
        for account in store.accounts().await.unwrap_or_default() {
            match account.state {
                AccountState::NeedsLogin if !logged_out(account.id) => {
                    self.renew(account.id, account.user).await
                }
                AccountState::Quarantined => {
                    if let Some(node) = self.owner(account.id) {
                        self.reconnect(node, account.id).await;
                    }
                }
                AccountState::NeedsLogin | AccountState::Active => {}
            }
        }
        for pair in store.pairs().await.unwrap_or_default() {
            let path = ChildPath::parse(&format!("pairs/{}", pair.id));
            if pair.paused.contains(&PauseCause::Permission)
                && let (Some(node), Ok(path)) = (self.owner(pair.target_account), path)
            {
                self.restart(node, &path).await;
            }
        }
    }

    /// The node that works for an account.
    pub(super) fn owner(&self, account: AccountId) -> Option<usize> {
        let owner = self.store()?.owner(account)?.node;
        (0..self.nodes.len()).find(|index| node_id(*index) == owner)
    }

    /// Somebody logs in: every node takes the new credentials.
    async fn renew(&self, account: AccountId, user: UserId) {
        let Some(store) = self.store() else { return };
        self.note(&format!("somebody logs in to {account}"));
        let operators: Vec<Operator> = self.nodes.iter().filter_map(Node::operator).collect();
        for operator in &operators {
            limited(operator.account_renewing(account)).await;
        }
        self.nodes.iter().for_each(|node| node.removes(format!("sessions/{account}")));
        // The store itself never fails.
        let _ = store.set_account_state(account, AccountState::Active).await;
        for operator in &operators {
            let renewed = limited(operator.account_renewed(account, user)).await;
            if !matches!(renewed, Some(Ok(()))) {
                self.note(&format!("{account} is not renewed: {renewed:?}"));
            }
        }
    }
}

/// What an operator asks for, for a limited time: none when there is no answer by then.
async fn limited<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ANSWER_LIMIT, UNSUPERVISED.scope((), call)).await.ok()
}

async fn tell(operator: &Operator, subject: Subject, on: bool) -> Result<(), String> {
    match subject {
        Subject::Pair(id) => operator.pair_changed(id).await.map_err(|error| error.to_string()),
        Subject::Queue(id) => match operator.queue_pauses_changed(id).await {
            // One that does not run reads its pauses when it starts.
            Ok(()) | Err(ReconnectError::NoAnswer(AskError::Refused(_))) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        Subject::User(id) => {
            let told = if on {
                operator.user_suspended(id, QUIET_LIMIT).await
            } else {
                operator.user_restored(id, QUIET_LIMIT).await
            };
            told.map_err(|error| error.to_string())
        }
    }
}
