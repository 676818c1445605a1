//! Long work as jobs: ordered once, done in portions, carried on after a crash, watched by everybody who may.

mod each;
mod runner;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_actors::model::JobId;
use tokio::sync::Notify;

use super::caller::Caller;
use super::fault::Fault;
use super::page::{Listed, Page};
use crate::store::{JobProgress, Store, WorkJob};

pub use crate::store::JobState;
pub use each::{Each, Item};
pub use runner::{Runner, RunnerArgs, RunnerConfig};

/// What kinds of long work there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Dead letters go back into their lanes.
    ReplayDeadLetters,
    /// Sessions in a state are connected anew.
    ReconnectSessions,
    /// Queues in a state are started anew.
    RestartQueues,
    /// All pairs of a user are paused.
    PausePairs,
    /// All pairs of a user are resumed.
    ResumePairs,
    /// All pairs of a user are deleted.
    DeletePairs,
}

impl JobKind {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReplayDeadLetters => "replay_dead_letters",
            Self::ReconnectSessions => "reconnect_sessions",
            Self::RestartQueues => "restart_queues",
            Self::PausePairs => "pause_pairs",
            Self::ResumePairs => "resume_pairs",
            Self::DeletePairs => "delete_pairs",
        }
    }
}

/// Long work and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// What kind of work it is, such as `replay_dead_letters`.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Items in all; none before they are counted.
    pub total: Option<u64>,
    /// Items that are done.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// What went wrong last.
    pub error: Option<String>,
    /// Who ordered it: `operator`, or `admins/` or `users/` and an id.
    pub created_by: String,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<WorkJob> for JobView {
    fn from(job: WorkJob) -> Self {
        let WorkJob { id, kind, state, total, done, failed, error, created_by, .. } = job;
        let (created_at, started_at, finished_at) = (job.created_at, job.started_at, job.finished_at);
        Self { id, kind, state, total, done, failed, error, created_by, created_at, started_at, finished_at }
    }
}

/// How a portion of a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portion {
    /// This is to be kept.
    Progress(JobProgress),
    /// It was kept together with the work itself; whether the job is over.
    Kept {
        /// Nothing is left.
        over: bool,
    },
}

/// What does one kind of work. A portion that is cut short is done again: each must be safe to repeat.
#[async_trait]
pub trait Work: Send + Sync {
    /// Does the next portion after the job's cursor.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] and [`Fault::TooMany`] when it is to be tried again; any other fault fails the job.
    async fn portion(&self, job: &WorkJob) -> Result<Portion, Fault>;
}

/// Who does which kind of work.
pub type Workers = HashMap<&'static str, Arc<dyn Work>>;

/// Names the caller in the ledger of jobs.
#[must_use]
pub fn author(caller: Caller) -> String {
    match caller {
        Caller::Operator => "operator".to_owned(),
        Caller::Admin(id, _) => format!("admins/{id}"),
        Caller::User(id) => format!("users/{id}"),
    }
}

/// Where jobs are ordered and looked at.
#[derive(Clone)]
pub struct JobDesk {
    store: Store,
    bell: Arc<Notify>,
}

impl JobDesk {
    /// Over the store; `bell` wakes the runner of this node.
    #[must_use]
    pub const fn new(store: Store, bell: Arc<Notify>) -> Self {
        Self { store, bell }
    }

    /// Orders work.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn order(
        &self,
        caller: Caller,
        kind: JobKind,
        task: &Value,
        total: Option<u64>,
    ) -> Result<JobView, Fault> {
        let job = self.store.add_job(kind.as_str(), task, total, &author(caller)).await?;
        tracing::info!(job = %job.id, kind = kind.as_str(), total, by = job.created_by, "job was ordered");
        self.bell.notify_one();
        Ok(job.into())
    }

    /// Orders the same for each of these items.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn order_each(
        &self,
        caller: Caller,
        kind: JobKind,
        items: &[String],
    ) -> Result<JobView, Fault> {
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        self.order(caller, kind, &json!({ "items": items }), Some(total)).await
    }
}

/// What can be asked about jobs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// One job.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn get(&self, id: JobId) -> Result<JobView, Fault>;

    /// A page of jobs, the newest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(&self, page: Page<JobId>) -> Result<Listed<JobView, JobId>, Fault>;
}

#[async_trait]
impl Jobs for JobDesk {
    async fn get(&self, id: JobId) -> Result<JobView, Fault> {
        Ok(self.store.job(id).await?.into())
    }

    async fn list(&self, page: Page<JobId>) -> Result<Listed<JobView, JobId>, Fault> {
        let more = u64::try_from(page.limit).unwrap_or(u64::MAX).saturating_add(1);
        let found = self.store.jobs(page.cursor, more).await?;
        Ok(page.fetched(found.into_iter().map(JobView::from).collect(), |job| job.id))
    }
}
