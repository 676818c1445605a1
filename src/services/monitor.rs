//! How the whole daemon is: one snapshot for operators.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AccountId, UserId};
use switchyard_actors::supervision::{ChildPath, Concern, NodeState, NodeView, Strain, Verdict};
use switchyard_actors::tree::{JobView as ScheduledJob, Operator};
use tokio::time::Instant;

use super::admin::Admin;
use super::events::Events;
use super::fault::Fault;
use super::queues::{self, QueueView};
use super::states::{QueueStanding, SessionStanding, why};
use crate::store::{JobState, Store};

/// Sessions and queues that are named, the worst first.
const WORST_MAX: usize = 20;

/// A session that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BadSession {
    /// Its account's id, which is its own.
    pub id: AccountId,
    /// The user whose it is, where it said so.
    pub user: Option<UserId>,
    /// How it stands.
    pub state: SessionStanding,
    /// Why, where it says.
    pub reason: Option<String>,
    /// Since when its actor is in its present state.
    pub since: DateTime<Utc>,
}

/// How full the budgets of the accounts' throttles are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThrottlePressure {
    /// Throttles with every budget under four fifths.
    pub ok: usize,
    /// Throttles with a budget at four fifths or more.
    pub warning: usize,
    /// Throttles that let nothing through before a slot is free.
    pub full: usize,
    /// Throttles that wait because a platform asked to.
    pub held: usize,
}

/// What the store holds and how fast it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreHealth {
    /// How long a round trip took, in milliseconds.
    pub answered_in_ms: u64,
    /// Deliveries that wait.
    pub deliveries_waiting: u64,
    /// When the oldest of them was made.
    pub oldest_delivery: Option<DateTime<Utc>>,
    /// Accepted events that pairs have not decided on yet.
    pub routes_open: u64,
    /// When the oldest of those was accepted.
    pub oldest_route: Option<DateTime<Utc>>,
    /// Dead letters.
    pub dead_letters: u64,
}

/// The streams of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamHealth {
    /// The newest number that streams were told.
    pub newest: i64,
    /// Streams of this node that are open.
    pub open: usize,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthSnapshot {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// Messages are taken and forwarded.
    pub ready: bool,
    /// Why not, and what is parked though they are.
    pub reasons: Vec<String>,
    /// How well the tree of actors is.
    pub verdict: Verdict,
    /// Branches and direct children of the root that are out of service.
    pub red: Vec<Concern>,
    /// Those that are not up, but come or go by themselves.
    pub waiting: Vec<Concern>,
    /// Branches that are up with children that are parked or wait for their next start.
    pub strained: Vec<Strain>,
    /// Actors by state, branches included.
    pub actors: BTreeMap<NodeState, usize>,
    /// Sessions by how they stand.
    pub sessions: BTreeMap<SessionStanding, usize>,
    /// Queues by how they stand.
    pub queues: BTreeMap<QueueStanding, usize>,
    /// Sessions that do not work, at most 20.
    pub worst_sessions: Vec<BadSession>,
    /// Queues that do not work, then those whose oldest delivery waits longest, at most 20.
    pub worst_queues: Vec<QueueView>,
    /// The throttles.
    pub throttles: ThrottlePressure,
    /// The store.
    pub store: StoreHealth,
    /// The streams.
    pub streams: StreamHealth,
    /// Scheduled jobs.
    pub scheduled: Vec<ScheduledJob>,
    /// Long work by state.
    pub jobs: BTreeMap<JobState, u64>,
}

/// Who tells how the daemon is.
#[async_trait]
pub trait Monitor: Send + Sync {
    /// Takes a snapshot.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the store does not answer.
    async fn snapshot(&self) -> Result<HealthSnapshot, Fault>;
}

/// The monitor of a running daemon.
pub struct MonitorService {
    /// The store.
    pub store: Store,
    /// The tree.
    pub operator: Operator,
    /// Whether it is ready.
    pub admin: Arc<dyn Admin>,
    /// The streams.
    pub events: Arc<Events>,
}

