//! Pairs and the causes for which they are paused.

use std::collections::{BTreeSet, HashMap};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, Select,
};
use serde_json::json;
use switchyard_actors::model::{AccountId, Audience, NewDomainEvent, Pair, PairId, PauseCause, Topic};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::domain_events::publish_one;
use super::entity::{pair, pair_pause};
use super::error::run_time;
use super::{Store, rows};

impl Store {
    /// Makes a pair with its pauses. One with the same id stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when its user or one of its accounts is not there.
    pub async fn create_pair(&self, new: &Pair) -> Result<(), StoreError> {
        let (now, id) = (self.now(), new.id.as_uuid());
        let row = row(new, now);
        let causes = new.paused.clone();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let made = pair::Entity::insert(row)
                    .on_conflict(OnConflict::column(pair::Column::Id).do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if made > 0 {
                    for cause in causes {
                        pause(transaction, id, cause, now).await.map_err(|failure| run_time(&failure))?;
                    }
                }
                Ok(())
            })
        });
        write.await
    }

    pub(super) async fn find_pair(&self, id: PairId) -> Result<Pair, StoreError> {
        let row = self.read(pair::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("pair {id}")))?;
        let causes = pair_pause::Entity::find().filter(pair_pause::Column::PairId.eq(row.id));
        let causes = self.read(causes.all(&self.readers)).await?;
        let causes = causes.iter().map(|pause| rows::word(&pause.cause)).collect::<Result<_, _>>()?;
        rows::pair(&row, causes)
    }

    pub(super) async fn all_pairs(&self) -> Result<Vec<Pair>, StoreError> {
        let found = self.read(pair::Entity::find().order_by_asc(pair::Column::Id).all(&self.readers)).await?;
        self.with_causes(&found, pair_pause::Entity::find()).await
    }

    pub(super) async fn pairs_by_account(&self, accounts: &[AccountId]) -> Result<Vec<Pair>, StoreError> {
        let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
        let through = Condition::any()
            .add(pair::Column::SourceAccount.is_in(ids.clone()))
            .add(pair::Column::TargetAccount.is_in(ids));
        let found = pair::Entity::find().filter(through).order_by_asc(pair::Column::Id).all(&self.readers);
        let found = self.read(found).await?;
        let pauses = pair_pause::Column::PairId.is_in(found.iter().map(|row| row.id));
        self.with_causes(&found, pair_pause::Entity::find().filter(pauses)).await
    }

    async fn with_causes(
        &self,
        found: &[pair::Model],
        pauses: Select<pair_pause::Entity>,
    ) -> Result<Vec<Pair>, StoreError> {
        let mut causes = HashMap::<Uuid, BTreeSet<PauseCause>>::new();
        for pause in self.read(pauses.all(&self.readers)).await? {
            causes.entry(pause.pair_id).or_default().insert(rows::word(&pause.cause)?);
        }
        found.iter().map(|row| rows::pair(row, causes.remove(&row.id).unwrap_or_default())).collect()
    }

    pub(super) async fn change_pause(
        &self,
        id: PairId,
        cause: PauseCause,
        on: bool,
    ) -> Result<(), StoreError> {
        let mut changed = self.find_pair(id).await?;
        let (now, id) = (self.now(), id.as_uuid());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                pair::Entity::update_many()
                    .col_expr(pair::Column::Version, Expr::col(pair::Column::Version).add(1))
                    .filter(pair::Column::Id.eq(id))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let touched = if on {
                    changed.paused.insert(cause);
                    pause(transaction, id, cause, now).await.map_err(failed)?
                } else {
                    changed.paused.remove(&cause);
                    let lifted = pair_pause::Entity::delete_by_id((id, cause.as_str().to_owned()));
                    lifted.exec(transaction).await.map_err(failed)?.rows_affected
                };
                if touched == 0 {
                    return Ok(());
                }
                publish_one(transaction, event(Topic::PairChanged, &changed), now).await
            })
        });
        write.await
    }
}

pub(super) fn row(new: &Pair, now: i64) -> pair::ActiveModel {
    pair::ActiveModel {
        id: Set(new.id.as_uuid()),
        user_id: Set(new.user.as_uuid()),
        source_account: Set(new.source_account.as_uuid()),
        source_platform: Set(new.source.platform.as_str().to_owned()),
        source_chat: Set(new.source.chat.get()),
        source_thread: Set(new.source.thread.map(|thread| thread.get())),
        target_account: Set(new.target_account.as_uuid()),
        target_platform: Set(new.target.platform.as_str().to_owned()),
        target_chat: Set(new.target.chat.get()),
        target_thread: Set(new.target.thread.map(|thread| thread.get())),
        created_at: Set(now),
        // Name and version are the database's defaults.
        ..Default::default()
    }
}

/// What streams are told of a pair.
pub(super) fn event(topic: Topic, pair: &Pair) -> NewDomainEvent {
    NewDomainEvent {
        topic,
        user: Some(pair.user),
        audience: Audience::User,
        subject: format!("pairs/{}", pair.id),
        body: json!({
            "pair": pair.id, "source_account": pair.source_account, "target_account": pair.target_account,
            "paused": pair.paused,
        }),
    }
}

pub(super) async fn pause(
    transaction: &DatabaseTransaction,
    pair: Uuid,
    cause: PauseCause,
    now: i64,
) -> Result<u64, DbErr> {
    let row = pair_pause::ActiveModel {
        pair_id: Set(pair),
        cause: Set(cause.as_str().to_owned()),
        since: Set(now),
    };
    pair_pause::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await
}
