//! Sign-ins: opened, renewed by their refresh token, looked up at every request, ended.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{LoginSessionId, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::super::Store;
use super::super::entity::{user, user_session};
use super::super::error::run_time;
use super::super::rows::word;
use super::{UserState, open_json, people, seal_json};
use crate::crypto::Tag;

const DEVICE: (&str, &str) = ("user_sessions", "device");

/// From where a sign-in came. Sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Address.
    pub address: String,
    /// What the program said of itself.
    pub agent: Option<String>,
}

/// A sign-in to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: LoginSessionId,
    /// Whose.
    pub user: UserId,
    /// Keyed hash of its first refresh token, generation 1.
    pub tag: Tag,
    /// From where.
    pub device: Device,
    /// Until when, Unix milliseconds, unless it is renewed.
    pub expires_at: i64,
    /// Sign-ins that the user may have; the oldest beyond go.
    pub keep: usize,
    /// When the password was set by which they signed in, Unix milliseconds.
    pub password_at: Option<i64>,
}

/// A sign-in.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: LoginSessionId,
    /// Whose.
    pub user: UserId,
    /// From where; none of one whose owner is gone.
    pub device: Option<Device>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub last_used_at: i64,
    /// When its refresh token was last replaced, Unix milliseconds.
    pub rotated_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
    /// Place of the refresh token that counts, from 1.
    pub generation: i64,
    /// Whether it was ended.
    pub ended: bool,
}

/// What a request of a sign-in meets.
#[derive(Clone, Debug)]
pub struct Access {
    /// Whose sign-in.
    pub user: UserId,
    /// What they may do at all.
    pub state: UserState,
    /// Why they are suspended.
    pub reason: Option<String>,
    /// When its use was last noted, Unix milliseconds.
    pub last_used_at: i64,
}

/// A refresh token in exchange for its successor.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The sign-in.
    pub session: LoginSessionId,
    /// Place of the token that was given.
    pub generation: i64,
    /// Its keyed hash.
    pub from: Tag,
    /// Its successor's.
    pub to: Tag,
    /// Until when the sign-in lasts now, Unix milliseconds.
    pub expires_at: i64,
}

impl Store {
    /// Opens a sign-in. False when the password was changed since it was compared, or the user is going.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_session(&self, new: NewSession) -> Result<bool, StoreError> {
        let (key, now) = (self.data_key(new.user).await?, self.now());
        let id = new.id.as_uuid();
        let row = user_session::ActiveModel {
            id: Set(id),
            user_id: Set(new.user.as_uuid()),
            created_at: Set(now),
            last_used_at: Set(now),
            rotated_at: Set(now),
            expires_at: Set(new.expires_at),
            generation: Set(1),
            token_tag: Set(new.tag.to_vec()),
            device: Set(seal_json(&key, DEVICE, id, &new.device)?),
            ended_at: Set(None),
            end_cause: Set(None),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure: DbErr| run_time(&failure);
                if !people::has_password_of(transaction, new.user, new.password_at).await? {
                    return Ok(false);
                }
                user_session::Entity::insert(row)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                make_room(transaction, new.user, new.keep, now).await?;
                Self::touch_user(transaction, new.user.as_uuid(), now).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// Exchanges a refresh token. False when it is not the one that counts, or the sign-in is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_session(&self, rotation: Rotation) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let done = user_session::Entity::update_many()
                    .col_expr(
                        user_session::Column::Generation,
                        Expr::value(rotation.generation.saturating_add(1)),
                    )
                    .col_expr(user_session::Column::TokenTag, Expr::value(rotation.to.to_vec()))
                    .col_expr(user_session::Column::RotatedAt, Expr::value(now))
                    .col_expr(user_session::Column::LastUsedAt, Expr::value(now))
                    .col_expr(user_session::Column::ExpiresAt, Expr::value(rotation.expires_at))
                    .filter(user_session::Column::Id.eq(rotation.session.as_uuid()))
                    .filter(user_session::Column::Generation.eq(rotation.generation))
                    .filter(user_session::Column::TokenTag.eq(rotation.from.to_vec()))
                    .filter(user_session::Column::EndedAt.is_null())
                    .filter(user_session::Column::ExpiresAt.gt(now))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(done.rows_affected == 1)
            })
        });
        write.await
    }

    /// A sign-in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, id: LoginSessionId) -> Result<Option<SessionRow>, StoreError> {
        let row = self.read(user_session::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        match row {
            Some(row) => self.session_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The sign-ins of a user that are not over, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_of(&self, user: UserId) -> Result<Vec<SessionRow>, StoreError> {
        let found = user_session::Entity::find()
            .filter(user_session::Column::UserId.eq(user.as_uuid()))
            .filter(user_session::Column::EndedAt.is_null())
            .filter(user_session::Column::ExpiresAt.gt(self.now()))
            .order_by_desc(user_session::Column::CreatedAt)
            .all(&self.readers);
        let mut rows = Vec::new();
        for row in self.read(found).await? {
            rows.push(self.session_of(row).await?);
        }
        Ok(rows)
    }

    async fn session_of(&self, row: user_session::Model) -> Result<SessionRow, StoreError> {
        let user = UserId::from_uuid(row.user_id);
        let device = match self.data_key(user).await {
            Ok(key) => Some(open_json(&key, DEVICE, row.id, &row.device)?),
            Err(StoreError::NotFound(_)) => None,
            Err(failure) => return Err(failure),
        };
        Ok(SessionRow {
            id: LoginSessionId::from_uuid(row.id),
            user,
            device,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            rotated_at: row.rotated_at,
            expires_at: row.expires_at,
            generation: row.generation,
            ended: row.ended_at.is_some(),
        })
    }

    /// What a request of this sign-in meets; nothing when it is over. One look at the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session_access(&self, id: LoginSessionId) -> Result<Option<Access>, StoreError> {
        use user_session::Column as S;
        let asked = Query::select()
            .column((user_session::Entity, S::UserId))
            .column((user_session::Entity, S::LastUsedAt))
            .column((user::Entity, user::Column::State))
            .column((user::Entity, user::Column::StateReason))
            .from(user_session::Entity)
            .inner_join(
                user::Entity,
                Expr::col((user::Entity, user::Column::Id)).equals((user_session::Entity, S::UserId)),
            )
            .and_where(Expr::col((user_session::Entity, S::Id)).eq(id.as_uuid()))
            .and_where(Expr::col((user_session::Entity, S::EndedAt)).is_null())
            .and_where(Expr::col((user_session::Entity, S::ExpiresAt)).gt(self.now()))
            .take();
        let Some(row) = self.read(self.readers.query_one(&asked)).await? else { return Ok(None) };
        access_of(&row).map(Some)
    }

    /// Notes that a sign-in was used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_session(&self, id: LoginSessionId, user: UserId) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                user_session::Entity::update_many()
                    .col_expr(user_session::Column::LastUsedAt, Expr::value(now))
                    .filter(user_session::Column::Id.eq(id.as_uuid()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Self::touch_user(transaction, user.as_uuid(), now).await
            })
        });
        write.await
    }

    /// Ends sign-ins of a user: one, or all. Answers how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_sessions(
        &self,
        user: UserId,
        only: Option<LoginSessionId>,
        cause: &'static str,
    ) -> Result<u64, StoreError> {
        let now = self.now();
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { end(transaction, user, only, cause, now).await }));
        write.await
    }
}

