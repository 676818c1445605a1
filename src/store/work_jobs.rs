//! Long work: ordered once, carried on in portions by whichever node holds it, also after a crash.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Condition;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use switchyard_actors::model::{Audience, JobId, NewDomainEvent, Topic};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::domain_events::publish_one;
use super::entity::work_job;
use super::error::{run_time, unreadable};
use super::{Store, rows, time_of};

/// Where a job stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its turn.
    Waiting,
    /// It is being worked on, or will be as soon as its node is back.
    Running,
    /// It came to its end; single items may have failed.
    Done,
    /// It could not be carried on.
    Failed,
}

impl JobState {
    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

impl std::str::FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Waiting, Self::Running, Self::Done, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown job state {text:?}"))
    }
}

/// Long work that was ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkJob {
    /// Its id.
    pub id: JobId,
    /// What kind of work it is.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// What was ordered, as its kind reads it.
    pub task: Value,
    /// Where the next portion begins, as its kind reads it.
    pub cursor: Option<String>,
    /// Items in all, once they are counted.
    pub total: Option<u64>,
    /// Items that are done.
    pub done: u64,
    /// Items that failed.
    pub failed: u64,
    /// What went wrong last.
    pub error: Option<String>,
    /// Who ordered it.
    pub created_by: String,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

/// How far a portion brought a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// Where the next portion begins.
    pub cursor: Option<String>,
    /// Items in all, where that became known.
    pub total: Option<u64>,
    /// Items done by this portion.
    pub done: u64,
    /// Items of this portion that failed.
    pub failed: u64,
    /// What went wrong last.
    pub error: Option<String>,
    /// Whether the job is over, and how.
    pub ended: Option<JobState>,
}

impl Store {
    /// Keeps an order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_job(
        &self,
        kind: &str,
        task: &Value,
        total: Option<u64>,
        created_by: &str,
    ) -> Result<WorkJob, StoreError> {
        let (id, now) = (self.parts.ids.uuid(), self.now());
        let row = work_job::Model {
            id,
            kind: kind.to_owned(),
            state: JobState::Waiting.as_str().to_owned(),
            task: task.to_string(),
            cursor: None,
            total: total.map(signed),
            done: 0,
            failed: 0,
            error: None,
            created_by: created_by.to_owned(),
            node_id: None,
            lease_until: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let job = read(row.clone())?;
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let event = changed(&row);
                work_job::Entity::insert(work_job::ActiveModel::from(row))
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                publish_one(transaction, event, now).await
            })
        });
        write.await?;
        Ok(job)
    }

    /// One job.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn job(&self, id: JobId) -> Result<WorkJob, StoreError> {
        let row = self.read(work_job::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        read(row.ok_or_else(|| StoreError::NotFound(format!("job {id}")))?)
    }

    /// Jobs, the newest first, older than `before`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn jobs(&self, before: Option<JobId>, limit: u64) -> Result<Vec<WorkJob>, StoreError> {
        let mut found = work_job::Entity::find().order_by_desc(work_job::Column::Id).limit(limit);
        if let Some(before) = before {
            found = found.filter(work_job::Column::Id.lt(before.as_uuid()));
        }
        self.read(found.all(&self.readers)).await?.into_iter().map(read).collect()
    }

    /// How many jobs stand in each state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job_counts(&self) -> Result<Vec<(JobState, u64)>, StoreError> {
        let found = work_job::Entity::find()
            .select_only()
            .column(work_job::Column::State)
            .column_as(work_job::Column::Id.count(), "jobs")
            .group_by(work_job::Column::State)
            .into_tuple::<(String, i64)>();
        let found = self.read(found.all(&self.readers)).await?;
        found.into_iter().map(|(state, jobs)| Ok((rows::word(&state)?, unsigned(jobs)))).collect()
    }

    /// Takes the oldest jobs that nobody works on, at most `limit`: those that wait, and those whose node let its claim
    /// end. With `own` also those of this very node, which a crash left behind.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_jobs(
        &self,
        limit: u64,
        lease: std::time::Duration,
        own: bool,
    ) -> Result<Vec<WorkJob>, StoreError> {
        let (now, node) = (self.now(), self.parts.node.as_uuid());
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let mut abandoned = Condition::any().add(work_job::Column::LeaseUntil.lt(now));
                if own {
                    abandoned = abandoned.add(work_job::Column::NodeId.eq(node));
                }
                let free = Condition::any().add(work_job::Column::State.eq(JobState::Waiting.as_str())).add(
                    Condition::all()
                        .add(work_job::Column::State.eq(JobState::Running.as_str()))
                        .add(abandoned),
                );
                let found = work_job::Entity::find()
                    .filter(free)
                    .order_by_asc(work_job::Column::CreatedAt)
                    .order_by_asc(work_job::Column::Id)
                    .limit(limit)
                    .lock_exclusive()
                    .all(transaction)
                    .await
                    .map_err(failed)?;
                let mut claimed = Vec::with_capacity(found.len());
                for mut row in found {
                    row.state = JobState::Running.as_str().to_owned();
                    row.started_at = row.started_at.or(Some(now));
                    (row.node_id, row.lease_until) = (Some(node), Some(until));
                    let change = work_job::ActiveModel {
                        id: Set(row.id),
                        state: Set(row.state.clone()),
                        started_at: Set(row.started_at),
                        node_id: Set(row.node_id),
                        lease_until: Set(row.lease_until),
                        ..Default::default()
                    };
                    work_job::Entity::update(change).exec(transaction).await.map_err(failed)?;
                    claimed.push(read(row)?);
                }
                Ok(claimed)
            })
        });
        write.await
    }

    /// Keeps how far a job of this node is, and its claim for `lease` more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the job is no longer this node's.
    pub async fn advance_job(
        &self,
        id: JobId,
        progress: JobProgress,
        lease: std::time::Duration,
    ) -> Result<WorkJob, StoreError> {
        let (now, node) = (self.now(), self.parts.node.as_uuid());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move { advance(transaction, Advance { id, node, now, lease }, progress).await })
        });
        write.await
    }

    /// Deletes jobs that were over before a time, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purge_jobs(&self, before: i64, limit: u64) -> Result<u64, StoreError> {
        let old = work_job::Entity::find()
            .filter(work_job::Column::FinishedAt.lt(before))
            .limit(limit)
            .select_only()
            .column(work_job::Column::Id)
            .into_tuple::<Uuid>();
        let old = self.read(old.all(&self.readers)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let gone = work_job::Entity::delete_many().filter(work_job::Column::Id.is_in(old));
                Ok(gone.exec(transaction).await.map_err(|failure| run_time(&failure))?.rows_affected)
            })
        });
        write.await
    }
}

