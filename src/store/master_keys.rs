//! Which master key wraps what is made now: one for all nodes, named in the store. The keys themselves are never here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Func, IntoColumnRef, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Select,
};
use switchyard_actors::model::NodeId;
use switchyard_actors::ports::StoreError;
use thiserror::Error;
use uuid::Uuid;

use super::entity::{key_rotation, master_key, node, node_key};
use super::error::{run_time, unreadable};
use super::{Store, rows};
use crate::crypto::KeyId;

/// What a master key is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MasterKeyState {
    /// Wraps what is made now.
    Sealing,
    /// Opens what it wrapped.
    Readable,
    /// Given up: nothing is wrapped by it, and nothing will be.
    Retired,
}

impl MasterKeyState {
    const ALL: [Self; 3] = [Self::Sealing, Self::Readable, Self::Retired];

    /// The name in store and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Readable => "readable",
            Self::Retired => "retired",
        }
    }
}

impl FromStr for MasterKeyState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("unknown state of a master key {text:?}"))
    }
}

/// A master key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKeyView {
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub state: MasterKeyState,
    /// Data keys that are wrapped by it.
    pub wraps: u64,
    /// Whether this node has it.
    pub here: bool,
    /// Running nodes that have it, this one included.
    pub nodes: u64,
}

