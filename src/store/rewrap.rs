//! The steps of a rotation that wraps data keys anew: some users' keys at a time, each only if it is still as it was read.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::Store;
use super::entity::{data_key, spare_data_key, spare_system_key, system_key};
use super::error::{self, run_time, unreadable};
use super::key_rotations::{KeyRotation, RotationPhase, Stand, advance};
use super::master_keys::not_under;
use super::sealing::wrapped;
use crate::crypto::{KeyId, KeyOwner, SystemKey};

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// There is more to do at once.
    Onward,
    /// Nothing can be done now: other nodes have to notice something.
    Waiting,
    /// It is finished.
    Finished,
}

/// One key to be written: whose row, what it holds now, what it shall hold.
#[derive(Clone, Debug)]
struct Change {
    row: Row,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// A row that holds a wrapped key.
#[derive(Clone, Debug)]
enum Row {
    User(Uuid),
    SpareOfUser(Uuid, Vec<u8>),
    System(String),
    SpareOfSystem(String, Vec<u8>),
}

impl Store {
    /// Data keys that another master key than this one wraps.
    pub(super) async fn count_not_under(&self, master: KeyId) -> Result<u64, DbErr> {
        let readers = &self.readers;
        let users = not_under(data_key::Entity::find(), data_key::Column::Wrapped, master);
        let spares = not_under(spare_data_key::Entity::find(), spare_data_key::Column::Wrapped, master);
        let system = not_under(system_key::Entity::find(), system_key::Column::Wrapped, master);
        let others = not_under(spare_system_key::Entity::find(), spare_system_key::Column::Wrapped, master);
        Ok(users.count(readers).await?
            + spares.count(readers).await?
            + system.count(readers).await?
            + others.count(readers).await?)
    }

    /// Wraps the next `batch` data keys by the rotation's master key.
    pub(super) async fn wrap_some(&self, rotation: &KeyRotation, batch: u64) -> Result<Stepped, StoreError> {
        let (changes, cursor) = self.changes(rotation, batch).await?;
        let to = if changes.is_empty() {
            Stand::at(RotationPhase::Confirming)
        } else {
            Stand { cursor, ..Stand::at(RotationPhase::Wrapping) }
        };
        let (from, now) = (rotation.clone(), self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let to = Stand { done: u64::try_from(changes.len()).unwrap_or(u64::MAX), ..to };
                if advance(transaction, &from, to, now).await? {
                    for change in changes {
                        apply(transaction, change).await?;
                    }
                }
                Ok(())
            })
        });
        write.await.map(|()| Stepped::Onward)
    }

    /// Ends the rotation when every running node seals with the new key and nothing is left under another.
    pub(super) async fn confirm_wrapped(&self, rotation: &KeyRotation) -> Result<Stepped, StoreError> {
        let nodes = self.node_keys().await?;
        let behind = nodes.iter().find(|(_, key, seals)| *seals && *key != rotation.target);
        if let Some((node, ..)) = behind {
            let trouble = format!("node {node} does not seal with master key {} yet", rotation.target);
            if rotation.error.as_ref() != Some(&trouble) {
                self.note_rotation(rotation.id, Some(trouble)).await?;
            }
            return Ok(Stepped::Waiting);
        }
        let left = self.read(self.count_not_under(rotation.target)).await?;
        let to = if left == 0 { RotationPhase::Finished } else { RotationPhase::Wrapping };
        let (from, now, stand) = (rotation.clone(), self.now(), Stand { found: left, ..Stand::at(to) });
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { advance(transaction, &from, stand, now).await }));
        write.await?;
        Ok(if left == 0 { Stepped::Finished } else { Stepped::Onward })
    }

    /// The keys of the next step: users' in their order, then the few others.
    async fn changes(
        &self,
        rotation: &KeyRotation,
        batch: u64,
    ) -> Result<(Vec<Change>, Option<Vec<u8>>), StoreError> {
        let master = rotation.target;
        let mut keys = not_under(data_key::Entity::find(), data_key::Column::Wrapped, master);
        if let Some(after) = user_cursor(rotation.cursor.as_deref())? {
            keys = keys.filter(data_key::Column::UserId.gt(after));
        }
        let keys = keys.order_by_asc(data_key::Column::UserId).limit(batch);
        let keys = self.read(keys.all(&self.readers)).await?;
        if let Some(last) = keys.last() {
            let cursor = Some(last.user_id.as_bytes().to_vec());
            let changes: Result<Vec<_>, _> = keys
                .into_iter()
                .map(|row| {
                    let owner = KeyOwner::User(UserId::from_uuid(row.user_id));
                    self.change(Row::User(row.user_id), owner, &row.key_id, row.wrapped, master)
                })
                .collect();
            return Ok((changes?, cursor));
        }
        let changes = self.other_changes(master, batch).await?;
        Ok((changes, rotation.cursor.clone()))
    }

    /// Keys that are no user's key of now.
    async fn other_changes(&self, master: KeyId, batch: u64) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        let spares = not_under(spare_data_key::Entity::find(), spare_data_key::Column::Wrapped, master);
        for row in self.read(spares.limit(batch).all(&self.readers)).await? {
            let owner = KeyOwner::User(UserId::from_uuid(row.user_id));
            let place = Row::SpareOfUser(row.user_id, row.key_id.clone());
            changes.push(self.change(place, owner, &row.key_id, row.wrapped, master)?);
        }
        let keys = not_under(system_key::Entity::find(), system_key::Column::Wrapped, master);
        for row in self.read(keys.all(&self.readers)).await? {
            let owner = KeyOwner::System(purpose(&row.purpose)?);
            changes.push(self.change(Row::System(row.purpose), owner, &row.key_id, row.wrapped, master)?);
        }
        let spares = not_under(spare_system_key::Entity::find(), spare_system_key::Column::Wrapped, master);
        for row in self.read(spares.all(&self.readers)).await? {
            let owner = KeyOwner::System(purpose(&row.purpose)?);
            let place = Row::SpareOfSystem(row.purpose, row.key_id.clone());
            changes.push(self.change(place, owner, &row.key_id, row.wrapped, master)?);
        }
        Ok(changes)
    }

    fn change(
        &self,
        row: Row,
        owner: KeyOwner,
        id: &[u8],
        before: Vec<u8>,
        master: KeyId,
    ) -> Result<Change, StoreError> {
        let stored = wrapped(id, before)?;
        let after = self.parts.vault.rewrap(owner, &stored, master);
        let after = after.map_err(|failure| error::vault("data key", failure))?;
        let before = stored.wrapped;
        Ok(Change { row, after: after.map_or_else(|| before.clone(), |after| after.wrapped), before })
    }
}

