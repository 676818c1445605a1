//! Rotations of keys as rows: begun once, carried on by whichever node is there, a step at a time.
//!
//! Every step is one transaction that first moves the row's counter on. Two nodes that take the same step meet there, and
//! one of them changes nothing; a node that is killed leaves a step done whole or not begun.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use switchyard_actors::model::NodeId;
use switchyard_actors::ports::StoreError;
use thiserror::Error;
use uuid::Uuid;

use super::entity::{key_rotation, master_key, user};
use super::error::run_time;
use super::master_keys::{self, MasterKeyState, key_id, set_state};
use super::rewrap::Stepped;
use super::{Store, rows, time_of};
use crate::crypto::KeyId;

/// What a rotation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationKind {
    /// Wraps every data key by another master key. What the data keys sealed stays as it is.
    Wrap,
    /// Gives every user, and the system, a new data key and seals every row anew.
    Deep,
}

impl RotationKind {
    /// The name in store and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Deep => "deep",
        }
    }
}

impl FromStr for RotationKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = [Self::Wrap, Self::Deep].into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("unknown kind of rotation {text:?}"))
    }
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationPhase {
    /// Data keys are wrapped by the new master key.
    Wrapping,
    /// Every running node must have noticed which key wraps now.
    Confirming,
    /// Every owner gets a new data key, which only opens yet.
    Introducing,
    /// Every node learns the new data keys.
    Spreading,
    /// The new data keys take their places; the old ones go on opening.
    Promoting,
    /// Nobody seals with an old data key any more.
    Settling,
    /// Rows are sealed anew.
    Resealing,
    /// The old data keys go.
    Removing,
    /// Done.
    Finished,
}

impl RotationPhase {
    const ALL: [Self; 9] = [
        Self::Wrapping,
        Self::Confirming,
        Self::Introducing,
        Self::Spreading,
        Self::Promoting,
        Self::Settling,
        Self::Resealing,
        Self::Removing,
        Self::Finished,
    ];

    /// The name in store and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrapping => "wrapping",
            Self::Confirming => "confirming",
            Self::Introducing => "introducing",
            Self::Spreading => "spreading",
            Self::Promoting => "promoting",
            Self::Settling => "settling",
            Self::Resealing => "resealing",
            Self::Removing => "removing",
            Self::Finished => "finished",
        }
    }
}

impl FromStr for RotationPhase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| format!("unknown phase of a rotation {text:?}"))
    }
}

/// A rotation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// Its id.
    pub id: Uuid,
    /// What it does.
    pub kind: RotationKind,
    /// The master key that wraps what it writes.
    pub target: KeyId,
    /// How far it is.
    pub phase: RotationPhase,
    /// What has to be done: data keys, and rows of a deep rotation as far as they are counted.
    pub total: u64,
    /// What is done of it.
    pub done: u64,
    /// Until when it waits for other nodes.
    pub wait_until: Option<DateTime<Utc>>,
    /// What holds it up.
    pub error: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it last came on.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Where it is within its phase.
    pub(super) cursor: Option<Vec<u8>>,
    /// Steps taken, the token of the next one.
    pub(super) steps: i64,
}

