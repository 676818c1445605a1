//! The end of a user: marked, then their data key, then their rows. Each step is on the disk before the next begins.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde_json::json;
use switchyard_actors::model::{Topic, UserId};
use switchyard_actors::ports::StoreError;

use super::super::Store;
use super::super::domain_events::{of_user, publish_one};
use super::super::entity::{api_key, data_key, password_reset, user};
use super::super::error::run_time;
use super::super::standings;
use super::{UserState, sessions};

/// Somebody who is being erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dying {
    /// Who.
    pub user: UserId,
    /// How often it was tried.
    pub tries: u32,
}

impl Store {
    /// Marks a user for erasure. From here on nothing lets them in: no sign-in, no key, no mailed token; and no send of
    /// theirs is begun. Marking somebody again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`].
    pub async fn begin_erasure(&self, user: UserId) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run_unbounded(move |transaction| {
            Box::pin(async move {
                let failed = |failure: DbErr| run_time(&failure);
                let id = user.as_uuid();
                let done = user::Entity::update_many()
                    .col_expr(user::Column::State, Expr::value(UserState::Deleting.as_str()))
                    .col_expr(user::Column::StateAt, Expr::value(now))
                    // The address is free from now on.
                    .col_expr(user::Column::EmailTag, Expr::value(Option::<Vec<u8>>::None))
                    .filter(user::Column::Id.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                if done.rows_affected != 1 {
                    return Err(StoreError::NotFound(format!("user {user}")));
                }
                standings::halt_pairs(transaction, user, now).await?;
                sessions::end(transaction, user, None, "the user is being deleted", now).await?;
                api_key::Entity::delete_many()
                    .filter(api_key::Column::UserId.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                password_reset::Entity::delete_many()
                    .filter(password_reset::Column::UserId.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let going =
                    of_user(Topic::UserChanged, user, json!({ "state": UserState::Deleting.as_str() }));
                standings::tell(transaction, user, going, now).await
            })
        });
        write.await
    }

    /// Everybody who is marked, the first marked first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dying(&self) -> Result<Vec<Dying>, StoreError> {
        let found = user::Entity::find()
            .filter(user::Column::State.eq(UserState::Deleting.as_str()))
            .order_by_asc(user::Column::StateAt)
            .all(&self.readers);
        let dying = |row: user::Model| Dying {
            user: UserId::from_uuid(row.id),
            tries: u32::try_from(row.erasure_tries).unwrap_or(u32::MAX),
        };
        Ok(self.read(found).await?.into_iter().map(dying).collect())
    }

    /// Counts a try to erase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_erasure_try(&self, user: UserId) -> Result<(), StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                user::Entity::update_many()
                    .col_expr(user::Column::ErasureTries, Expr::col(user::Column::ErasureTries).add(1))
                    .filter(user::Column::Id.eq(user.as_uuid()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(())
            })
        });
        write.await
    }

    /// Deletes the data key: what it sealed is noise from now on, also in every copy of the store that lacks the key. SQLite
    /// overwrites the place with zeros; its log holds the old page until it is written over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_data_key(&self, user: UserId) -> Result<(), StoreError> {
        self.scrubbed(move |transaction| {
            Box::pin(async move {
                data_key::Entity::delete_by_id(user.as_uuid())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(())
            })
        })
        .await?;
        self.parts.vault.forget(user);
        Ok(())
    }

    /// Deletes a user who is marked, with everything of theirs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_user(&self, user: UserId) -> Result<(), StoreError> {
        let now = self.now();
        self.scrubbed(move |transaction| {
            Box::pin(async move {
                let gone = user::Entity::delete_many()
                    .filter(user::Column::Id.eq(user.as_uuid()))
                    .filter(user::Column::State.eq(UserState::Deleting.as_str()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if gone.rows_affected == 0 {
                    return Ok(());
                }
                publish_one(transaction, of_user(Topic::UserDeleted, user, json!({})), now).await
            })
        })
        .await
    }

    /// Runs a deletion whose traces SQLite overwrites with zeros (sqlite.org/pragma.html#pragma_secure_delete).
    async fn scrubbed<F>(&self, operation: F) -> Result<(), StoreError>
    where
        F: for<'t> FnOnce(
                &'t sea_orm::DatabaseTransaction,
            ) -> futures_util::future::BoxFuture<'t, Result<(), StoreError>>
            + Send
            + 'static,
    {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure: DbErr| run_time(&failure);
                let sqlite = transaction.get_database_backend() == DbBackend::Sqlite;
                if sqlite {
                    transaction.execute_unprepared("PRAGMA secure_delete = ON").await.map_err(failed)?;
                }
                let done = operation(transaction).await;
                if sqlite {
                    transaction.execute_unprepared("PRAGMA secure_delete = OFF").await.map_err(failed)?;
                }
                done
            })
        });
        write.await
    }
}
