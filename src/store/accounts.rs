//! Accounts as the tree starts them and as their owners connect and remove them.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use secrecy::SecretSlice;
use serde_json::json;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, AccountState, Audience, NewDomainEvent, Pair, Topic, UserId,
};
use switchyard_actors::ports::{Directory, Proxy, StoreError};

use super::domain_events::publish_one;
use super::entity::{account, account_secret};
use super::error::run_time;
use super::sealing::{SECRET, seal_secret, secret_row};
use super::{Store, rows, standings};
use crate::crypto::DataKey;

/// What came of an account that was to be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is stored.
    Connected(Connected),
    /// It would be one more than its owner may have: nothing was done.
    Full,
}

/// An account that was connected, as it is stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The account. When it was here before, its id, profile, pairs and cursors are those that it had.
    pub account: Account,
    /// Whether it was here before and its login was renewed.
    pub renewed: bool,
}

impl Store {
    /// The account here that is this account of its platform, whoever's it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account_at(
        &self,
        kind: AccountKind,
        platform_id: i64,
    ) -> Result<Option<Account>, StoreError> {
        let same = account::Entity::find()
            .filter(account::Column::Kind.eq(kind.as_str()))
            .filter(account::Column::PlatformId.eq(platform_id));
        self.read(same.one(&self.readers)).await?.map(rows::account).transpose()
    }

    /// Makes an account. One with the same id stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the platform account is connected under another id.
    pub async fn create_account(&self, account: &Account) -> Result<(), StoreError> {
        let row = account_row(account, self.now());
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

    /// As [`Self::connect_account_within`], however many accounts its owner has.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_account(
        &self,
        account: &Account,
        secrets: &[(String, SecretSlice<u8>)],
    ) -> Result<Connected, StoreError> {
        match self.connect_account_within(account, secrets, None).await? {
            Admitted::Connected(connected) => Ok(connected),
            Admitted::Full => Err(StoreError::Conflict("the user has no room for it".to_owned())),
        }
    }

    /// Makes an account together with its secrets, unless its owner has `most` already, in one transaction. A platform account that the same user connected
    /// before keeps its id, profile, pairs and cursors; its name and all of its secrets are replaced, and one that
    /// needed a login is active again. A quarantine stays: it is lifted by an operator, not by signing in anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another user connected the platform account, or a new one's owner is suspended or is
    /// being deleted; [`StoreError::NotFound`] without the user.
    pub async fn connect_account_within(
        &self,
        account: &Account,
        secrets: &[(String, SecretSlice<u8>)],
        most: Option<u64>,
    ) -> Result<Admitted, StoreError> {
        let key = self.data_key(account.user).await?;
        let (account, secrets, now) = (account.clone(), secrets.to_vec(), self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let settled = settle(transaction, &account, most, now).await?;
                let Admitted::Connected(connected) = settled else { return Ok(settled) };
                replace_secrets(transaction, connected.account.id, &key, &secrets, now).await?;
                let told = event(Topic::AccountConnected, &connected.account);
                publish_one(transaction, told, now).await?;
                Ok(Admitted::Connected(connected))
            })
        });
        write.await
    }

    /// Deletes an account with its secrets, peers, cursors and pairs, and what those had under way. Counts of what was
    /// delivered stay, and so does what the platform asked its throttle to wait for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_account(&self, id: AccountId) -> Result<(), StoreError> {
        // However much lies in its queues: foreign keys delete it all with the one row.
        let (gone, now) = (self.account(id).await?, self.now());
        let write = self.writer.run_unbounded(move |transaction| {
            Box::pin(async move {
                let deleted = account::Entity::delete_by_id(id.as_uuid())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if deleted.rows_affected == 0 {
                    return Err(StoreError::NotFound(format!("account {id}")));
                }
                publish_one(transaction, event(Topic::AccountRemoved, &gone), now).await
            })
        });
        write.await
    }

    /// The owner of an account.
    pub(super) async fn account_user(&self, id: AccountId) -> Result<UserId, StoreError> {
        Ok(self.account(id).await?.user)
    }
}

/// What streams are told of an account.
pub(super) fn event(topic: Topic, account: &Account) -> NewDomainEvent {
    NewDomainEvent {
        topic,
        user: Some(account.user),
        audience: Audience::User,
        subject: format!("accounts/{}", account.id),
        body: json!({ "account": account.id, "kind": account.kind, "state": account.state }),
    }
}

fn account_row(account: &Account, now: i64) -> account::ActiveModel {
    account::ActiveModel {
        id: Set(account.id.as_uuid()),
        user_id: Set(account.user.as_uuid()),
        kind: Set(account.kind.as_str().to_owned()),
        platform_id: Set(account.platform_id),
        name: Set(account.name.clone()),
        profile: Set(account.profile.clone()),
        state: Set(account.state.as_str().to_owned()),
        created_at: Set(now),
    }
}