/// Why a master key is not taken into use or given up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MasterKeyError {
    /// The store's data keys are wrapped by a key that is not here.
    #[error(
        "the store is sealed under master key {0}, which is not on this keyring: add it to the keyring, beside the others"
    )]
    Lacks(KeyId),
    /// Nobody has such a key.
    #[error("there is no master key {0} on this keyring")]
    Unknown(KeyId),
    /// It is the one that seals.
    #[error("master key {0} seals: rotate to another one first")]
    Seals(KeyId),
    /// Something still needs it.
    #[error("{wraps} data keys are still wrapped by master key {id}: rotate first")]
    InUse {
        /// The key.
        id: KeyId,
        /// How many.
        wraps: u64,
    },
    /// A running node seals with it.
    #[error(
        "node {node} still seals with master key {id}: it notices the change within vault.watch_interval"
    )]
    NodeSeals {
        /// The key.
        id: KeyId,
        /// The node.
        node: NodeId,
    },
    /// A rotation runs.
    #[error("a rotation is under way: wait for its end")]
    Rotating,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Takes the store's master key into use: the one that it names, or, of a store that names none, the keyring's first.
    ///
    /// # Errors
    /// [`MasterKeyError::Lacks`] when it is not on the keyring.
    pub async fn settle_master_key(&self) -> Result<KeyId, MasterKeyError> {
        let (first, now) = (self.parts.vault.keyring().active_id(), self.now());
        let found = master_key::Entity::find().all(&self.readers);
        let found = self.read(found).await?;
        let sealing = match sealing_of(&found)? {
            Some(id) => id,
            None => {
                let settle = self
                    .writer
                    .run(move |transaction| Box::pin(async move { settle(transaction, first, now).await }));
                settle.await?
            }
        };
        self.parts.vault.seal_with(sealing).map_err(|_| MasterKeyError::Lacks(sealing))?;
        Ok(sealing)
    }

    /// Tells the other nodes which master keys this one has and which it seals with.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn publish_keys(&self) -> Result<(), StoreError> {
        let (node, now, sealing) = (self.parts.node.as_uuid(), self.now(), self.parts.vault.sealing());
        let keys: BTreeSet<_> = self.parts.vault.keyring().ids().collect();
        let rows: Vec<_> = keys
            .into_iter()
            .map(|id| node_key::ActiveModel {
                node_id: Set(node),
                key_id: Set(id.as_bytes().to_vec()),
                seals: Set(id == sealing),
                seen_at: Set(now),
            })
            .collect();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                // A node's own look and an order of its operator may come at once.
                lock(transaction).await?;
                let former = node_key::Entity::delete_many().filter(node_key::Column::NodeId.eq(node));
                former.exec(transaction).await.map_err(failed)?;
                node_key::Entity::insert_many(rows).exec_without_returning(transaction).await.map_err(failed)
            })
        });
        write.await.map(|_rows| ())
    }

    /// Every master key that the store or this node knows, by id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn master_keys(&self) -> Result<Vec<MasterKeyView>, StoreError> {
        let known = self.read(master_key::Entity::find().all(&self.readers)).await?;
        let mut states = BTreeMap::new();
        for row in known {
            states.insert(key_id(&row.key_id)?, rows::word(&row.state)?);
        }
        let here: BTreeSet<_> = self.parts.vault.keyring().ids().collect();
        let wraps = self.wraps().await?;
        let nodes = self.node_keys().await?;
        let mut all: BTreeSet<KeyId> = here.clone();
        all.extend(states.keys().chain(wraps.keys()).copied());
        let view = |id: KeyId| {
            let others = nodes.iter().filter(|(node, key, _)| *key == id && *node != self.parts.node).count();
            let others = u64::try_from(others).unwrap_or(u64::MAX);
            MasterKeyView {
                id,
                state: states.get(&id).copied().unwrap_or(MasterKeyState::Readable),
                wraps: wraps.get(&id).copied().unwrap_or(0),
                here: here.contains(&id),
                nodes: others.saturating_add(u64::from(here.contains(&id))),
            }
        };
        Ok(all.into_iter().map(view).collect())
    }

    /// Gives a master key up. Nothing must be wrapped by it and no running node seal with it.
    ///
    /// # Errors
    /// [`MasterKeyError`]
    pub async fn retire_master_key(&self, id: KeyId) -> Result<(), MasterKeyError> {
        let views = self.master_keys().await?;
        let view = views.iter().find(|view| view.id == id).ok_or(MasterKeyError::Unknown(id))?;
        if view.state == MasterKeyState::Sealing {
            return Err(MasterKeyError::Seals(id));
        }
        let sealing = self.node_keys().await?.into_iter().find(|(_, key, seals)| *seals && *key == id);
        if let Some((node, ..)) = sealing {
            return Err(MasterKeyError::NodeSeals { id, node });
        }
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                // Counted where it is given up, so that nothing comes between.
                let wraps = wraps_in(transaction).await?.get(&id).copied().unwrap_or(0);
                if wraps > 0 {
                    return Ok(Err(MasterKeyError::InUse { id, wraps }));
                }
                if running(transaction).await? {
                    return Ok(Err(MasterKeyError::Rotating));
                }
                set_state(transaction, id, MasterKeyState::Retired, now).await.map(Ok)
            })
        });
        write.await?
    }

    /// How many data keys each master key wraps.
    async fn wraps(&self) -> Result<BTreeMap<KeyId, u64>, StoreError> {
        let count = wraps_in(&self.readers);
        match self.read_limit {
            Some(limit) => {
                tokio::time::timeout(limit, count).await.map_err(|_| super::writer::too_long(limit))?
            }
            None => count.await,
        }
    }

    /// What each running node has: node, key, whether it seals with it.
    pub(super) async fn node_keys(&self) -> Result<Vec<(NodeId, KeyId, bool)>, StoreError> {
        let alive = self.nodes_alive().await?;
        let rows = self.read(node_key::Entity::find().all(&self.readers)).await?;
        let mut found = Vec::new();
        for row in rows.into_iter().filter(|row| alive.contains(&row.node_id)) {
            found.push((NodeId::from_uuid(row.node_id), key_id(&row.key_id)?, row.seals));
        }
        Ok(found)
    }

    /// Nodes whose lease lasts.
    pub(super) async fn nodes_alive(&self) -> Result<BTreeSet<Uuid>, StoreError> {
        let alive = node::Entity::find()
            .filter(node::Column::LeaseUntil.gt(self.now()))
            .select_only()
            .column(node::Column::Id)
            .into_tuple::<Uuid>();
        Ok(self.read(alive.all(&self.readers)).await?.into_iter().collect())
    }
}

