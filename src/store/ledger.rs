//! How a try ended: part progress, message map, counts and the delivery's fate, in one transaction.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;
use switchyard_actors::model::{
    Audience, DeadReason, DeliveryId, DeliveryState, EventKind, Fence, MessageId, NewDomainEvent, PartState,
    Topic, UserId,
};
use switchyard_actors::ports::{StoreError, TryResult};

use super::domain_events::publish_one;
use super::entity::{delivery, delivery_count, delivery_part, message_map, pair};
use super::error::{run_time, unreadable};
use super::outbox::hold_delivery;
use super::usage;

const MILLIS_PER_HOUR: i64 = 3_600_000;

/// A platform's error text is kept for people: more than this says nothing more.
const ERROR_CHARS_MAX: usize = 500;

/// Writes a result. A delivery that is no longer pending stays as it is.
pub(super) async fn finish(
    transaction: &DatabaseTransaction,
    fence: Fence,
    id: DeliveryId,
    result: TryResult,
    now: i64,
) -> Result<(), StoreError> {
    let row = hold_delivery(transaction, fence, id).await?;
    if row.state != DeliveryState::Pending.as_str() {
        return Ok(());
    }
    let mut change = delivery::ActiveModel { id: Set(row.id), ..Default::default() };
    let mut given_up = None;
    match result {
        TryResult::Sent { part, message } => {
            let noted = note_part(transaction, &row, part, message).await?;
            if let Some(message) = message.filter(|_| noted) {
                remember_copy(transaction, &row, part, message).await?;
            }
            let complete = is_complete(transaction, &row).await?;
            if row.action == EventKind::New.as_str() {
                count(transaction, &row, i64::from(complete), i64::from(noted), now).await?;
            }
            if !advance(&mut change, &row, complete, now) {
                return Ok(());
            }
        }
        TryResult::Gone { part } => {
            note_part(transaction, &row, part, None).await?;
            forget_copy(transaction, &row, part).await?;
            let complete = is_complete(transaction, &row).await?;
            if !advance(&mut change, &row, complete, now) {
                return Ok(());
            }
        }
        TryResult::Later { not_before, counts, error, unsent } => {
            if let Some(part) = unsent {
                take_mark_back(transaction, &row, part).await?;
            }
            change.not_before = Set(Some(not_before));
            change.tries = Set(row.tries.saturating_add(i32::from(counts)));
            change.last_error = Set(Some(error.chars().take(ERROR_CHARS_MAX).collect()));
        }
        TryResult::Dead(reason) => {
            let text = serde_json::to_string(&reason).map_err(|f| unreadable("dead reason", f))?;
            given_up = Some(reason);
            change.state = Set(DeliveryState::Dead.as_str().to_owned());
            change.dead = Set(Some(text));
            change.not_before = Set(None);
            change.finished_at = Set(Some(now));
        }
    }
    delivery::Entity::update(change).exec(transaction).await.map_err(|failure| run_time(&failure))?;
    match given_up {
        Some(reason) => tell_of_death(transaction, &row, &reason, now).await,
        None => Ok(()),
    }
}

/// Streams tell of a dead letter; this is the last act of its transaction.
async fn tell_of_death(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    reason: &DeadReason,
    now: i64,
) -> Result<(), StoreError> {
    let pair = pair::Entity::find_by_id(row.pair_id).one(transaction).await;
    let Some(pair) = pair.map_err(|failure| run_time(&failure))? else { return Ok(()) };
    let event = NewDomainEvent {
        topic: Topic::DeliveryDead,
        user: Some(UserId::from_uuid(pair.user_id)),
        audience: Audience::User,
        subject: format!("deliveries/{}", row.id),
        body: json!({ "delivery": row.id, "pair": row.pair_id, "account": row.account_id, "dead": reason }),
    };
    publish_one(transaction, event, now).await
}

/// Puts what a part's success changes about its delivery into `change`; answers whether anything does.
fn advance(change: &mut delivery::ActiveModel, row: &delivery::Model, complete: bool, now: i64) -> bool {
    if !complete && row.not_before.is_none() {
        return false;
    }
    change.not_before = Set(None);
    if complete {
        change.state = Set(DeliveryState::Delivered.as_str().to_owned());
        change.finished_at = Set(Some(now));
    }
    true
}

