//! Secrets of the installation itself, which belong to no user: sealed under a data key of the system's own.
//!
//! How to seal a column that is not a user's: `store.seal_system(("table", "column"), row, bytes)` before the
//! transaction that writes it, `store.open_system(…)` after reading it, where `row` is the primary key in bytes (parts of
//! a fixed length first). A key for a purpose of its own (to sign tokens, to look something up by a keyed hash) comes from
//! `store.derive("purpose")`; it is the same on every node, for ever, whatever keys are rotated.

use std::sync::Arc;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use secrecy::SecretSlice;
use switchyard_actors::ports::StoreError;
use zeroize::Zeroizing;

use super::Store;
use super::entity::{spare_system_key, system_key};
use super::error::{self, run_time, unreadable};
use super::sealing::{READS_MAX, changing, wrapped};
use crate::crypto::{Binding, DataKey, KeyOwner, SystemKey};

impl Store {
    /// Seals a text that is no user's for one column of one row. Not to be called inside a write operation: the first
    /// call makes the system's key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seal_system(
        &self,
        place: (&'static str, &'static str),
        row: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.system_key(SystemKey::Sealing).await?;
        let binding = Binding { table: place.0, column: place.1, row };
        key.seal(binding, plain).map_err(|failure| error::vault(place.0, failure))
    }

    /// Opens what [`Self::seal_system`] sealed for this very column and row.
    ///
    /// # Errors
    /// [`StoreError`]; of a blob that was changed or belongs elsewhere [`StoreError::Corrupt`].
    pub async fn open_system(
        &self,
        place: (&'static str, &'static str),
        row: &[u8],
        blob: &[u8],
    ) -> Result<SecretSlice<u8>, StoreError> {
        let key = self.system_key(SystemKey::Sealing).await?;
        let binding = Binding { table: place.0, column: place.1, row };
        let text = key.open(binding, blob).map_err(|failure| error::vault(place.0, failure))?;
        Ok(SecretSlice::from(text.to_vec()))
    }

    /// A key for one purpose: 32 bytes that are the same on every node and after every rotation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(self.system_key(SystemKey::Derivation).await?.derive(purpose))
    }

    /// A key of the system, made when it is first asked for. For several rows in one go: it seals and opens without
    /// waiting for anything.
    pub(super) async fn system_key(&self, purpose: SystemKey) -> Result<Arc<DataKey>, StoreError> {
        let owner = KeyOwner::System(purpose);
        if let Some(key) = self.parts.vault.cached(owner) {
            return Ok(key);
        }
        let failed = |failure| error::vault("system key", failure);
        for _ in 0..READS_MAX {
            let spares = spare_system_key::Entity::find()
                .filter(spare_system_key::Column::Purpose.eq(purpose.as_str()));
            let spares = self.read(spares.all(&self.readers)).await?;
            let found = system_key::Entity::find_by_id(purpose.as_str()).one(&self.readers);
            let row = match self.read(found).await? {
                Some(row) => row,
                None => self.make_system_key(purpose).await?,
            };
            if spares.iter().any(|spare| spare.key_id == row.key_id) {
                continue;
            }
            let spares: Result<Vec<_>, _> =
                spares.into_iter().map(|spare| wrapped(&spare.key_id, spare.wrapped)).collect();
            let stored = wrapped(&row.key_id, row.wrapped)?;
            return self.parts.vault.unwrap_data_keys(owner, &stored, &spares?).map_err(failed);
        }
        Err(changing())
    }

    /// Of several nodes that make it at once, one does; all use that one's.
    async fn make_system_key(&self, purpose: SystemKey) -> Result<system_key::Model, StoreError> {
        let fresh = self.parts.vault.create_data_key(KeyOwner::System(purpose));
        let fresh = fresh.map_err(|failure| error::vault("system key", failure))?;
        let row = system_key::ActiveModel {
            purpose: Set(purpose.as_str().to_owned()),
            key_id: Set(fresh.id.as_bytes().to_vec()),
            wrapped: Set(fresh.wrapped),
            created_at: Set(self.now()),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                system_key::Entity::insert(row)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                let found = system_key::Entity::find_by_id(purpose.as_str()).one(transaction).await;
                let found = found.map_err(|failure| run_time(&failure))?;
                found.ok_or_else(|| unreadable("system key", "it was not written"))
            })
        });
        write.await
    }
}