/// Whose job is brought on, and when.
pub(super) struct Advance {
    pub(super) id: JobId,
    pub(super) node: Uuid,
    pub(super) now: i64,
    pub(super) lease: std::time::Duration,
}

/// Brings a job on in a transaction whose last act this is: a portion that writes to the store alone counts exactly once.
pub(super) async fn advance(
    transaction: &DatabaseTransaction,
    Advance { id, node, now, lease }: Advance,
    progress: JobProgress,
) -> Result<WorkJob, StoreError> {
    let failed = |failure| run_time(&failure);
    let row = work_job::Entity::find_by_id(id.as_uuid()).lock_exclusive().one(transaction).await;
    let mut row = row.map_err(failed)?.ok_or_else(|| StoreError::NotFound(format!("job {id}")))?;
    if row.node_id != Some(node) || row.state != JobState::Running.as_str() {
        return Err(StoreError::Conflict(format!("job {id} is no longer this node's")));
    }
    row.cursor = progress.cursor.or(row.cursor);
    row.total = progress.total.map(signed).or(row.total);
    row.done = row.done.saturating_add(signed(progress.done));
    row.failed = row.failed.saturating_add(signed(progress.failed));
    row.error = progress.error.or(row.error);
    row.lease_until = Some(now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)));
    if let Some(ended) = progress.ended {
        row.state = ended.as_str().to_owned();
        (row.node_id, row.lease_until, row.finished_at) = (None, None, Some(now));
    }
    let change = work_job::ActiveModel {
        id: Set(row.id),
        state: Set(row.state.clone()),
        cursor: Set(row.cursor.clone()),
        total: Set(row.total),
        done: Set(row.done),
        failed: Set(row.failed),
        error: Set(row.error.clone()),
        node_id: Set(row.node_id),
        lease_until: Set(row.lease_until),
        finished_at: Set(row.finished_at),
        ..Default::default()
    };
    work_job::Entity::update(change).exec(transaction).await.map_err(failed)?;
    publish_one(transaction, changed(&row), now).await?;
    read(row)
}

fn changed(row: &work_job::Model) -> NewDomainEvent {
    NewDomainEvent {
        topic: Topic::JobChanged,
        user: None,
        audience: Audience::Staff,
        subject: format!("jobs/{}", row.id),
        body: json!({
            "id": row.id, "kind": row.kind, "state": row.state, "total": row.total, "done": row.done,
            "failed": row.failed, "error": row.error,
        }),
    }
}

fn read(row: work_job::Model) -> Result<WorkJob, StoreError> {
    Ok(WorkJob {
        id: JobId::from_uuid(row.id),
        kind: row.kind,
        state: rows::word(&row.state)?,
        task: serde_json::from_str(&row.task).map_err(|failure| unreadable("job", failure))?,
        cursor: row.cursor,
        total: row.total.map(unsigned),
        done: unsigned(row.done),
        failed: unsigned(row.failed),
        error: row.error,
        created_by: row.created_by,
        created_at: time_of(row.created_at),
        started_at: row.started_at.map(time_of),
        finished_at: row.finished_at.map(time_of),
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
