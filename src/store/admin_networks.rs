//! The networks that admins may call from, as they were set at run time: replaced as a whole.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, EntityTrait, QueryOrder};
use switchyard_actors::ports::StoreError;

use super::Store;
use super::entity::{admin_network, store_meta};
use super::error::{run_time, unreadable};
use crate::network::Network;

/// Counts the changes of the list, under this name in `store_meta`.
const REVISION: &str = "admin_networks";

/// One network and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNetwork {
    /// The network.
    pub network: Network,
    /// What somebody wrote about it.
    pub note: String,
}

/// The whole list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminNetworks {
    /// Grows with every change; 0 before the first.
    pub revision: u64,
    /// The networks, in order of their texts.
    pub networks: Vec<StoredNetwork>,
}

impl Store {
    /// The list as it is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admin_networks(&self) -> Result<AdminNetworks, StoreError> {
        // The revision first: a change in between makes the list newer than its revision, and it is only read once more.
        let revision = self.read(store_meta::Entity::find_by_id(REVISION).one(&self.readers)).await?;
        let rows = admin_network::Entity::find().order_by_asc(admin_network::Column::Network);
        let rows = self.read(rows.all(&self.readers)).await?;
        let networks = rows.into_iter().map(|row| {
            let network = row.network.parse().map_err(|failure| unreadable("allow-list", failure))?;
            Ok(StoredNetwork { network, note: row.note })
        });
        Ok(AdminNetworks {
            revision: number(revision)?,
            networks: networks.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Replaces the list if its revision is still `expected`; answers the new revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else changed it meanwhile.
    pub async fn set_admin_networks(
        &self,
        expected: u64,
        networks: Vec<StoredNetwork>,
    ) -> Result<u64, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let revision = next_revision(transaction, expected).await?;
                admin_network::Entity::delete_many()
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                let rows: Vec<_> = networks.into_iter().map(|entry| row(entry, now)).collect();
                if !rows.is_empty() {
                    admin_network::Entity::insert_many(rows)
                        .on_conflict(
                            OnConflict::column(admin_network::Column::Network)
                                .update_column(admin_network::Column::Note)
                                .to_owned(),
                        )
                        .exec_without_returning(transaction)
                        .await
                        .map_err(|failure| run_time(&failure))?;
                }
                Ok(revision)
            })
        });
        write.await
    }
}

fn row(entry: StoredNetwork, now: i64) -> admin_network::ActiveModel {
    admin_network::ActiveModel {
        network: Set(entry.network.to_string()),
        note: Set(entry.note),
        added_at: Set(now),
    }
}

/// Counts one change more. The write comes before the look, so that of two nodes the second waits for the first.
async fn next_revision(transaction: &DatabaseTransaction, expected: u64) -> Result<u64, StoreError> {
    let value = |number: u64| store_meta::ActiveModel {
        name: Set(REVISION.to_owned()),
        value: Set(number.to_string()),
    };
    store_meta::Entity::insert(value(0))
        .on_conflict(
            // Names the column's own value: a write that changes nothing and takes the row's lock.
            OnConflict::column(store_meta::Column::Name).update_column(store_meta::Column::Name).to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    let row = store_meta::Entity::find_by_id(REVISION).one(transaction).await;
    let found = number(row.map_err(|failure| run_time(&failure))?)?;
    if found != expected {
        return Err(StoreError::Conflict("somebody else changed the allow-list meanwhile".to_owned()));
    }
    let next = found + 1;
    store_meta::Entity::update(value(next)).exec(transaction).await.map_err(|failure| run_time(&failure))?;
    Ok(next)
}

fn number(row: Option<store_meta::Model>) -> Result<u64, StoreError> {
    row.map_or(Ok(0), |row| row.value.parse().map_err(|failure| unreadable("allow-list", failure)))
}
