//! What owners set for their accounts: a name of their own, and a proxy, which lies sealed among the account's secrets.

use std::collections::HashMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};
use secrecy::SecretSlice;
use switchyard_actors::model::AccountId;
use switchyard_actors::ports::{Proxy, StoreError};
use uuid::Uuid;

use super::Store;
use super::entity::{account, account_secret, account_setting};
use super::error::run_time;
use super::sealing::{SECRET, open_secret, seal_secret, secret_row};

/// Accounts of one question.
const ACCOUNTS_MAX: usize = 500;

/// What is set for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// The owner's own name for it.
    pub label: Option<String>,
    /// Whether it has a proxy.
    pub proxied: bool,
    /// Grows with each change; 0 where nothing was ever set.
    pub version: i64,
}

/// A change; what is `None` stays as it is.
#[derive(Clone, Default)]
pub struct SettingsChange {
    /// The owner's name for it, or none.
    pub label: Option<Option<String>>,
    /// Its proxy as [`Proxy::encode`] writes it, or none.
    pub proxy: Option<Option<SecretSlice<u8>>>,
}

impl Store {
    /// What is set for these accounts; nothing is, for those that are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account_settings(
        &self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountSettings>, StoreError> {
        let mut found: HashMap<AccountId, AccountSettings> = HashMap::new();
        for some in accounts.chunks(ACCOUNTS_MAX) {
            let ids: Vec<Uuid> = some.iter().map(|id| id.as_uuid()).collect();
            let settings = account_setting::Entity::find()
                .filter(account_setting::Column::AccountId.is_in(ids.iter().copied()))
                .all(&self.readers);
            for row in self.read(settings).await? {
                let entry = found.entry(AccountId::from_uuid(row.account_id)).or_default();
                (entry.label, entry.version) = (row.label, row.version);
            }
            let proxied = account_secret::Entity::find()
                .select_only()
                .column(account_secret::Column::AccountId)
                .filter(account_secret::Column::AccountId.is_in(ids))
                .filter(account_secret::Column::Name.eq(Proxy::SECRET))
                .into_tuple::<Uuid>()
                .all(&self.readers);
            for id in self.read(proxied).await? {
                found.entry(AccountId::from_uuid(id)).or_default().proxied = true;
            }
        }
        Ok(found)
    }

    /// Changes what is set for an account, in one transaction; `None` when its version is another than expected: somebody
    /// else changed it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without the account.
    pub async fn change_account_settings(
        &self,
        id: AccountId,
        expected: Option<i64>,
        change: SettingsChange,
    ) -> Result<Option<AccountSettings>, StoreError> {
        let proxy = match &change.proxy {
            Some(Some(proxy)) => {
                let key = self.data_key(self.account_user(id).await?).await?;
                let row = secret_row(id.as_uuid(), Proxy::SECRET.as_bytes());
                Some(Some(seal_secret(&key, SECRET, &row, proxy)?))
            }
            Some(None) => Some(None),
            None => None,
        };
        let (label, now) = (change.label, self.now());
        let write = self.writer.run(move |transaction| {
            let (label, proxy) = (label.clone(), proxy.clone());
            Box::pin(async move { write(transaction, id.as_uuid(), expected, label, proxy, now).await })
        });
        write.await
    }

    /// Every secret of an account, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account_secrets(&self, id: AccountId) -> Result<Vec<(String, SecretSlice<u8>)>, StoreError> {
        let rows = account_secret::Entity::find()
            .filter(account_secret::Column::AccountId.eq(id.as_uuid()))
            .all(&self.readers);
        let rows = self.read(rows).await?;
        let key = self.data_key(self.account_user(id).await?).await?;
        let open = |row: account_secret::Model| {
            let place = secret_row(id.as_uuid(), row.name.as_bytes());
            let value = open_secret(&key, SECRET, &place, &row.value)?;
            Ok((row.name, value))
        };
        rows.into_iter().map(open).collect()
    }
}

async fn write(
    transaction: &DatabaseTransaction,
    id: Uuid,
    expected: Option<i64>,
    label: Option<Option<String>>,
    proxy: Option<Option<Vec<u8>>>,
    now: i64,
) -> Result<Option<AccountSettings>, StoreError> {
    let failed = |failure| run_time(&failure);
    // The account's row is what two who change it wait for.
    let account = account::Entity::find_by_id(id).lock_exclusive().one(transaction).await.map_err(failed)?;
    account.ok_or_else(|| StoreError::NotFound(format!("account {id}")))?;
    let known = account_setting::Entity::find_by_id(id).one(transaction).await.map_err(failed)?;
    let (known_label, version) = known.map_or((None, 0), |row| (row.label, row.version));
    if expected.is_some_and(|expected| expected != version) {
        return Ok(None);
    }
    let (label, version) = (label.unwrap_or(known_label), version.saturating_add(1));
    let row = account_setting::ActiveModel {
        account_id: Set(id),
        label: Set(label.clone()),
        version: Set(version),
        updated_at: Set(now),
    };
    account_setting::Entity::insert(row)
        .on_conflict(
            OnConflict::column(account_setting::Column::AccountId)
                .update_columns([
                    account_setting::Column::Label,
                    account_setting::Column::Version,
                    account_setting::Column::UpdatedAt,
                ])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map_err(failed)?;
    let name = Proxy::SECRET.to_owned();
    if proxy.is_some() {
        account_secret::Entity::delete_by_id((id, name.clone())).exec(transaction).await.map_err(failed)?;
    }
    if let Some(Some(value)) = proxy {
        let row = account_secret::ActiveModel {
            account_id: Set(id),
            name: Set(name.clone()),
            value: Set(value),
            updated_at: Set(now),
        };
        account_secret::Entity::insert(row).exec_without_returning(transaction).await.map_err(failed)?;
    }
    let proxied = account_secret::Entity::find_by_id((id, name)).one(transaction).await.map_err(failed)?;
    Ok(Some(AccountSettings { label, proxied: proxied.is_some(), version }))
}