/// A user's id as the cursor has it.
pub(super) fn user_cursor(cursor: Option<&[u8]>) -> Result<Option<Uuid>, StoreError> {
    let wrong = |_| unreadable("rotation", "its cursor is no user");
    cursor.map(|bytes| Uuid::from_slice(bytes).map_err(wrong)).transpose()
}

pub(super) fn purpose(text: &str) -> Result<SystemKey, StoreError> {
    let found = SystemKey::ALL.into_iter().find(|purpose| purpose.as_str() == text);
    found.ok_or_else(|| unreadable("system key", "its purpose is unknown"))
}

/// Writes one key, if its row still holds what was read: an owner who is gone stays gone.
async fn apply(transaction: &DatabaseTransaction, change: Change) -> Result<(), StoreError> {
    let Change { row, before, after } = change;
    let written = match row {
        Row::User(user) => {
            data_key::Entity::update_many()
                .filter(data_key::Column::UserId.eq(user))
                .filter(data_key::Column::Wrapped.eq(before))
                .col_expr(data_key::Column::Wrapped, Expr::value(after))
                .exec(transaction)
                .await
        }
        Row::SpareOfUser(user, id) => {
            spare_data_key::Entity::update_many()
                .filter(spare_data_key::Column::UserId.eq(user))
                .filter(spare_data_key::Column::KeyId.eq(id))
                .filter(spare_data_key::Column::Wrapped.eq(before))
                .col_expr(spare_data_key::Column::Wrapped, Expr::value(after))
                .exec(transaction)
                .await
        }
        Row::System(purpose) => {
            system_key::Entity::update_many()
                .filter(system_key::Column::Purpose.eq(purpose))
                .filter(system_key::Column::Wrapped.eq(before))
                .col_expr(system_key::Column::Wrapped, Expr::value(after))
                .exec(transaction)
                .await
        }
        Row::SpareOfSystem(purpose, id) => {
            spare_system_key::Entity::update_many()
                .filter(spare_system_key::Column::Purpose.eq(purpose))
                .filter(spare_system_key::Column::KeyId.eq(id))
                .filter(spare_system_key::Column::Wrapped.eq(before))
                .col_expr(spare_system_key::Column::Wrapped, Expr::value(after))
                .exec(transaction)
                .await
        }
    };
    written.map(|_row| ()).map_err(|failure| run_time(&failure))
}
