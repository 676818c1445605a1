//! Sign-ins of admins: each a chain of refresh tokens, of which one counts at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter};
use switchyard_actors::model::{AdminId, LoginSessionId};
use switchyard_actors::ports::StoreError;

use super::admins::{self, AdminRow, end_all, find, lock};
use super::entity::{admin, admin_session};
use super::error::run_time;
use super::{Store, time_of};

/// A sign-in that begins.
#[derive(Clone, Debug)]
pub struct NewAdminSession {
    /// Its id.
    pub id: LoginSessionId,
    /// Whose it is.
    pub admin: AdminId,
    /// Hash of its first refresh token.
    pub token: Vec<u8>,
    /// From which address.
    pub address: String,
    /// How long it lasts without a refresh.
    pub life: Duration,
    /// The password's hash that was looked at: if it was changed meanwhile, no sign-in begins.
    pub password: String,
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was the one that counts; from now on the new one does.
    Renewed(AdminId),
    /// It was used before: the sign-in is ended, for somebody else may have the newer one.
    Reused(AdminId),
    /// There is no such sign-in, or it has ended.
    Unknown,
}

impl Store {
    /// Begins a sign-in after the password was right. Answers whether it began: not when the password was changed, or the
    /// admin disabled, meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_admin_session(&self, new: NewAdminSession) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                lock(transaction, new.admin).await?;
                let row = find(transaction, new.admin).await?;
                if row.state != admins::ACTIVE || row.password != new.password {
                    return Ok(false);
                }
                let mut row: admin::ActiveModel = row.into();
                row.signed_in_at = Set(Some(now));
                row.update(transaction).await.map_err(|failure| run_time(&failure))?;
                let session = admin_session::ActiveModel {
                    id: Set(new.id.as_uuid()),
                    admin_id: Set(new.admin.as_uuid()),
                    token: Set(new.token),
                    address: Set(new.address),
                    created_at: Set(now),
                    refreshed_at: Set(now),
                    expires_at: Set(now.saturating_add(millis(new.life))),
                    ended_at: Set(None),
                    ended_by: Set(None),
                };
                admin_session::Entity::insert(session)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(true)
            })
        });
        write.await
    }

    /// The admin of a sign-in that goes on; none once it has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admin_of_session(
        &self,
        id: LoginSessionId,
    ) -> Result<Option<(AdminRow, DateTime<Utc>)>, StoreError> {
        let session = admin_session::Entity::find_by_id(id.as_uuid()).one(&self.readers);
        let Some(session) = self.read(session).await? else { return Ok(None) };
        if session.ended_at.is_some() || session.expires_at <= self.now() {
            return Ok(None);
        }
        let found = self.admin(AdminId::from_uuid(session.admin_id)).await?;
        Ok(found.filter(|row| row.active).map(|row| (row, time_of(session.created_at))))
    }

    /// Exchanges a refresh token for the next. One that was exchanged before ends its sign-in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_admin_session(
        &self,
        id: LoginSessionId,
        token: Vec<u8>,
        next: Vec<u8>,
        life: Duration,
    ) -> Result<Refreshed, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let open = || {
                    admin_session::Entity::update_many()
                        .filter(admin_session::Column::Id.eq(id.as_uuid()))
                        .filter(admin_session::Column::EndedAt.is_null())
                        .filter(admin_session::Column::ExpiresAt.gt(now))
                };
                let renewed = open()
                    .col_expr(admin_session::Column::Token, Expr::value(next))
                    .col_expr(admin_session::Column::RefreshedAt, Expr::value(now))
                    .col_expr(admin_session::Column::ExpiresAt, Expr::value(now.saturating_add(millis(life))))
                    .filter(admin_session::Column::Token.eq(token))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let ended = if renewed.rows_affected == 0 {
                    open()
                        .col_expr(admin_session::Column::EndedAt, Expr::value(Some(now)))
                        .col_expr(admin_session::Column::EndedBy, Expr::value(Some("reuse")))
                        .exec(transaction)
                        .await
                        .map_err(failed)?
                        .rows_affected
                } else {
                    0
                };
                let row = admin_session::Entity::find_by_id(id.as_uuid()).one(transaction).await;
                let Some(row) = row.map_err(failed)? else { return Ok(Refreshed::Unknown) };
                let admin = AdminId::from_uuid(row.admin_id);
                Ok(match (renewed.rows_affected, ended) {
                    (0, 0) => Refreshed::Unknown,
                    (0, _) => Refreshed::Reused(admin),
                    _ => Refreshed::Renewed(admin),
                })
            })
        });
        write.await
    }

    /// Ends a sign-in; one that has ended stays so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_admin_session(&self, id: LoginSessionId) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                admin_session::Entity::update_many()
                    .col_expr(admin_session::Column::EndedAt, Expr::value(Some(now)))
                    .col_expr(admin_session::Column::EndedBy, Expr::value(Some("logout")))
                    .filter(admin_session::Column::Id.eq(id.as_uuid()))
                    .filter(admin_session::Column::EndedAt.is_null())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(())
            })
        });
        write.await
    }

    /// Ends every sign-in of an admin.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_admin_sessions(&self, admin: AdminId, by: &'static str) -> Result<(), StoreError> {
        let now = self.now();
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { end_all(transaction, admin, now, by).await }));
        write.await
    }
}

fn millis(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX)
}
