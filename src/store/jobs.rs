//! Persisted runs of scheduled jobs, and retention.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::DeliveryState;
use switchyard_actors::ports::{Jobs, StoreError};
use uuid::Uuid;

use super::claims::route_state;
use super::entity::{alert, delivery, event, job, route};
use super::error::run_time;
use super::{Store, idempotency, rates, time_of};

/// Rows that one statement may name: SQLite takes 32,766 values.
const ROWS_MAX: u32 = 10_000;

#[async_trait]
impl Jobs for Store {
    async fn last_run(&self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let row = self.read(job::Entity::find_by_id(name).one(&self.readers)).await?;
        Ok(row.map(|row| time_of(row.last_run)))
    }

    async fn ran(&self, name: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let row = job::ActiveModel { name: Set(name.to_owned()), last_run: Set(at.timestamp_millis()) };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                job::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(job::Column::Name).update_column(job::Column::LastRun).to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }

    async fn purge(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let (before, limit) = (before.timestamp_millis(), u64::from(Ord::min(limit, ROWS_MAX)));
        // The search is the slow part and runs beside the writer.
        let events = event::Entity::find()
            .filter(finished_before(before))
            .order_by_asc(event::Column::AcceptedAt)
            .order_by_asc(event::Column::Seq)
            .limit(limit)
            .select_only()
            .column(event::Column::Seq)
            .into_tuple::<i64>();
        let events = self.read(events.all(&self.readers)).await?;
        let alerts = alert::Entity::find()
            .filter(alert::Column::At.lt(before))
            .order_by_asc(alert::Column::At)
            .limit(limit)
            .select_only()
            .column(alert::Column::Id)
            .into_tuple::<Uuid>();
        let alerts = self.read(alerts.all(&self.readers)).await?;
        let now = self.now();
        let past = self.purge_events(before, limit).await? + self.purge_jobs(before, limit).await?;
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let mut gone = rates::purge(transaction, now, limit).await?;
                gone += idempotency::purge(transaction, now, limit).await?;
                if !events.is_empty() || !alerts.is_empty() {
                    gone += delete(transaction, before, events, alerts).await?;
                }
                Ok(gone)
            })
        });
        Ok(write.await? + past)
    }
}

/// Events accepted before a time, all of whose routes were closed and whose deliveries were finished before it.
fn finished_before(before: i64) -> Condition {
    let of_event =
        || Expr::col((route::Entity, route::Column::EventSeq)).equals((event::Entity, event::Column::Seq));
    let open = Query::select()
        .expr(Expr::val(1))
        .from(route::Entity)
        .and_where(of_event())
        .cond_where(
            Condition::any()
                .add(route::Column::State.eq(route_state::OPEN))
                .add(route::Column::ClosedAt.gte(before)),
        )
        .take();
    let under_way = Query::select()
        .expr(Expr::val(1))
        .from(route::Entity)
        .inner_join(
            delivery::Entity,
            Expr::col((delivery::Entity, delivery::Column::Id))
                .equals((route::Entity, route::Column::DeliveryId)),
        )
        .and_where(of_event())
        .cond_where(
            Condition::any()
                .add(delivery::Column::State.eq(DeliveryState::Pending.as_str()))
                .add(delivery::Column::FinishedAt.gte(before)),
        )
        .take();
    Condition::all()
        .add(event::Column::AcceptedAt.lt(before))
        .add(Expr::exists(open).not())
        .add(Expr::exists(under_way).not())
}

/// Deletes what is still finished: routes go with their events, parts with their deliveries.
async fn delete(
    transaction: &DatabaseTransaction,
    before: i64,
    events: Vec<i64>,
    alerts: Vec<Uuid>,
) -> Result<u64, StoreError> {
    let failed = |failure| run_time(&failure);
    let mut gone = 0;
    if !events.is_empty() {
        let events = event::Entity::find()
            .filter(event::Column::Seq.is_in(events))
            .filter(finished_before(before))
            .select_only()
            .column(event::Column::Seq)
            .into_tuple::<i64>()
            .all(transaction)
            .await
            .map_err(failed)?;
        let deliveries = Query::select()
            .column(route::Column::DeliveryId)
            .from(route::Entity)
            .and_where(route::Column::EventSeq.is_in(events.iter().copied()))
            .and_where(route::Column::DeliveryId.is_not_null())
            .take();
        delivery::Entity::delete_many()
            .filter(delivery::Column::Id.in_subquery(deliveries))
            .exec(transaction)
            .await
            .map_err(failed)?;
        let removed = event::Entity::delete_many().filter(event::Column::Seq.is_in(events));
        gone += removed.exec(transaction).await.map_err(failed)?.rows_affected;
    }
    if !alerts.is_empty() {
        let removed = alert::Entity::delete_many().filter(alert::Column::Id.is_in(alerts));
        gone += removed.exec(transaction).await.map_err(failed)?.rows_affected;
    }
    Ok(gone)
}
