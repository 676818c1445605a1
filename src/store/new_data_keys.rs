//! A deep rotation's data keys: they come, take their places and let the old ones go, with time between for every node.
//!
//! A new key is readable before anybody seals with it, and an old one until every row is sealed anew. Between those steps
//! lies the grace: longer than a node keeps a data key in memory without asking, and than a write may take.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::Store;
use super::entity::{data_key, spare_data_key, spare_system_key, system_key};
use super::error::{self, run_time};
use super::key_rotations::{KeyRotation, RotationPhase, Stand, advance};
use super::rewrap::{Stepped, user_cursor};
use crate::crypto::{KeyOwner, SystemKey, WrappedKey};

/// About to seal.
const COMING: &str = "coming";
/// Sealed once, opens still.
const FORMER: &str = "former";

/// The one key of the system that is replaced: from the other one keys are derived, which must stay.
const SEALING: SystemKey = SystemKey::Sealing;

impl Store {
    /// Gives the next `batch` users a new key that only opens yet; after the last of them, the system.
    pub(super) async fn introduce_some(
        &self,
        rotation: &KeyRotation,
        batch: u64,
        grace: Duration,
    ) -> Result<Stepped, StoreError> {
        // Who came since has a new key already.
        let began = rotation.started_at.timestamp_millis();
        let mut users = data_key::Entity::find().filter(data_key::Column::CreatedAt.lte(began));
        if let Some(after) = user_cursor(rotation.cursor.as_deref())? {
            users = users.filter(data_key::Column::UserId.gt(after));
        }
        let users = users.order_by_asc(data_key::Column::UserId).limit(batch).select_only();
        let users = users.column(data_key::Column::UserId).into_tuple::<Uuid>();
        let users = self.read(users.all(&self.readers)).await?;
        let Some(last) = users.last() else { return self.introduce_system(rotation, grace).await };
        let now = self.now();
        let stand = Stand {
            cursor: Some(last.as_bytes().to_vec()),
            done: u64::try_from(users.len()).unwrap_or(u64::MAX),
            ..Stand::at(RotationPhase::Introducing)
        };
        let mut rows = Vec::with_capacity(users.len());
        for user in users {
            let fresh = self.fresh(KeyOwner::User(UserId::from_uuid(user)))?;
            rows.push(spare(user, fresh, COMING, now));
        }
        let from = rotation.clone();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if advance(transaction, &from, stand, now).await? {
                    let insert = spare_data_key::Entity::insert_many(rows);
                    insert.exec_without_returning(transaction).await.map_err(|failure| run_time(&failure))?;
                }
                Ok(())
            })
        });
        write.await.map(|()| Stepped::Onward)
    }

    async fn introduce_system(&self, rotation: &KeyRotation, grace: Duration) -> Result<Stepped, StoreError> {
        self.system_key(SEALING).await?;
        let fresh = self.fresh(KeyOwner::System(SEALING))?;
        let (from, now) = (rotation.clone(), self.now());
        let stand = waiting(RotationPhase::Spreading, now, grace);
        let row = spare_system(fresh, COMING, now);
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if advance(transaction, &from, stand, now).await? {
                    let insert = spare_system_key::Entity::insert(row);
                    insert.exec_without_returning(transaction).await.map_err(|failure| run_time(&failure))?;
                }
                Ok(())
            })
        });
        write.await.map(|()| Stepped::Onward)
    }

    /// Goes on when the grace is over.
    pub(super) async fn wait_out(&self, rotation: &KeyRotation) -> Result<Stepped, StoreError> {
        let now = self.now();
        if rotation.wait_until.is_some_and(|until| until.timestamp_millis() > now) {
            return Ok(Stepped::Waiting);
        }
        let stand = match rotation.phase {
            RotationPhase::Spreading => Stand::at(RotationPhase::Promoting),
            _ => Stand { found: self.count_sealed().await?, ..Stand::at(RotationPhase::Resealing) },
        };
        let from = rotation.clone();
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { advance(transaction, &from, stand, now).await }));
        write.await.map(|_moved| Stepped::Onward)
    }

    /// Lets the next `batch` new keys take their places; after the last of them, the system's.
    pub(super) async fn promote_some(
        &self,
        rotation: &KeyRotation,
        batch: u64,
        grace: Duration,
    ) -> Result<Stepped, StoreError> {
        let coming = spare_data_key::Entity::find()
            .filter(spare_data_key::Column::State.eq(COMING))
            .order_by_asc(spare_data_key::Column::UserId)
            .limit(batch);
        let coming = self.read(coming.all(&self.readers)).await?;
        let (from, now) = (rotation.clone(), self.now());
        if coming.is_empty() {
            let stand = waiting(RotationPhase::Settling, now, grace);
            let write = self.writer.run(move |transaction| {
                Box::pin(async move {
                    if advance(transaction, &from, stand, now).await? {
                        promote_system(transaction, now).await?;
                    }
                    Ok(())
                })
            });
            write.await?;
            self.parts.vault.forget(KeyOwner::System(SEALING));
            return Ok(Stepped::Onward);
        }
        let users: Vec<_> = coming.iter().map(|row| UserId::from_uuid(row.user_id)).collect();
        let stand = Stand::at(RotationPhase::Promoting);
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if advance(transaction, &from, stand, now).await? {
                    for row in coming {
                        promote(transaction, row, now).await?;
                    }
                }
                Ok(())
            })
        });
        write.await?;
        for user in users {
            self.parts.vault.forget(user);
        }
        Ok(Stepped::Onward)
    }

    /// Lets the next `batch` old keys go; after the last of them the rotation is finished.
    pub(super) async fn remove_some(
        &self,
        rotation: &KeyRotation,
        batch: u64,
    ) -> Result<Stepped, StoreError> {
        let former =
            spare_data_key::Entity::find().filter(spare_data_key::Column::State.eq(FORMER)).limit(batch);
        let former = self.read(former.all(&self.readers)).await?;
        let last = former.is_empty();
        let stand = Stand::at(if last { RotationPhase::Finished } else { RotationPhase::Removing });
        let (from, now) = (rotation.clone(), self.now());
        let users: Vec<_> = former.iter().map(|row| UserId::from_uuid(row.user_id)).collect();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                if !advance(transaction, &from, stand, now).await? {
                    return Ok(());
                }
                for row in former {
                    let gone = spare_data_key::Entity::delete_by_id((row.user_id, row.key_id));
                    gone.exec(transaction).await.map_err(failed)?;
                }
                if last {
                    let system = spare_system_key::Entity::delete_many()
                        .filter(spare_system_key::Column::State.eq(FORMER));
                    system.exec(transaction).await.map_err(failed)?;
                }
                Ok(())
            })
        });
        write.await?;
        for user in users {
            self.parts.vault.forget(user);
        }
        if !last {
            return Ok(Stepped::Onward);
        }
        self.parts.vault.forget(KeyOwner::System(SEALING));
        Ok(Stepped::Finished)
    }

    fn fresh(&self, owner: KeyOwner) -> Result<WrappedKey, StoreError> {
        self.parts.vault.create_data_key(owner).map_err(|failure| error::vault("data key", failure))
    }
}

