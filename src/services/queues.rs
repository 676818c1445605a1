//! Queues and sessions for the staff: list, pause, resume, restart, reconnect; one, or all in a state as a job.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_actors::model::{Account, AccountId, AccountKind, PauseCause, UserId};
use switchyard_actors::ports::{Directory, QueuePauses, StoreError};
use switchyard_actors::supervision::{ChildPath, NodeView};
use switchyard_actors::tree::{AllowanceView, Operator, ReconnectError};

use super::admin::{Admin, AdminError};
use super::caller::Caller;
use super::fault::Fault;
use super::page::{Listed, Page};
use super::states::{QueueStanding, SessionStanding, why};
use super::work::{Item, JobDesk, JobKind, JobView};
use crate::store::{QueueDepth, Store};

/// In which order queues are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueSort {
    /// By id.
    #[default]
    Id,
    /// The deepest first.
    Depth,
    /// The one whose oldest delivery waits longest first.
    Age,
}

/// The queue of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Its account's id, which is its own.
    pub id: AccountId,
    /// The user whose it is.
    pub user: UserId,
    /// The account's name.
    pub name: String,
    /// The account's kind.
    pub kind: AccountKind,
    /// How it stands.
    pub state: QueueStanding,
    /// Why it stands so, where it says.
    pub reason: Option<String>,
    /// Why it is paused; empty while it runs.
    pub paused: BTreeSet<PauseCause>,
    /// Since when it is in its actor's present state.
    pub since: Option<DateTime<Utc>>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Lanes with something to do.
    pub lanes: u64,
    /// Parts that are on their way.
    pub sending: u64,
    /// Parts that arrived since it started.
    pub sent: u64,
    /// Deliveries that were given up since it started.
    pub dead: u64,
    /// How full its throttle's budgets are: `ok`, `warning` from four fifths on, `full`.
    pub throttle: Option<String>,
}

/// What can be done about queues and sessions.
#[async_trait]
pub trait Queues: Send + Sync {
    /// A page of queues.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(
        &self,
        state: Option<QueueStanding>,
        sort: QueueSort,
        page: Page<String>,
    ) -> Result<Listed<QueueView, String>, Fault>;

    /// One queue.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn get(&self, id: AccountId) -> Result<QueueView, Fault>;

    /// Pauses a queue for the staff's cause, or lifts that. After the answer to a pause it begins no send; what waits
    /// for it stays.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn pause(&self, id: AccountId, on: bool) -> Result<QueueView, Fault>;

    /// Starts a queue anew.
    ///
    /// # Errors
    /// [`Fault`].
    async fn restart(&self, id: AccountId) -> Result<QueueView, Fault>;

    /// Starts all queues anew that are in a state, as a job.
    ///
    /// # Errors
    /// [`Fault`].
    async fn restart_all(&self, caller: Caller, state: QueueStanding) -> Result<JobView, Fault>;

    /// Connects all sessions anew that are in a state, as a job. Those that work are left alone.
    ///
    /// # Errors
    /// [`Fault`].
    async fn reconnect_all(&self, caller: Caller, state: SessionStanding) -> Result<JobView, Fault>;
}

/// Queues of a running daemon.
pub struct QueueService {
    store: Store,
    operator: Operator,
    jobs: JobDesk,
    /// One change of a pause at a time.
    changing: tokio::sync::Mutex<()>,
}

impl QueueService {
    /// Over store, tree and jobs.
    #[must_use]
    pub fn new(store: Store, operator: Operator, jobs: JobDesk) -> Self {
        Self { store, operator, jobs, changing: tokio::sync::Mutex::new(()) }
    }

    async fn one(&self, id: AccountId) -> Result<QueueView, Fault> {
        let account = match self.store.account(id).await {
            Err(StoreError::NotFound(_)) => return Err(Fault::NotFound(format!("queue {id}"))),
            account => account?,
        };
        let depth = self.store.queue_depth(id).await?;
        let paused = self.store.queue_pauses(id).await?;
        let reason = || used_up_today(&self.operator.allowance(account.user));
        let reason = if depth.waiting > 0 { reason() } else { None };
        Ok(view(&self.operator, account, depth, paused, reason))
    }

    fn nodes(&self, branch: &str) -> Vec<NodeView> {
        nodes(&self.operator, branch)
    }
}

fn nodes(operator: &Operator, branch: &str) -> Vec<NodeView> {
    let Ok(path) = ChildPath::parse(branch) else { return Vec::new() };
    let below = operator.tree().snapshot(&path).into_iter();
    below.filter(|node| node.path != path).collect()
}