/// Why a rotation does not begin.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RotationRefused {
    /// One is under way.
    #[error("rotation {0} is under way")]
    Running(Uuid),
    /// The key is not on this node's keyring.
    #[error("there is no master key {0} on this keyring")]
    Unknown(KeyId),
    /// The key was given up.
    #[error("master key {0} is retired: make a new one")]
    Retired(KeyId),
    /// Another running node could not read what the key wraps.
    #[error(
        "node {node} does not have master key {key}: add it to that node's keyring first (nodes notice within \
         vault.watch_interval)"
    )]
    NodeLacks {
        /// The node.
        node: NodeId,
        /// The key.
        key: KeyId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Begins a rotation to a master key, which seals from the same moment on.
    ///
    /// # Errors
    /// [`RotationRefused`]; then nothing has changed.
    pub async fn begin_rotation(
        &self,
        kind: RotationKind,
        target: KeyId,
    ) -> Result<KeyRotation, RotationRefused> {
        if !self.parts.vault.keyring().ids().any(|id| id == target) {
            return Err(RotationRefused::Unknown(target));
        }
        let readers = self.node_keys().await?;
        for node in self.nodes_alive().await?.into_iter().map(NodeId::from_uuid) {
            let ours = node == self.parts.node;
            if !ours && !readers.iter().any(|(reader, key, _)| *reader == node && *key == target) {
                return Err(RotationRefused::NodeLacks { node, key: target });
            }
        }
        let total = match kind {
            RotationKind::Wrap => self.read(self.count_not_under(target)).await?,
            RotationKind::Deep => self.read(user::Entity::find().count(&self.readers)).await?,
        };
        let (id, now) = (self.parts.ids.uuid(), self.now());
        let row = key_rotation::ActiveModel {
            id: Set(id),
            kind: Set(kind.as_str().to_owned()),
            target: Set(target.as_bytes().to_vec()),
            phase: Set(match kind {
                RotationKind::Wrap => RotationPhase::Wrapping.as_str().to_owned(),
                RotationKind::Deep => RotationPhase::Introducing.as_str().to_owned(),
            }),
            cursor: Set(None),
            total: Set(i64::try_from(total).unwrap_or(i64::MAX)),
            done: Set(0),
            steps: Set(0),
            wait_until: Set(None),
            error: Set(None),
            started_at: Set(now),
            updated_at: Set(now),
            finished_at: Set(None),
        };
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { begin(transaction, row, target, now).await }));
        write.await??;
        // From here on what this node makes is wrapped by the new key; other nodes notice at their next look.
        self.parts.vault.seal_with(target).map_err(|_| RotationRefused::Unknown(target))?;
        self.publish_keys().await?;
        let found = self.rotation(id).await?;
        found.ok_or_else(|| StoreError::NotFound(format!("rotation {id}")).into())
    }

    /// One rotation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn rotation(&self, id: Uuid) -> Result<Option<KeyRotation>, StoreError> {
        let row = self.read(key_rotation::Entity::find_by_id(id).one(&self.readers)).await?;
        row.map(rotation).transpose()
    }

    /// The rotation that began last.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn latest_rotation(&self) -> Result<Option<KeyRotation>, StoreError> {
        let latest = key_rotation::Entity::find()
            .order_by_desc(key_rotation::Column::StartedAt)
            .order_by_desc(key_rotation::Column::Id);
        self.read(latest.one(&self.readers)).await?.map(rotation).transpose()
    }

    /// The rotation that is under way.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn running_rotation(&self) -> Result<Option<KeyRotation>, StoreError> {
        let running = key_rotation::Entity::find().filter(key_rotation::Column::FinishedAt.is_null());
        self.read(running.one(&self.readers)).await?.map(rotation).transpose()
    }

    /// Notes what holds a rotation up, for those who look at it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn note_rotation(&self, id: Uuid, trouble: Option<String>) -> Result<(), StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                key_rotation::Entity::update_many()
                    .filter(key_rotation::Column::Id.eq(id))
                    .col_expr(key_rotation::Column::Error, Expr::value(trouble))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_row| ())
    }
}

/// Writes a rotation down and names the key that seals from now on.
async fn begin(
    transaction: &DatabaseTransaction,
    row: key_rotation::ActiveModel,
    target: KeyId,
    now: i64,
) -> Result<Result<(), RotationRefused>, StoreError> {
    let failed = |failure| run_time(&failure);
    master_keys::lock(transaction).await?;
    let running = key_rotation::Entity::find().filter(key_rotation::Column::FinishedAt.is_null());
    if let Some(running) = running.one(transaction).await.map_err(failed)? {
        return Ok(Err(RotationRefused::Running(running.id)));
    }
    for known in master_key::Entity::find().all(transaction).await.map_err(failed)? {
        let (id, state) = (key_id(&known.key_id)?, rows::word::<MasterKeyState>(&known.state)?);
        match state {
            MasterKeyState::Retired if id == target => return Ok(Err(RotationRefused::Retired(target))),
            MasterKeyState::Sealing => set_state(transaction, id, MasterKeyState::Readable, now).await?,
            MasterKeyState::Retired | MasterKeyState::Readable => {}
        }
    }
    set_state(transaction, target, MasterKeyState::Sealing, now).await?;
    key_rotation::Entity::insert(row).exec_without_returning(transaction).await.map_err(failed)?;
    Ok(Ok(()))
}

