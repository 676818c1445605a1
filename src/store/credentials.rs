//! Credentials of accounts: named secrets and peers with their access hashes, sealed under the owner's data key.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use secrecy::SecretSlice;
use switchyard_actors::model::AccountId;
use switchyard_actors::ports::{Credentials, StoreError};

use super::Store;
use super::entity::{account_secret, peer};
use super::error::run_time;
use super::sealing::{SECRET, open_secret, seal_secret, secret_row};

const PEER: (&str, &str) = ("peers", "record");

/// Rows of one INSERT.
const ROWS_MAX: usize = 1_000;

#[async_trait]
impl Credentials for Store {
    async fn secret(&self, account: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        let id = account.as_uuid();
        let found = account_secret::Entity::find_by_id((id, name.to_owned())).one(&self.readers);
        let Some(row) = self.read(found).await? else { return Ok(None) };
        let key = self.data_key(self.account_user(account).await?).await?;
        open_secret(&key, SECRET, &secret_row(id, name.as_bytes()), &row.value).map(Some)
    }

    async fn set_secret(
        &self,
        account: AccountId,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<(), StoreError> {
        let id = account.as_uuid();
        let key = self.data_key(self.account_user(account).await?).await?;
        let row = account_secret::ActiveModel {
            account_id: Set(id),
            name: Set(name.to_owned()),
            value: Set(seal_secret(&key, SECRET, &secret_row(id, name.as_bytes()), &value)?),
            updated_at: Set(self.now()),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                account_secret::Entity::insert(row)
                    .on_conflict(
                        OnConflict::columns([
                            account_secret::Column::AccountId,
                            account_secret::Column::Name,
                        ])
                        .update_columns([account_secret::Column::Value, account_secret::Column::UpdatedAt])
                        .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }

    async fn peers(&self, account: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        let id = account.as_uuid();
        let found = peer::Entity::find().filter(peer::Column::AccountId.eq(id)).all(&self.readers);
        let found = self.read(found).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.data_key(self.account_user(account).await?).await?;
        let open = |row: peer::Model| {
            let place = secret_row(id, &row.peer_id.to_be_bytes());
            Ok((row.peer_id, open_secret(&key, PEER, &place, &row.record)?))
        };
        found.into_iter().map(open).collect()
    }

    async fn set_peers(
        &self,
        account: AccountId,
        peers: &[(i64, SecretSlice<u8>)],
    ) -> Result<(), StoreError> {
        if peers.is_empty() {
            return Ok(());
        }
        let id = account.as_uuid();
        let key = self.data_key(self.account_user(account).await?).await?;
        // One INSERT must not name a row twice: of several records of one peer the last counts.
        let latest: std::collections::BTreeMap<_, _> =
            peers.iter().map(|(peer, record)| (*peer, record)).collect();
        let mut rows = Vec::with_capacity(latest.len());
        for (peer_id, record) in latest {
            let record = seal_secret(&key, PEER, &secret_row(id, &peer_id.to_be_bytes()), record)?;
            rows.push(peer::ActiveModel { account_id: Set(id), peer_id: Set(peer_id), record: Set(record) });
        }
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                for some in rows.chunks(ROWS_MAX) {
                    peer::Entity::insert_many(some.to_vec())
                        .on_conflict(
                            OnConflict::columns([peer::Column::AccountId, peer::Column::PeerId])
                                .update_column(peer::Column::Record)
                                .to_owned(),
                        )
                        .exec_without_returning(transaction)
                        .await
                        .map_err(|failure| run_time(&failure))?;
                }
                Ok(())
            })
        });
        write.await
    }
}