/// Every queue, by id.
pub(super) async fn all(store: &Store, operator: &Operator) -> Result<Vec<QueueView>, Fault> {
    let accounts = store.accounts().await?;
    let depths = store.queue_depths().await?;
    let mut pauses = store.all_queue_pauses().await?;
    let mut used_up: HashMap<UserId, Option<String>> = HashMap::new();
    let queues = accounts.into_iter().map(|account| {
        let depth = depths.get(&account.id).copied().unwrap_or_default();
        let paused = pauses.remove(&account.id).unwrap_or_default();
        let mut of_user = || {
            let used_up = used_up.entry(account.user);
            used_up.or_insert_with(|| used_up_today(&operator.allowance(account.user))).clone()
        };
        let reason = if depth.waiting > 0 { of_user() } else { None };
        view(operator, account, depth, paused, reason)
    });
    Ok(queues.collect())
}

/// A queue as store and tree know it. `waits_for` is why what is in it waits though it runs.
fn view(
    operator: &Operator,
    account: Account,
    depth: QueueDepth,
    paused: BTreeSet<PauseCause>,
    waits_for: Option<String>,
) -> QueueView {
    let node =
        |branch: &str| operator.tree().view(&ChildPath::parse(&format!("{branch}/{}", account.id)).ok()?);
    let (node, throttle) = (node("queues"), node("throttles"));
    let number =
        |name: &str| node.as_ref().and_then(|node| node.observable.get(name)?.as_u64()).unwrap_or_default();
    QueueView {
        id: account.id,
        user: account.user,
        state: node.as_ref().map_or(QueueStanding::Restarting, QueueStanding::of),
        reason: node.as_ref().and_then(why).or(waits_for),
        paused,
        since: node.as_ref().map(|node| node.since),
        waiting: depth.waiting,
        oldest_waiting: depth.oldest.and_then(DateTime::from_timestamp_millis),
        lanes: number("lanes"),
        sending: number("sending"),
        sent: number("sent"),
        dead: number("dead"),
        throttle: throttle
            .and_then(|node| node.observable.get("state").and_then(Value::as_str).map(str::to_owned)),
        name: account.name,
        kind: account.kind,
    }
}

/// Why what a user's queues hold waits though they run: the plan's messages of the day are delivered.
fn used_up_today(allowance: &AllowanceView) -> Option<String> {
    let limit = allowance.limit.filter(|_| allowance.waiting > 0)?;
    let resets = allowance.resets_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(format!(
        "the plan's {limit} messages of today are delivered: it goes on at {resets}, or at once with another plan"
    ))
}

/// Every session: its account and how it stands.
pub(super) fn sessions(operator: &Operator) -> Vec<(AccountId, SessionStanding, NodeView)> {
    let of = |node: NodeView| Some((node.path.id().parse().ok()?, SessionStanding::of(&node), node));
    nodes(operator, "sessions").into_iter().filter_map(of).collect()
}

#[async_trait]
impl Queues for QueueService {
    async fn list(
        &self,
        state: Option<QueueStanding>,
        sort: QueueSort,
        page: Page<String>,
    ) -> Result<Listed<QueueView, String>, Fault> {
        let mut queues = all(&self.store, &self.operator).await?;
        queues.retain(|queue| state.is_none_or(|state| queue.state == state));
        match sort {
            QueueSort::Id => {}
            QueueSort::Depth => queues.sort_by_key(|queue| std::cmp::Reverse(queue.waiting)),
            QueueSort::Age => {
                queues.sort_by_key(|queue| (queue.oldest_waiting.is_none(), queue.oldest_waiting, queue.id));
            }
        }
        // A place in an order that changes: good enough to leaf through, which is all it is for.
        let from = page.cursor.as_deref().map_or(Ok(0), str::parse::<usize>);
        let from = from.map_err(|_| Fault::invalid("/cursor", "it is no cursor of this list"))?;
        let to = from.saturating_add(page.limit);
        let next_cursor = (queues.len() > to).then(|| to.to_string());
        Ok(Listed { items: queues.into_iter().skip(from).take(page.limit).collect(), next_cursor })
    }

    async fn get(&self, id: AccountId) -> Result<QueueView, Fault> {
        self.one(id).await
    }

