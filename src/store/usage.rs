//! Messages of the day: what each user was delivered, and what is under way.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;
use switchyard_actors::model::{Day, DeliveryId, DeliveryState, EventKind, PartState, Topic, Usage, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::domain_events::{of_user, publish_one};
use super::entity::{delivery, delivery_part, pair, user_usage};
use super::error::run_time;
use super::{Store, time_of};

impl Store {
    /// What a user used of a day's messages, with the deliveries that are under way.
    pub(super) async fn usage_of(&self, user: UserId, day: Day) -> Result<Usage, StoreError> {
        // First what is under way: what is confirmed in between is counted twice rather than not at all.
        let begun = delivery::Entity::find()
            .filter(delivery::Column::PairId.in_subquery(pairs_of(user)))
            .filter(delivery::Column::State.eq(DeliveryState::Pending.as_str()))
            .filter(delivery::Column::Action.eq(EventKind::New.as_str()))
            .filter(Expr::exists(begun_part()))
            .select_only()
            .column(delivery::Column::Id)
            .into_tuple::<Uuid>();
        let begun = self.read(begun.all(&self.readers)).await?;
        let begun = begun.into_iter().map(DeliveryId::from_uuid).collect();
        Ok(Usage { delivered: self.delivered(user, day).await?, begun })
    }

    /// New messages of a day that are confirmed as delivered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivered(&self, user: UserId, day: Day) -> Result<u64, StoreError> {
        let found = user_usage::Entity::find_by_id((user.as_uuid(), day.number()));
        let found = self.read(found.one(&self.readers)).await?;
        Ok(found.map_or(0, |row| u64::try_from(row.delivered).unwrap_or(0)))
    }

    /// Notes that the user is told of the day's limit; true for the first.
    pub(super) async fn tell_limit_once(&self, user: UserId, day: Day) -> Result<bool, StoreError> {
        let reached = of_user(
            Topic::UserLimit,
            user,
            json!({ "limit": "messages_per_day", "until": time_of(day.end()) }),
        );
        let (user, day, now) = (user.as_uuid(), day.number(), self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let row = user_usage::ActiveModel {
                    user_id: Set(user),
                    day: Set(day),
                    delivered: Set(0),
                    told_at: Set(None),
                };
                user_usage::Entity::insert(row)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                let told = user_usage::Entity::update_many()
                    .col_expr(user_usage::Column::ToldAt, Expr::value(now))
                    .filter(user_usage::Column::UserId.eq(user))
                    .filter(user_usage::Column::Day.eq(day))
                    .filter(user_usage::Column::ToldAt.is_null())
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let first = told.rows_affected > 0;
                if first {
                    publish_one(transaction, reached, now).await?;
                }
                Ok(first)
            })
        });
        write.await
    }
}

/// For use inside a query over `deliveries`.
fn pairs_of(user: UserId) -> SelectStatement {
    Query::select()
        .column(pair::Column::Id)
        .from(pair::Entity)
        .and_where(Expr::col(pair::Column::UserId).eq(user.as_uuid()))
        .take()
}

/// For use inside a query over `deliveries`.
fn begun_part() -> SelectStatement {
    let own = Expr::col((delivery_part::Entity, delivery_part::Column::DeliveryId))
        .equals((delivery::Entity, delivery::Column::Id));
    Query::select()
        .expr(Expr::val(1))
        .from(delivery_part::Entity)
        .and_where(own)
        .and_where(
            Expr::col((delivery_part::Entity, delivery_part::Column::State)).ne(PartState::Queued.as_str()),
        )
        .take()
}

/// Counts messages that are confirmed, on the day of `now`.
pub(super) async fn meter(
    transaction: &DatabaseTransaction,
    user: Uuid,
    messages: i64,
    now: i64,
) -> Result<(), StoreError> {
    let row = user_usage::ActiveModel {
        user_id: Set(user),
        day: Set(Day::of(now).number()),
        delivered: Set(messages),
        told_at: Set(None),
    };
    let more = Expr::col((user_usage::Entity, user_usage::Column::Delivered)).add(messages);
    user_usage::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([user_usage::Column::UserId, user_usage::Column::Day])
                .value(user_usage::Column::Delivered, more)
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map(|_written| ())
        .map_err(|failure| run_time(&failure))
}
