//! Accounts, and the directory of accounts and pairs as the tree starts them.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use switchyard_actors::model::{Account, AccountId, AccountState, Pair, UserId};
use switchyard_actors::ports::{Directory, StoreError};

use super::entity::account;
use super::error::run_time;
use super::{Store, rows};

impl Store {
    /// Makes an account. One with the same id stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the platform account is connected under another id.
    pub async fn create_account(&self, account: &Account) -> Result<(), StoreError> {
        let row = account::ActiveModel {
            id: Set(account.id.as_uuid()),
            user_id: Set(account.user.as_uuid()),
            kind: Set(account.kind.as_str().to_owned()),
            platform_id: Set(account.platform_id),
            name: Set(account.name.clone()),
            profile: Set(account.profile.clone()),
            state: Set(account.state.as_str().to_owned()),
            created_at: Set(self.now()),
        };
        let write = self.writer.run(|transaction| {
            Box::pin(async move {
                account::Entity::insert(row)
                    .on_conflict(OnConflict::column(account::Column::Id).do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_made| ())
    }

    /// The owner of an account.
    pub(super) async fn account_user(&self, id: AccountId) -> Result<UserId, StoreError> {
        Ok(self.account(id).await?.user)
    }
}

#[async_trait]
impl Directory for Store {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let found = account::Entity::find().order_by_asc(account::Column::Id).all(&self.readers);
        self.read(found).await?.into_iter().map(rows::account).collect()
    }

    async fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        let row = self.read(account::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        rows::account(row.ok_or_else(|| StoreError::NotFound(format!("account {id}")))?)
    }

    async fn pairs(&self) -> Result<Vec<Pair>, StoreError> {
        self.all_pairs().await
    }

    async fn set_account_state(&self, id: AccountId, state: AccountState) -> Result<(), StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let changed = account::Entity::update_many()
                    .set(account::ActiveModel { state: Set(state.as_str().to_owned()), ..Default::default() })
                    .filter(account::Column::Id.eq(id.as_uuid()))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if changed.rows_affected == 0 {
                    return Err(StoreError::NotFound(format!("account {id}")));
                }
                Ok(())
            })
        });
        write.await
    }
}
