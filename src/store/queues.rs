//! What waits in queues, and why a queue is paused.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{AccountId, PauseCause};
use switchyard_actors::ports::{QueuePauses, StoreError};
use uuid::Uuid;

use super::claims::route_state;
use super::entity::{delivery, event, queue_pause, route};
use super::error::run_time;
use super::{Store, rows};

/// What waits for one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Deliveries that wait.
    pub waiting: u64,
    /// When the oldest of them was made, Unix milliseconds.
    pub oldest: Option<i64>,
}

/// What the whole ledger holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerDepth {
    /// Deliveries that wait, and the oldest.
    pub deliveries: QueueDepth,
    /// Events that pairs have not decided on yet.
    pub routes_open: u64,
    /// When the oldest of those was accepted, Unix milliseconds.
    pub oldest_route: Option<i64>,
    /// Dead letters.
    pub dead: u64,
}

/// Written out, so that the partial indices serve.
const WAITING: &str = "state = 'pending'";
const DEAD: &str = "state = 'dead'";

#[async_trait]
impl QueuePauses for Store {
    async fn queue_pauses(&self, account: AccountId) -> Result<BTreeSet<PauseCause>, StoreError> {
        let found = queue_pause::Entity::find().filter(queue_pause::Column::AccountId.eq(account.as_uuid()));
        let found = self.read(found.all(&self.readers)).await?;
        found.iter().map(|row| rows::word(&row.cause)).collect()
    }
}

impl Store {
    /// Adds or lifts one cause of a queue's pause; others stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without the account.
    pub async fn set_queue_pause(
        &self,
        account: AccountId,
        cause: PauseCause,
        on: bool,
    ) -> Result<(), StoreError> {
        let (now, id) = (self.now(), account.as_uuid());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                if on {
                    let row = queue_pause::ActiveModel {
                        account_id: Set(id),
                        cause: Set(cause.as_str().to_owned()),
                        since: Set(now),
                    };
                    queue_pause::Entity::insert(row)
                        .on_conflict(OnConflict::new().do_nothing().to_owned())
                        .exec_without_returning(transaction)
                        .await
                        .map_err(failed)?;
                } else {
                    let key = (id, cause.as_str().to_owned());
                    queue_pause::Entity::delete_by_id(key).exec(transaction).await.map_err(failed)?;
                }
                Ok(())
            })
        });
        write.await
    }

    /// Why queues are paused; those that are not are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn all_queue_pauses(&self) -> Result<BTreeMap<AccountId, BTreeSet<PauseCause>>, StoreError> {
        let mut pauses = BTreeMap::<_, BTreeSet<_>>::new();
        for row in self.read(queue_pause::Entity::find().all(&self.readers)).await? {
            pauses.entry(AccountId::from_uuid(row.account_id)).or_default().insert(rows::word(&row.cause)?);
        }
        Ok(pauses)
    }

    /// What waits for each account; those for which nothing waits are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_depths(&self) -> Result<BTreeMap<AccountId, QueueDepth>, StoreError> {
        self.depths(Condition::all()).await
    }

    /// What waits for one account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_depth(&self, account: AccountId) -> Result<QueueDepth, StoreError> {
        let own = Condition::all().add(delivery::Column::AccountId.eq(account.as_uuid()));
        Ok(self.depths(own).await?.remove(&account).unwrap_or_default())
    }

    async fn depths(&self, which: Condition) -> Result<BTreeMap<AccountId, QueueDepth>, StoreError> {
        let found = delivery::Entity::find()
            .filter(Expr::cust(WAITING))
            .filter(which)
            .select_only()
            .column(delivery::Column::AccountId)
            .column_as(delivery::Column::Id.count(), "waiting")
            .column_as(delivery::Column::CreatedAt.min(), "oldest")
            .group_by(delivery::Column::AccountId)
            .into_tuple::<(Uuid, i64, Option<i64>)>();
        let found = self.read(found.all(&self.readers)).await?;
        let depth = |(account, waiting, oldest)| {
            (
                AccountId::from_uuid(account),
                QueueDepth { waiting: u64::try_from(waiting).unwrap_or(0), oldest },
            )
        };
        Ok(found.into_iter().map(depth).collect())
    }

    /// What the whole ledger holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_depth(&self) -> Result<LedgerDepth, StoreError> {
        let depths = self.queue_depths().await?;
        let deliveries = QueueDepth {
            waiting: depths.values().map(|depth| depth.waiting).sum(),
            oldest: depths.values().filter_map(|depth| depth.oldest).min(),
        };
        let dead = delivery::Entity::find().filter(Expr::cust(DEAD)).count(&self.readers);
        let dead = self.read(dead).await?;
        let open = || route::Entity::find().filter(route::Column::State.eq(route_state::OPEN));
        let routes_open = self.read(open().count(&self.readers)).await?;
        let first = open()
            .order_by_asc(route::Column::EventSeq)
            .select_only()
            .column(route::Column::EventSeq)
            .into_tuple::<i64>();
        let oldest_route = match self.read(first.one(&self.readers)).await? {
            Some(seq) => {
                let accepted = event::Entity::find_by_id(seq)
                    .select_only()
                    .column(event::Column::AcceptedAt)
                    .into_tuple::<i64>();
                self.read(accepted.one(&self.readers)).await?
            }
            None => None,
        };
        Ok(LedgerDepth { deliveries, routes_open, oldest_route, dead })
    }
}
