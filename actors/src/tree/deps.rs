//! What every actor of the tree is given: ports, bounds, failpoints, and the way to its siblings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::failpoint::Failpoints;
use super::links::Links;
use super::notifier::Post;
use crate::model::{AccountId, Alert, AlertId, AlertSeverity, Fence, IdSource, Quotas, UserId};
use crate::pipeline::PipelineLimits;
use crate::ports::{Clock, PlatformConnector, Rng, Store, StoreError};
use crate::supervision::Backoff;

/// Bounds of the tree's actors. Every field has a key in config.toml.
#[derive(Clone, Debug)]
pub struct TreeConfig {
    /// Routes that a pair claims at once.
    pub claim_batch: u32,
    /// Tries after which a route is skipped as poison.
    pub poison_attempts: u32,
    /// Deliveries of one lane held in memory.
    pub lane_lookahead: u32,
    /// Tries that count, after which a delivery is dead.
    pub tries_max: u32,
    /// Backoff of sends and connections.
    pub retry: Backoff,
    /// Failures in a row after which an account's circuit opens.
    pub circuit_failures: u32,
    /// How long what is read at a target waits for the answer to a send that it may be.
    pub answer_wait: Duration,
    /// How often a pair or queue looks into the store without being woken.
    pub poll_interval: Duration,
    /// How long the node's lease lasts.
    pub lease_ttl: Duration,
    /// How often the lease is renewed.
    pub lease_renew: Duration,
    /// Sends stop this long before the lease ends.
    pub lease_margin: Duration,
    /// How long delivered messages, their bodies and the ledger are kept.
    pub retention: Duration,
    /// How often retention is enforced.
    pub purge_interval: Duration,
    /// Rows deleted in one transaction.
    pub purge_batch: u32,
    /// Alerts that wait for the store at most.
    pub alert_backlog: usize,
    /// Messages a day, by plan.
    pub quotas: Quotas,
    /// The pipeline's limits.
    pub pipeline: PipelineLimits,
}

/// What every actor of the tree is given. Cheap to clone; two systems have two of them.
#[derive(Clone)]
pub struct Deps {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Connects accounts.
    pub connector: Arc<dyn PlatformConnector>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Makes ids.
    pub ids: IdSource,
    /// Bounds.
    pub config: Arc<TreeConfig>,
    /// Faults on demand.
    pub failpoints: Arc<Failpoints>,
    /// The way to the other actors.
    pub links: Arc<Links>,
    /// Under which epochs this process owns its accounts.
    pub assignments: Arc<Assignments>,
    /// The bot that writes to people, if there is one.
    pub post: Option<Post>,
}

impl Deps {
    /// The fence under which this process writes for an account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fence(&self, account: AccountId) -> Result<Fence, StoreError> {
        self.assignments.fence(self.store.as_ref(), account).await
    }

    /// The time of day in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Raises an alert through the notifier.
    pub fn alert(
        &self,
        severity: AlertSeverity,
        kind: &str,
        subject: &str,
        user: Option<UserId>,
        text: String,
    ) {
        self.links.alert(alert(&self.ids, self.clock.as_ref(), severity, kind, subject, user, text));
    }
}

/// A new alert, raised now.
pub(super) fn alert(
    ids: &IdSource,
    clock: &dyn Clock,
    severity: AlertSeverity,
    kind: &str,
    subject: &str,
    user: Option<UserId>,
    text: String,
) -> Alert {
    Alert {
        id: AlertId::from_uuid(ids.uuid()),
        at: clock.now(),
        severity,
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        user,
        text,
    }
}

/// The fences of this process: an account is assigned once, under a new epoch, and again only after it was fenced off.
#[derive(Default)]
pub struct Assignments {
    fences: Mutex<HashMap<AccountId, Fence>>,
}

impl Assignments {
    async fn fence(&self, store: &dyn Store, account: AccountId) -> Result<Fence, StoreError> {
        let mut fences = self.fences.lock().await;
        if let Some(fence) = fences.get(&account) {
            return Ok(*fence);
        }
        let fence = store.assign(account).await?;
        fences.insert(account, fence);
        Ok(fence)
    }

    /// Under which fence this process used an account last, if it did; it may be refused by now.
    pub(super) async fn held(&self, account: AccountId) -> Option<Fence> {
        self.fences.lock().await.get(&account).copied()
    }

    /// Gives up an account that leaves the system.
    pub async fn release(&self, account: AccountId) {
        self.fences.lock().await.remove(&account);
    }

    /// Forgets a fence that the store refused, so that the next use asks for a new assignment.
    pub async fn forget(&self, refused: Fence) {
        let mut fences = self.fences.lock().await;
        if fences.get(&refused.account) == Some(&refused) {
            fences.remove(&refused.account);
        }
    }
}

/// Repeats a write until the store takes it: what was seen or done at a platform must not be forgotten.
pub(super) async fn until_stored<T, F>(
    deps: &Deps,
    fence: Fence,
    beat: &impl Fn(),
    write: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 0_u32;
    loop {
        match write().await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::DiskFull(_))) => {
                tries = tries.saturating_add(1);
                tracing::warn!(account = %fence.account, %error, tries, "write waits for the store");
                beat();
                tokio::time::sleep(deps.config.retry.delay(tries, deps.rng.next_u64())).await;
            }
            Err(error @ StoreError::Fenced(refused)) => {
                deps.assignments.forget(refused).await;
                return Err(error);
            }
            done => return done,
        }
    }
}