fn rotation(row: key_rotation::Model) -> Result<KeyRotation, StoreError> {
    Ok(KeyRotation {
        id: row.id,
        kind: rows::word(&row.kind)?,
        target: key_id(&row.target)?,
        phase: rows::word(&row.phase)?,
        total: u64::try_from(row.total).unwrap_or(0),
        done: u64::try_from(row.done).unwrap_or(0),
        wait_until: row.wait_until.map(time_of),
        error: row.error,
        started_at: time_of(row.started_at),
        updated_at: time_of(row.updated_at),
        finished_at: row.finished_at.map(time_of),
        cursor: row.cursor,
        steps: row.steps,
    })
}

/// Where a rotation stands after a step.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) phase: RotationPhase,
    pub(super) cursor: Option<Vec<u8>>,
    /// Beside what was done before.
    pub(super) done: u64,
    /// Beside what was counted before.
    pub(super) found: u64,
    pub(super) wait_until: Option<i64>,
}

impl Stand {
    /// The next phase, from its beginning.
    pub(super) const fn at(phase: RotationPhase) -> Self {
        Self { phase, cursor: None, done: 0, found: 0, wait_until: None }
    }
}

/// Takes a step, as the first act of its transaction. False when somebody else took it.
pub(super) async fn advance(
    transaction: &DatabaseTransaction,
    from: &KeyRotation,
    to: Stand,
    now: i64,
) -> Result<bool, StoreError> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let done = signed(from.done.saturating_add(to.done));
    let total = signed(from.total.saturating_add(to.found)).max(done);
    let finished = (to.phase == RotationPhase::Finished).then_some(now);
    let moved = key_rotation::Entity::update_many()
        .filter(key_rotation::Column::Id.eq(from.id))
        .filter(key_rotation::Column::Steps.eq(from.steps))
        .col_expr(key_rotation::Column::Steps, Expr::value(from.steps.saturating_add(1)))
        .col_expr(key_rotation::Column::Phase, Expr::value(to.phase.as_str()))
        .col_expr(key_rotation::Column::Cursor, Expr::value(to.cursor))
        .col_expr(key_rotation::Column::Done, Expr::value(done))
        .col_expr(key_rotation::Column::Total, Expr::value(total))
        .col_expr(key_rotation::Column::WaitUntil, Expr::value(to.wait_until))
        .col_expr(key_rotation::Column::Error, Expr::value(None::<String>))
        .col_expr(key_rotation::Column::UpdatedAt, Expr::value(now))
        .col_expr(key_rotation::Column::FinishedAt, Expr::value(finished))
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(moved.rows_affected == 1)
}

/// How a rotation is paced.
#[derive(Clone, Copy, Debug)]
pub struct RotationPace {
    /// Keys or rows of one step, which is one transaction.
    pub batch: u64,
    /// How long nodes have to learn of a data key before it seals, and to stop using one before it goes.
    pub grace: Duration,
}

impl Store {
    /// Takes the next step of a rotation. Steps that several nodes take at once are taken once.
    ///
    /// # Errors
    /// [`StoreError`]; then the step was not taken, and may be tried again.
    pub async fn step_rotation(&self, id: Uuid, pace: RotationPace) -> Result<Stepped, StoreError> {
        let rotation = self.rotation(id).await?;
        let rotation = rotation.ok_or_else(|| StoreError::NotFound(format!("rotation {id}")))?;
        match rotation.phase {
            RotationPhase::Wrapping => self.wrap_some(&rotation, pace.batch).await,
            RotationPhase::Confirming => self.confirm_wrapped(&rotation).await,
            RotationPhase::Introducing => self.introduce_some(&rotation, pace.batch, pace.grace).await,
            RotationPhase::Spreading | RotationPhase::Settling => self.wait_out(&rotation).await,
            RotationPhase::Promoting => self.promote_some(&rotation, pace.batch, pace.grace).await,
            RotationPhase::Resealing => self.reseal_some(&rotation, pace.batch).await,
            RotationPhase::Removing => self.remove_some(&rotation, pace.batch).await,
            RotationPhase::Finished => Ok(Stepped::Finished),
        }
    }
}
