//! API keys: found by a keyed hash, everything else about them sealed.

use std::collections::BTreeSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{ApiKeyId, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::super::Store;
use super::super::entity::{api_key, user};
use super::super::error::run_time;
use super::sessions::access_of;
use super::{Access, open_json, seal_json};
use crate::crypto::Tag;

const DETAILS: (&str, &str) = ("api_keys", "details");

/// What is kept of a key beside its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyDetails {
    /// What its owner calls it.
    pub name: String,
    /// Its first letters, by which its owner knows it.
    pub begins: String,
    /// Names of what it is for.
    pub scopes: BTreeSet<String>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// Its keyed hash.
    pub tag: Tag,
    /// The rest.
    pub details: ApiKeyDetails,
    /// From when on it does not count, Unix milliseconds.
    pub expires_at: Option<i64>,
    /// Keys that the user may have.
    pub keep: usize,
}

/// A key.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// What is known of it.
    pub details: ApiKeyDetails,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: Option<i64>,
    /// Unix milliseconds.
    pub last_used_at: Option<i64>,
}

/// What a request with a key meets.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// The key.
    pub id: ApiKeyId,
    /// Whose, and what they may do at all.
    pub access: Access,
    /// Names of what it is for.
    pub scopes: BTreeSet<String>,
}

impl Store {
    /// Makes a key. False when the user has too many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_api_key(&self, new: NewApiKey) -> Result<bool, StoreError> {
        let key = self.data_key(new.user).await?;
        let row = api_key::ActiveModel {
            id: Set(new.id.as_uuid()),
            user_id: Set(new.user.as_uuid()),
            tag: Set(new.tag.to_vec()),
            details: Set(seal_json(&key, DETAILS, new.id.as_uuid(), &new.details)?),
            created_at: Set(self.now()),
            expires_at: Set(new.expires_at),
            last_used_at: Set(None),
        };
        let (user, keep) = (new.user.as_uuid(), u64::try_from(new.keep).unwrap_or(u64::MAX));
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure: DbErr| run_time(&failure);
                // Two at once wait for each other, so that the bound is one.
                let owner = user::Entity::find_by_id(user).lock(LockType::NoKeyUpdate).one(transaction);
                owner.await.map_err(failed)?;
                let had = api_key::Entity::find().filter(api_key::Column::UserId.eq(user)).count(transaction);
                if had.await.map_err(failed)? >= keep {
                    return Ok(false);
                }
                api_key::Entity::insert(row).exec_without_returning(transaction).await.map_err(failed)?;
                Ok(true)
            })
        });
        write.await
    }

    /// A user's keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_keys_of(&self, user: UserId) -> Result<Vec<ApiKeyRow>, StoreError> {
        let found = api_key::Entity::find()
            .filter(api_key::Column::UserId.eq(user.as_uuid()))
            .order_by_asc(api_key::Column::Id)
            .all(&self.readers);
        let rows = self.read(found).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.data_key(user).await?;
        let open = |row: api_key::Model| {
            Ok(ApiKeyRow {
                id: ApiKeyId::from_uuid(row.id),
                details: open_json(&key, DETAILS, row.id, &row.details)?,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
            })
        };
        rows.into_iter().map(open).collect()
    }

    /// Deletes a key. False when there is none such.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_api_key(&self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let done = api_key::Entity::delete_many()
                    .filter(api_key::Column::Id.eq(id.as_uuid()))
                    .filter(api_key::Column::UserId.eq(user.as_uuid()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(done.rows_affected == 1)
            })
        });
        write.await
    }

    /// Who holds the key with this hash, unless its time is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn key_holder(&self, tag: Tag) -> Result<Option<KeyHolder>, StoreError> {
        use api_key::Column as K;
        let failed = |failure: DbErr| run_time(&failure);
        let asked = Query::select()
            .column((api_key::Entity, K::Id))
            .column((api_key::Entity, K::UserId))
            .column((api_key::Entity, K::LastUsedAt))
            .column((api_key::Entity, K::ExpiresAt))
            .column((api_key::Entity, K::Details))
            .column((user::Entity, user::Column::State))
            .column((user::Entity, user::Column::StateReason))
            .from(api_key::Entity)
            .inner_join(
                user::Entity,
                Expr::col((user::Entity, user::Column::Id)).equals((api_key::Entity, K::UserId)),
            )
            .and_where(Expr::col((api_key::Entity, K::Tag)).eq(tag.to_vec()))
            .take();
        let Some(row) = self.read(self.readers.query_one(&asked)).await? else { return Ok(None) };
        let expires_at: Option<i64> = row.try_get("", "expires_at").map_err(failed)?;
        if expires_at.is_some_and(|at| at <= self.now()) {
            return Ok(None);
        }
        let id: Uuid = row.try_get("", "id").map_err(failed)?;
        let details: Vec<u8> = row.try_get("", "details").map_err(failed)?;
        let access = access_of(&row)?;
        let key = self.data_key(access.user).await?;
        let details: ApiKeyDetails = open_json(&key, DETAILS, id, &details)?;
        Ok(Some(KeyHolder { id: ApiKeyId::from_uuid(id), access, scopes: details.scopes }))
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_api_key(&self, id: ApiKeyId, user: UserId) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                api_key::Entity::update_many()
                    .col_expr(api_key::Column::LastUsedAt, Expr::value(now))
                    .filter(api_key::Column::Id.eq(id.as_uuid()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Self::touch_user(transaction, user.as_uuid(), now).await
            })
        });
        write.await
    }
}