/// Notes a part as done; answers whether it was not before.
async fn note_part(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    part: u16,
    message: Option<MessageId>,
) -> Result<bool, StoreError> {
    let noted = delivery_part::Entity::update_many()
        .set(delivery_part::ActiveModel {
            state: Set(PartState::Sent.as_str().to_owned()),
            remote_id: Set(message.map(MessageId::get)),
            ..Default::default()
        })
        .filter(delivery_part::Column::DeliveryId.eq(row.id))
        .filter(delivery_part::Column::Part.eq(i32::from(part)))
        .filter(delivery_part::Column::State.ne(PartState::Sent.as_str()))
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(noted.rows_affected > 0)
}

/// A part that was marked as handed over and certainly did not arrive waits as before: nobody has to look for it.
async fn take_mark_back(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    part: u16,
) -> Result<(), StoreError> {
    delivery_part::Entity::update_many()
        .set(delivery_part::ActiveModel {
            state: Set(PartState::Queued.as_str().to_owned()),
            sending_since: Set(None),
            ..Default::default()
        })
        .filter(delivery_part::Column::DeliveryId.eq(row.id))
        .filter(delivery_part::Column::Part.eq(i32::from(part)))
        .filter(delivery_part::Column::State.eq(PartState::Sending.as_str()))
        .exec(transaction)
        .await
        .map(|_changed| ())
        .map_err(|failure| run_time(&failure))
}

async fn is_complete(transaction: &DatabaseTransaction, row: &delivery::Model) -> Result<bool, StoreError> {
    let open = delivery_part::Entity::find()
        .filter(delivery_part::Column::DeliveryId.eq(row.id))
        .filter(delivery_part::Column::State.ne(PartState::Sent.as_str()))
        .count(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(open == 0)
}

async fn remember_copy(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    part: u16,
    message: MessageId,
) -> Result<(), StoreError> {
    use message_map::Column::{PairId, Part, SourceChat, SourceMessage, TargetChat, TargetMessage};
    let copy = message_map::ActiveModel {
        pair_id: Set(row.pair_id),
        source_chat: Set(row.source_chat),
        source_message: Set(row.source_message),
        part: Set(i32::from(part)),
        target_chat: Set(row.chat),
        target_message: Set(message.get()),
    };
    message_map::Entity::insert(copy)
        .on_conflict(
            OnConflict::columns([PairId, SourceChat, SourceMessage, Part])
                .update_columns([TargetChat, TargetMessage])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map(|_written| ())
        .map_err(|failure| run_time(&failure))
}

async fn forget_copy(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    part: u16,
) -> Result<(), StoreError> {
    let key = (row.pair_id, row.source_chat, row.source_message, i32::from(part));
    message_map::Entity::delete_by_id(key)
        .exec(transaction)
        .await
        .map(|_gone| ())
        .map_err(|failure| run_time(&failure))
}

/// Adds to the pair's counts of this hour.
async fn count(
    transaction: &DatabaseTransaction,
    row: &delivery::Model,
    messages: i64,
    parts: i64,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let pair = pair::Entity::find_by_id(row.pair_id).one(transaction).await.map_err(failed)?;
    let pair = pair.ok_or_else(|| unreadable("delivery", "its pair is missing"))?;
    let counted = delivery_count::ActiveModel {
        pair_id: Set(pair.id),
        hour: Set(now.div_euclid(MILLIS_PER_HOUR)),
        user_id: Set(pair.user_id),
        source_account: Set(pair.source_account),
        target_account: Set(pair.target_account),
        source_platform: Set(pair.source_platform),
        target_platform: Set(pair.target_platform),
        messages: Set(messages),
        parts: Set(parts),
    };
    if messages > 0 {
        usage::meter(transaction, pair.user_id, messages, now).await?;
    }
    let plus = |column: delivery_count::Column, more: i64| {
        (column, Expr::col((delivery_count::Entity, column)).add(more))
    };
    delivery_count::Entity::insert(counted)
        .on_conflict(
            OnConflict::columns([delivery_count::Column::PairId, delivery_count::Column::Hour])
                .values([
                    plus(delivery_count::Column::Messages, messages),
                    plus(delivery_count::Column::Parts, parts),
                ])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map(|_written| ())
        .map_err(failed)
}
