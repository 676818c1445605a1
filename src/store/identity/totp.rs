//! Secrets of one-time codes, the last step that was taken, and recovery codes.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
use secrecy::SecretSlice;
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;

use super::super::Store;
use super::super::entity::{recovery_code, user_totp};
use super::super::error::run_time;
use super::super::sealing::{open_secret, seal_secret};
use super::user_row;
use crate::crypto::Tag;

const SECRET: (&str, &str) = ("user_totp", "secret");

/// A user's one-time codes.
#[derive(Clone, Debug)]
pub struct TotpRow {
    /// The secret.
    pub secret: SecretSlice<u8>,
    /// Whether the user has shown that the authenticator works.
    pub confirmed: bool,
    /// The last step that was taken.
    pub last_step: Option<u64>,
}

impl Store {
    /// The one-time codes of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn totp(&self, user: UserId) -> Result<Option<TotpRow>, StoreError> {
        let row = self.read(user_totp::Entity::find_by_id(user.as_uuid()).one(&self.readers)).await?;
        let Some(row) = row else { return Ok(None) };
        let key = self.data_key(user).await?;
        Ok(Some(TotpRow {
            secret: open_secret(&key, SECRET, &user_row(user), &row.secret)?,
            confirmed: row.confirmed_at.is_some(),
            last_step: row.last_step.and_then(|step| u64::try_from(step).ok()),
        }))
    }

    /// Keeps a secret that is not confirmed yet, in place of another such. False when one is confirmed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_totp(&self, user: UserId, secret: &SecretSlice<u8>) -> Result<bool, StoreError> {
        let key = self.data_key(user).await?;
        let row = user_totp::ActiveModel {
            user_id: Set(user.as_uuid()),
            secret: Set(seal_secret(&key, SECRET, &user_row(user), secret)?),
            created_at: Set(self.now()),
            confirmed_at: Set(None),
            last_step: Set(None),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let put = user_totp::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(user_totp::Column::UserId)
                            .update_columns([user_totp::Column::Secret, user_totp::Column::CreatedAt])
                            .action_and_where(
                                Expr::col((user_totp::Entity, user_totp::Column::ConfirmedAt)).is_null(),
                            )
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(put > 0)
            })
        });
        write.await
    }

    /// Confirms the secret with the step of its first code, and keeps the recovery codes. False when there was nothing to
    /// confirm.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm_totp(
        &self,
        user: UserId,
        step: u64,
        recovery: Vec<Tag>,
    ) -> Result<bool, StoreError> {
        let (now, step) = (self.now(), i64::try_from(step).unwrap_or(i64::MAX));
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use user_totp::Column as T;
                let failed = |failure: DbErr| run_time(&failure);
                let id = user.as_uuid();
                let done = user_totp::Entity::update_many()
                    .col_expr(T::ConfirmedAt, Expr::value(now))
                    .col_expr(T::LastStep, Expr::value(step))
                    .filter(T::UserId.eq(id))
                    .filter(T::ConfirmedAt.is_null())
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                if done.rows_affected != 1 {
                    return Ok(false);
                }
                recovery_code::Entity::delete_many()
                    .filter(recovery_code::Column::UserId.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let rows = recovery
                    .into_iter()
                    .map(|tag| recovery_code::ActiveModel { user_id: Set(id), tag: Set(tag.to_vec()) });
                recovery_code::Entity::insert_many(rows)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                Ok(true)
            })
        });
        write.await
    }

    /// Takes a step, if it is later than every one that was taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_totp_step(&self, user: UserId, step: u64) -> Result<bool, StoreError> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use user_totp::Column as T;
                let done = user_totp::Entity::update_many()
                    .col_expr(T::LastStep, Expr::value(step))
                    .filter(T::UserId.eq(user.as_uuid()))
                    .filter(Condition::any().add(T::LastStep.is_null()).add(T::LastStep.lt(step)))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(done.rows_affected == 1)
            })
        });
        write.await
    }

    /// Takes a recovery code, if it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_recovery_code(&self, user: UserId, tag: Tag) -> Result<bool, StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let done = recovery_code::Entity::delete_by_id((user.as_uuid(), tag.to_vec()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(done.rows_affected == 1)
            })
        });
        write.await
    }

    /// How many recovery codes are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u64, StoreError> {
        let found = recovery_code::Entity::find()
            .filter(recovery_code::Column::UserId.eq(user.as_uuid()))
            .count(&self.readers);
        self.read(found).await
    }

    /// Asks for no codes any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_totp(&self, user: UserId) -> Result<(), StoreError> {
        let write =
            self.writer.run(move |transaction| Box::pin(async move { remove(transaction, user).await }));
        write.await
    }
}

/// Takes away what asks for one-time codes.
pub(super) async fn remove(
    transaction: &sea_orm::DatabaseTransaction,
    user: UserId,
) -> Result<(), StoreError> {
    let failed = |failure: DbErr| run_time(&failure);
    let id = user.as_uuid();
    user_totp::Entity::delete_by_id(id).exec(transaction).await.map_err(failed)?;
    recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::UserId.eq(id))
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}