pub(super) fn key_id(bytes: &[u8]) -> Result<KeyId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| unreadable("master key", "its id has another length"))?;
    Ok(KeyId::from_bytes(bytes))
}

fn sealing_of(found: &[master_key::Model]) -> Result<Option<KeyId>, StoreError> {
    let sealing = found.iter().find(|row| row.state == MasterKeyState::Sealing.as_str());
    sealing.map(|row| key_id(&row.key_id)).transpose()
}

/// Names the first key of the first node as the one that seals; of several nodes one is the first.
async fn settle(transaction: &DatabaseTransaction, first: KeyId, now: i64) -> Result<KeyId, StoreError> {
    let failed = |failure| run_time(&failure);
    lock(transaction).await?;
    let found = master_key::Entity::find().all(transaction).await.map_err(failed)?;
    if let Some(id) = sealing_of(&found)? {
        return Ok(id);
    }
    set_state(transaction, first, MasterKeyState::Sealing, now).await?;
    Ok(first)
}

/// On PostgreSQL, where writers run side by side, those that change which key seals come one after the other.
pub(super) async fn lock(transaction: &DatabaseTransaction) -> Result<(), StoreError> {
    if transaction.get_database_backend() != sea_orm::DbBackend::Postgres {
        return Ok(());
    }
    // The number only has to be ours ("swykey" in ASCII).
    let lock = "SELECT pg_advisory_xact_lock(126918166471033)";
    transaction.execute_unprepared(lock).await.map(|_| ()).map_err(|failure| run_time(&failure))
}

pub(super) async fn set_state(
    transaction: &DatabaseTransaction,
    id: KeyId,
    state: MasterKeyState,
    now: i64,
) -> Result<(), StoreError> {
    let row = master_key::ActiveModel {
        key_id: Set(id.as_bytes().to_vec()),
        state: Set(state.as_str().to_owned()),
        changed_at: Set(now),
    };
    master_key::Entity::insert(row)
        .on_conflict(
            OnConflict::column(master_key::Column::KeyId)
                .update_columns([master_key::Column::State, master_key::Column::ChangedAt])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map(|_row| ())
        .map_err(|failure| run_time(&failure))
}

/// Whether a rotation is under way.
pub(super) async fn running(connection: &impl ConnectionTrait) -> Result<bool, StoreError> {
    let found = key_rotation::Entity::find().filter(key_rotation::Column::FinishedAt.is_null());
    let found = found.one(connection).await.map_err(|failure| run_time(&failure))?;
    Ok(found.is_some())
}

/// The id of the master key stands in a wrapped key behind one byte of version.
pub(super) fn master_of(column: impl IntoColumnRef) -> Expr {
    Func::cust("substr").arg(Expr::col(column)).arg(2).arg(8).into()
}

/// How many data keys each master key wraps, of users and of the system, those that only open included.
pub(super) async fn wraps_in(connection: &impl ConnectionTrait) -> Result<BTreeMap<KeyId, u64>, StoreError> {
    let mut wraps = BTreeMap::new();
    for table in ["data_keys", "spare_data_keys", "system_keys", "spare_system_keys"] {
        let query = Query::select()
            .expr_as(master_of("wrapped"), "master")
            .expr_as(Expr::cust("count(*)"), "many")
            .from(table)
            .group_by_col("master")
            .take();
        let rows = connection.query_all(&query).await.map_err(|failure| run_time(&failure))?;
        for row in rows {
            let master: Vec<u8> = row.try_get_by_index(0).map_err(|failure| run_time(&failure))?;
            let many: i64 = row.try_get_by_index(1).map_err(|failure| run_time(&failure))?;
            *wraps.entry(key_id(&master)?).or_insert(0) += u64::try_from(many).unwrap_or(0);
        }
    }
    Ok(wraps)
}

/// Rows that a master key does not wrap yet.
pub(super) fn not_under<E: EntityTrait>(query: Select<E>, wrapped: E::Column, master: KeyId) -> Select<E> {
    query.filter(ExprTrait::ne(master_of(wrapped), master.as_bytes().to_vec()))
}