#[async_trait]
impl Monitor for MonitorService {
    async fn snapshot(&self) -> Result<HealthSnapshot, Fault> {
        let asked = Instant::now();
        self.store.ping().await?;
        let answered_in_ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        let depth = self.store.ledger_depth().await?;
        let time = |millis: Option<i64>| millis.and_then(DateTime::from_timestamp_millis);
        let health = self.admin.health();
        let tree = self.operator.tree().health();
        let (sessions, worst_sessions) = self.sessions();
        let (queues, worst_queues) = self.queues().await?;
        Ok(HealthSnapshot {
            at: DateTime::from_timestamp_millis(self.store.current_time()).unwrap_or_default(),
            ready: health.ready,
            reasons: health.reasons,
            verdict: tree.verdict,
            red: tree.red,
            waiting: tree.waiting,
            strained: tree.strained,
            actors: tree.counts,
            sessions,
            queues,
            worst_sessions,
            worst_queues,
            throttles: self.throttles(),
            store: StoreHealth {
                answered_in_ms,
                deliveries_waiting: depth.deliveries.waiting,
                oldest_delivery: time(depth.deliveries.oldest),
                routes_open: depth.routes_open,
                oldest_route: time(depth.oldest_route),
                dead_letters: depth.dead,
            },
            streams: StreamHealth { newest: self.events.newest(), open: self.events.streams() },
            scheduled: self.scheduled(),
            jobs: self.store.job_counts().await?.into_iter().collect(),
        })
    }
}

impl MonitorService {
    fn sessions(&self) -> (BTreeMap<SessionStanding, usize>, Vec<BadSession>) {
        let mut counts = BTreeMap::new();
        let mut bad = Vec::new();
        for (id, state, node) in queues::sessions(&self.operator) {
            *counts.entry(state).or_insert(0) += 1;
            if !matches!(state, SessionStanding::Connected | SessionStanding::Suspended) {
                let user = node.observable.get("user").and_then(|user| user.as_str()?.parse().ok());
                bad.push(BadSession { id, user, state, reason: why(&node), since: node.since });
            }
        }
        bad.sort_by_key(|session| (std::cmp::Reverse(session.state), session.since));
        bad.truncate(WORST_MAX);
        (counts, bad)
    }

    async fn queues(&self) -> Result<(BTreeMap<QueueStanding, usize>, Vec<QueueView>), Fault> {
        let mut queues = queues::all(&self.store, &self.operator).await?;
        let mut counts = BTreeMap::new();
        for queue in &queues {
            *counts.entry(queue.state).or_insert(0) += 1;
        }
        queues.retain(|queue| queue.state != QueueStanding::Running || queue.waiting > 0);
        queues.sort_by_key(|queue| {
            (std::cmp::Reverse(queue.state), queue.oldest_waiting.is_none(), queue.oldest_waiting)
        });
        queues.truncate(WORST_MAX);
        Ok((counts, queues))
    }

    fn nodes(&self, branch: &str) -> Vec<NodeView> {
        ChildPath::parse(branch).map(|path| self.operator.tree().snapshot(&path)).unwrap_or_default()
    }

    fn throttles(&self) -> ThrottlePressure {
        let mut pressure = ThrottlePressure::default();
        for node in self.nodes("throttles") {
            match node.observable.get("state").and_then(|state| state.as_str()) {
                Some("ok") => pressure.ok += 1,
                Some("warning") => pressure.warning += 1,
                Some("full") => pressure.full += 1,
                _ => {}
            }
            pressure.held += usize::from(node.observable.get("held_ms").is_some_and(|held| held.is_u64()));
        }
        pressure
    }

    fn scheduled(&self) -> Vec<ScheduledJob> {
        let scheduler = self.nodes("scheduler").pop();
        let jobs = scheduler.and_then(|node| node.observable.get("jobs").cloned()).unwrap_or_default();
        serde_json::from_value(jobs).unwrap_or_default()
    }
}
