//! Users: made together with their data key.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, PaginatorTrait, QueryOrder, QuerySelect};
use serde_json::json;
use switchyard_actors::model::{Topic, UserId};
use switchyard_actors::ports::StoreError;

use super::Store;
use super::domain_events::{of_user, publish_one};
use super::entity::{data_key, user};
use super::error::{self, run_time};

impl Store {
    /// Makes a user and their data key in one transaction. A user who is there already stays as they are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_user(&self, id: UserId, name: &str) -> Result<(), StoreError> {
        let now = self.now();
        let fresh =
            self.parts.vault.create_data_key(id).map_err(|failure| error::vault("data key", failure))?;
        let user = user::ActiveModel {
            id: Set(id.as_uuid()),
            name: Set(name.to_owned()),
            created_at: Set(now),
            state_at: Set(now),
            ..Default::default()
        };
        let key = data_key::ActiveModel {
            user_id: Set(id.as_uuid()),
            key_id: Set(fresh.id.as_bytes().to_vec()),
            wrapped: Set(fresh.wrapped),
            created_at: Set(now),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let made = user::Entity::insert(user)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                // The key of a user who is there already must never be replaced: it opens what they have.
                if made > 0 {
                    data_key::Entity::insert(key)
                        .exec_without_returning(transaction)
                        .await
                        .map_err(|failure| run_time(&failure))?;
                    publish_one(transaction, of_user(Topic::UserAdded, id, json!({})), now).await?;
                }
                Ok(())
            })
        });
        write.await
    }

    /// Whether there is such a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_user(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.read(user::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?.is_some())
    }

    /// The oldest users, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn some_users(&self, limit: u64) -> Result<Vec<UserId>, StoreError> {
        let found = user::Entity::find().order_by_asc(user::Column::Id).limit(limit).all(&self.readers);
        Ok(self.read(found).await?.into_iter().map(|user| UserId::from_uuid(user.id)).collect())
    }

    /// Whether the store has no user yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.read(user::Entity::find().count(&self.readers)).await? == 0)
    }
}