    async fn pause(&self, id: AccountId, on: bool) -> Result<QueueView, Fault> {
        let _alone = self.changing.lock().await;
        self.store.account(id).await?;
        self.store.set_queue_pause(id, PauseCause::Admin, on).await?;
        match self.operator.queue_pauses_changed(id).await {
            // One that does not run begins no send, and reads its pauses when it starts.
            Ok(()) | Err(ReconnectError::NoAnswer(_)) => {}
            Err(ReconnectError::NotFound(_)) => return Err(Fault::NotFound(format!("queue {id}"))),
            Err(error) => return Err(Fault::Unavailable(error.to_string())),
        }
        tracing::info!(queue = %id, paused = on, "queue's pause was changed");
        let mut view = self.one(id).await?;
        // What the tree shows may be a moment old.
        view.state = match (on, view.state) {
            (true, QueueStanding::Running | QueueStanding::Failing) => QueueStanding::Paused,
            (false, QueueStanding::Paused) if view.paused.is_empty() => QueueStanding::Running,
            (_, state) => state,
        };
        Ok(view)
    }

    async fn restart(&self, id: AccountId) -> Result<QueueView, Fault> {
        self.one(id).await?;
        restart(&self.operator, id).await?;
        tracing::info!(queue = %id, "queue was restarted");
        self.one(id).await
    }

    async fn restart_all(&self, caller: Caller, state: QueueStanding) -> Result<JobView, Fault> {
        if matches!(state, QueueStanding::Running | QueueStanding::Paused) {
            return Err(Fault::invalid("/state", "queues that work, or are paused, need no restart"));
        }
        let nodes = self.nodes("queues");
        let found = nodes.iter().filter(|node| QueueStanding::of(node) == state);
        let items: Vec<String> = found.map(|node| node.path.id().to_owned()).collect();
        self.jobs.order_each(caller, JobKind::RestartQueues, &items).await
    }

    async fn reconnect_all(&self, caller: Caller, state: SessionStanding) -> Result<JobView, Fault> {
        if state.is_left_alone() {
            return Err(Fault::invalid(
                "/state",
                "sessions that are connected, or about to be, or whose user is suspended, are left alone",
            ));
        }
        let found = sessions(&self.operator).into_iter().filter(|(_, standing, _)| *standing == state);
        let items: Vec<String> = found.map(|(id, _, _)| id.to_string()).collect();
        self.jobs.order_each(caller, JobKind::ReconnectSessions, &items).await
    }
}

async fn restart(operator: &Operator, id: AccountId) -> Result<(), Fault> {
    let path =
        ChildPath::parse(&format!("queues/{id}")).map_err(|error| Fault::NotFound(error.to_string()))?;
    operator.restart(&path).await.map_err(|error| Fault::Conflict(format!("queue {id}: {error}")))
}

fn account(item: &str) -> Result<AccountId, Fault> {
    item.parse().map_err(|_| Fault::NotFound(format!("account {item}")))
}

/// Starts one queue anew, for a job.
pub struct RestartQueue(pub Operator);

#[async_trait]
impl Item for RestartQueue {
    async fn carry_out(&self, item: &str) -> Result<(), Fault> {
        restart(&self.0, account(item)?).await
    }
}

/// Connects one session anew, for a job: never before the time that its platform named, and never one that works.
pub struct ReconnectSession {
    /// The order.
    pub admin: Arc<dyn Admin>,
    /// The tree.
    pub operator: Operator,
}

#[async_trait]
impl Item for ReconnectSession {
    async fn carry_out(&self, item: &str) -> Result<(), Fault> {
        let id = account(item)?;
        let path = ChildPath::parse(&format!("sessions/{id}"))
            .map_err(|error| Fault::NotFound(error.to_string()))?;
        let standing = self.operator.tree().view(&path).as_ref().map(SessionStanding::of);
        if standing.is_some_and(SessionStanding::is_left_alone) {
            return Ok(());
        }
        self.admin.reconnect(id).await.map_err(|error| match error {
            AdminError::NotFound(what) => Fault::NotFound(what),
            // Whatever else stands in the way of this one is no reason to hold the others up.
            other => Fault::Conflict(other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_at_the_days_limit_says_so() {
        let of = |limit, waiting| AllowanceView {
            suspended: false,
            limit,
            delivered: 20,
            waiting,
            resets_at: "2026-11-23T00:00:00Z".parse().unwrap(),
        };
        let said = used_up_today(&of(Some(20), 16)).unwrap();
        assert!(said.contains("20 messages of today") && said.contains("2026-11-23T00:00:00Z"), "{said}");
        assert_eq!(used_up_today(&of(Some(20), 0)), None, "nothing waits for it");
        assert_eq!(used_up_today(&of(None, 0)), None);
    }
}