fn waiting(phase: RotationPhase, now: i64, grace: Duration) -> Stand {
    let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    Stand { wait_until: Some(now.saturating_add(grace)), ..Stand::at(phase) }
}

fn spare(user: Uuid, key: WrappedKey, state: &str, now: i64) -> spare_data_key::ActiveModel {
    spare_data_key::ActiveModel {
        user_id: Set(user),
        key_id: Set(key.id.as_bytes().to_vec()),
        wrapped: Set(key.wrapped),
        state: Set(state.to_owned()),
        created_at: Set(now),
    }
}

fn spare_system(key: WrappedKey, state: &str, now: i64) -> spare_system_key::ActiveModel {
    spare_system_key::ActiveModel {
        purpose: Set(SEALING.as_str().to_owned()),
        key_id: Set(key.id.as_bytes().to_vec()),
        wrapped: Set(key.wrapped),
        state: Set(state.to_owned()),
        created_at: Set(now),
    }
}

/// The new key seals, the one whose place it takes goes on opening. Of an owner who is gone nothing is left to do.
async fn promote(
    transaction: &DatabaseTransaction,
    coming: spare_data_key::Model,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let user = coming.user_id;
    let found = data_key::Entity::find_by_id(user).one(transaction).await.map_err(failed)?;
    let Some(old) = found else { return Ok(()) };
    let gone = spare_data_key::Entity::delete_by_id((user, coming.key_id.clone()));
    gone.exec(transaction).await.map_err(failed)?;
    let former = spare_data_key::ActiveModel {
        user_id: Set(user),
        key_id: Set(old.key_id),
        wrapped: Set(old.wrapped),
        state: Set(FORMER.to_owned()),
        created_at: Set(old.created_at),
    };
    spare_data_key::Entity::insert(former).exec_without_returning(transaction).await.map_err(failed)?;
    data_key::Entity::update_many()
        .filter(data_key::Column::UserId.eq(user))
        .col_expr(data_key::Column::KeyId, Expr::value(coming.key_id))
        .col_expr(data_key::Column::Wrapped, Expr::value(coming.wrapped))
        .col_expr(data_key::Column::CreatedAt, Expr::value(now))
        .exec(transaction)
        .await
        .map(|_row| ())
        .map_err(failed)
}

async fn promote_system(transaction: &DatabaseTransaction, now: i64) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let coming = spare_system_key::Entity::find().filter(spare_system_key::Column::State.eq(COMING));
    let Some(coming) = coming.one(transaction).await.map_err(failed)? else { return Ok(()) };
    let found = system_key::Entity::find_by_id(coming.purpose.clone()).one(transaction).await;
    let Some(old) = found.map_err(failed)? else { return Ok(()) };
    let gone = spare_system_key::Entity::delete_by_id((coming.purpose.clone(), coming.key_id.clone()));
    gone.exec(transaction).await.map_err(failed)?;
    let former = spare_system_key::ActiveModel {
        purpose: Set(old.purpose),
        key_id: Set(old.key_id),
        wrapped: Set(old.wrapped),
        state: Set(FORMER.to_owned()),
        created_at: Set(old.created_at),
    };
    spare_system_key::Entity::insert(former).exec_without_returning(transaction).await.map_err(failed)?;
    system_key::Entity::update_many()
        .filter(system_key::Column::Purpose.eq(coming.purpose))
        .col_expr(system_key::Column::KeyId, Expr::value(coming.key_id))
        .col_expr(system_key::Column::Wrapped, Expr::value(coming.wrapped))
        .col_expr(system_key::Column::CreatedAt, Expr::value(now))
        .exec(transaction)
        .await
        .map(|_row| ())
        .map_err(failed)
}