pub(super) async fn end(
    transaction: &DatabaseTransaction,
    user: UserId,
    only: Option<LoginSessionId>,
    cause: &'static str,
    now: i64,
) -> Result<u64, StoreError> {
    let mut end = user_session::Entity::update_many()
        .col_expr(user_session::Column::EndedAt, Expr::value(now))
        .col_expr(user_session::Column::EndCause, Expr::value(cause))
        .filter(user_session::Column::UserId.eq(user.as_uuid()))
        .filter(user_session::Column::EndedAt.is_null());
    if let Some(only) = only {
        end = end.filter(user_session::Column::Id.eq(only.as_uuid()));
    }
    Ok(end.exec(transaction).await.map_err(|failure| run_time(&failure))?.rows_affected)
}

pub(super) fn access_of(row: &sea_orm::QueryResult) -> Result<Access, StoreError> {
    let failed = |failure: DbErr| run_time(&failure);
    let state: String = row.try_get("", "state").map_err(failed)?;
    Ok(Access {
        user: UserId::from_uuid(row.try_get("", "user_id").map_err(failed)?),
        state: word(&state)?,
        reason: row.try_get("", "state_reason").map_err(failed)?,
        last_used_at: row.try_get::<Option<i64>>("", "last_used_at").map_err(failed)?.unwrap_or(0),
    })
}

/// Deletes what is over, and the oldest beyond `keep`.
async fn make_room(
    transaction: &DatabaseTransaction,
    user: UserId,
    keep: usize,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure: DbErr| run_time(&failure);
    let beyond: Vec<Uuid> = user_session::Entity::find()
        .select_only()
        .column(user_session::Column::Id)
        .filter(user_session::Column::UserId.eq(user.as_uuid()))
        .filter(user_session::Column::EndedAt.is_null())
        .order_by_desc(user_session::Column::CreatedAt)
        .order_by_desc(user_session::Column::Id)
        .offset(u64::try_from(keep).unwrap_or(u64::MAX / 2))
        .limit(1_000)
        .into_tuple()
        .all(transaction)
        .await
        .map_err(failed)?;
    let over = Condition::any()
        .add(user_session::Column::ExpiresAt.lte(now))
        .add(user_session::Column::EndedAt.is_not_null())
        .add(user_session::Column::Id.is_in(beyond));
    user_session::Entity::delete_many()
        .filter(user_session::Column::UserId.eq(user.as_uuid()))
        .filter(over)
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}
