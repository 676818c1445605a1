//! Mailed tokens that set a new password once.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use secrecy::SecretString;
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;

use super::super::Store;
use super::super::entity::{api_key, password_reset, user};
use super::super::error::run_time;
use super::{PASSWORD, people, seal_text, sessions, totp, user_row};
use crate::crypto::Tag;

/// Tokens of one user that count at the same time: a letter that is late must not make the one before it worthless.
const KEPT: u64 = 3;

impl Store {
    /// Keeps a new token's hash. False when the last one is younger than `gap` milliseconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_reset(
        &self,
        user: UserId,
        tag: Tag,
        expires_at: i64,
        gap: i64,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use password_reset::Column as R;
                let failed = |failure: DbErr| run_time(&failure);
                let id = user.as_uuid();
                let owner = user::Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(transaction);
                owner.await.map_err(failed)?;
                let had = password_reset::Entity::find()
                    .filter(R::UserId.eq(id))
                    .order_by_desc(R::CreatedAt)
                    .all(transaction)
                    .await
                    .map_err(failed)?;
                if had.first().is_some_and(|last| last.created_at.saturating_add(gap) > now) {
                    return Ok(false);
                }
                let kept = usize::try_from(KEPT).unwrap_or(usize::MAX).saturating_sub(1);
                let old: Vec<Vec<u8>> = had
                    .into_iter()
                    .enumerate()
                    .filter(|(place, row)| *place >= kept || row.expires_at <= now)
                    .map(|(_, row)| row.tag)
                    .collect();
                password_reset::Entity::delete_many()
                    .filter(R::Tag.is_in(old))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let row = password_reset::ActiveModel {
                    tag: Set(tag.to_vec()),
                    user_id: Set(id),
                    created_at: Set(now),
                    expires_at: Set(expires_at),
                };
                password_reset::Entity::insert(row)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                Ok(true)
            })
        });
        write.await
    }

    /// Whose the token is, if it counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_owner(&self, tag: Tag) -> Result<Option<UserId>, StoreError> {
        let found = password_reset::Entity::find_by_id(tag.to_vec())
            .filter(password_reset::Column::ExpiresAt.gt(self.now()))
            .one(&self.readers);
        Ok(self.read(found).await?.map(|row| UserId::from_uuid(row.user_id)))
    }

    /// Sets the password, if the token counts still; then none of the user's tokens, sign-ins and API keys does any more.
    /// Whoever resets reads the address's mail. Where nobody had shown that before, what asks for one-time codes goes too:
    /// somebody else may have registered with the address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_password(
        &self,
        user: UserId,
        tag: Tag,
        password: &SecretString,
    ) -> Result<bool, StoreError> {
        let key = self.data_key(user).await?;
        let (sealed, now) = (seal_text(&key, PASSWORD, &user_row(user), password)?, self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use password_reset::Column as R;
                let failed = |failure: DbErr| run_time(&failure);
                let id = user.as_uuid();
                // Before the tokens, as whoever adds one does.
                let owner = user::Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(transaction).await;
                let Some(owner) = owner.map_err(failed)? else { return Ok(false) };
                let taken = password_reset::Entity::delete_many()
                    .filter(R::Tag.eq(tag.to_vec()))
                    .filter(R::UserId.eq(id))
                    .filter(R::ExpiresAt.gt(now))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                if taken.rows_affected != 1 {
                    return Ok(false);
                }
                password_reset::Entity::delete_many()
                    .filter(R::UserId.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                if owner.email_confirmed_at.is_none() {
                    totp::remove(transaction, user).await?;
                }
                let at = people::password_time(now, owner.password_at);
                user::Entity::update_many()
                    .col_expr(user::Column::Password, Expr::value(sealed))
                    .col_expr(user::Column::PasswordAt, Expr::value(at))
                    .col_expr(
                        user::Column::EmailConfirmedAt,
                        Expr::value(owner.email_confirmed_at.unwrap_or(now)),
                    )
                    .filter(user::Column::Id.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                api_key::Entity::delete_many()
                    .filter(api_key::Column::UserId.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                sessions::end(transaction, user, None, "the password was reset", now).await?;
                Ok(true)
            })
        });
        write.await
    }
}