/// Makes the account, or finds the one that the same user connected before and renews it.
async fn settle(
    transaction: &DatabaseTransaction,
    account: &Account,
    most: Option<u64>,
    now: i64,
) -> Result<Admitted, StoreError> {
    let failed = |failure| run_time(&failure);
    // From here on nobody else adds an account of this user, suspends or deletes them.
    standings::hold_user(transaction, account.user).await?;
    let known = account::Entity::find()
        .filter(account::Column::Kind.eq(account.kind.as_str()))
        .filter(account::Column::PlatformId.eq(account.platform_id))
        .one(transaction)
        .await
        .map_err(failed)?;
    if known.is_none() {
        standings::refuse_inactive(transaction, account.user).await?;
        let own = account::Entity::find().filter(account::Column::UserId.eq(account.user.as_uuid()));
        if let Some(most) = most
            && own.count(transaction).await.map_err(failed)? >= most
        {
            return Ok(Admitted::Full);
        }
    }
    // Another transaction that connects the same platform account is waited for here, then seen below.
    let made = account::Entity::insert(account_row(account, now))
        .on_conflict(
            OnConflict::columns([account::Column::Kind, account::Column::PlatformId]).do_nothing().to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map_err(failed)?;
    if made > 0 {
        return Ok(Admitted::Connected(Connected { account: account.clone(), renewed: false }));
    }
    let row = account::Entity::find()
        .filter(account::Column::Kind.eq(account.kind.as_str()))
        .filter(account::Column::PlatformId.eq(account.platform_id))
        .lock_exclusive()
        .one(transaction)
        .await
        .map_err(failed)?;
    let gone = || StoreError::Unavailable("the account was removed meanwhile".to_owned());
    let mut known = rows::account(row.ok_or_else(gone)?)?;
    if known.user != account.user {
        return Err(StoreError::Conflict("another user connected this platform account".to_owned()));
    }
    known.name.clone_from(&account.name);
    if known.state == AccountState::NeedsLogin {
        known.state = AccountState::Active;
    }
    let change = account::ActiveModel {
        id: Set(known.id.as_uuid()),
        name: Set(known.name.clone()),
        state: Set(known.state.as_str().to_owned()),
        ..Default::default()
    };
    account::Entity::update(change).exec(transaction).await.map_err(failed)?;
    Ok(Admitted::Connected(Connected { account: known, renewed: true }))
}

/// Puts these secrets in the place of all that the account had: keys of an older session open nothing any more. Its proxy
/// is not the session's: it stays unless another comes.
async fn replace_secrets(
    transaction: &DatabaseTransaction,
    id: AccountId,
    key: &Arc<DataKey>,
    secrets: &[(String, SecretSlice<u8>)],
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let id = id.as_uuid();
    let mut old = account_secret::Entity::delete_many().filter(account_secret::Column::AccountId.eq(id));
    if !secrets.iter().any(|(name, _)| name == Proxy::SECRET) {
        old = old.filter(account_secret::Column::Name.ne(Proxy::SECRET));
    }
    old.exec(transaction).await.map_err(failed)?;
    for (name, value) in secrets {
        let row = account_secret::ActiveModel {
            account_id: Set(id),
            name: Set(name.clone()),
            value: Set(seal_secret(key, SECRET, &secret_row(id, name.as_bytes()), value)?),
            updated_at: Set(now),
        };
        account_secret::Entity::insert(row).exec_without_returning(transaction).await.map_err(failed)?;
    }
    Ok(())
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

    async fn accounts_of(&self, user: UserId) -> Result<Vec<Account>, StoreError> {
        let own = account::Entity::find().filter(account::Column::UserId.eq(user.as_uuid()));
        let own = own.order_by_asc(account::Column::Id).all(&self.readers);
        self.read(own).await?.into_iter().map(rows::account).collect()
    }

    async fn pairs_of(&self, user: UserId) -> Result<Vec<Pair>, StoreError> {
        Ok(self.pair_records(Some(user)).await?.into_iter().map(|record| record.pair).collect())
    }

    async fn pairs_through(&self, accounts: &[AccountId]) -> Result<Vec<Pair>, StoreError> {
        self.pairs_by_account(accounts).await
    }

    async fn set_account_state(&self, id: AccountId, state: AccountState) -> Result<(), StoreError> {
        let (told, now) = (Account { state, ..self.account(id).await? }, self.now());
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
                publish_one(transaction, event(Topic::AccountChanged, &told), now).await
            })
        });
        write.await
    }
}
