//! A queue's work: the pending deliveries of one destination account, lane by lane.

use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use switchyard_actors::model::{
    AccountId, ChatId, Delivery, DeliveryId, DeliveryState, EventKind, Fence, MessageCopy, MessageId, PairId,
    Part, PartState, Place, UserId,
};
use switchyard_actors::ports::{Outbox, StoreError, TryResult};
use uuid::Uuid;

use super::entity::{delivery, delivery_part, pair, pair_pause};
use super::error::{run_time, unreadable};
use super::fence::{self, Hold};
use super::{Store, ledger, rows, sealing};
use crate::crypto::DataKey;

#[async_trait]
impl Outbox for Store {
    async fn lanes(&self, account: AccountId) -> Result<Vec<PairId>, StoreError> {
        let found = pair::Entity::find()
            .filter(pair::Column::TargetAccount.eq(account.as_uuid()))
            .filter(Expr::exists(pending_of_pair()))
            .filter(Expr::exists(pauses_of_pair()).not())
            .order_by_asc(pair::Column::Id)
            .select_only()
            .column(pair::Column::Id)
            .into_tuple::<Uuid>();
        let found = self.read(found.all(&self.readers)).await?;
        Ok(found.into_iter().map(PairId::from_uuid).collect())
    }

    async fn lane(
        &self,
        account: AccountId,
        pair: PairId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let pair = self.find_pair(pair).await?;
        if !pair.paused.is_empty() {
            return Ok(Vec::new());
        }
        let pending = delivery::Entity::find()
            .filter(delivery::Column::PairId.eq(pair.id.as_uuid()))
            .filter(delivery::Column::State.eq(DeliveryState::Pending.as_str()))
            .filter(delivery::Column::AccountId.eq(account.as_uuid()))
            .filter(delivery::Column::Seq.gt(after.unwrap_or(i64::MIN)))
            .order_by_asc(delivery::Column::Seq)
            .limit(u64::from(limit));
        let pending = self.read(pending.all(&self.readers)).await?;
        self.with_parts(pair.user, pending).await
    }

    async fn copies(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageCopy>, StoreError> {
        self.copies_of(pair, chat, message).await
    }

    async fn counterpart(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        self.counterpart_of(pair, chat, message).await
    }

    async fn known_copies(&self, target: Place, limit: u32) -> Result<Vec<MessageId>, StoreError> {
        self.newest_copies(target.chat, limit).await
    }

    async fn begin(&self, fence: Fence, delivery: DeliveryId, part: u16) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                fence::check(transaction, fence, Hold::Shared).await?;
                mark_sending(transaction, fence, delivery, part, now).await
            })
        });
        write.await
    }

    async fn finish(&self, fence: Fence, delivery: DeliveryId, result: &TryResult) -> Result<(), StoreError> {
        let (now, result) = (self.now(), result.clone());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                fence::check(transaction, fence, Hold::Shared).await?;
                ledger::finish(transaction, fence, delivery, result, now).await
            })
        });
        write.await
    }
}

/// For use inside a query over `pairs`.
fn pending_of_pair() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(delivery::Entity)
        .and_where(
            Expr::col((delivery::Entity, delivery::Column::PairId)).equals((pair::Entity, pair::Column::Id)),
        )
        .and_where(Expr::col((delivery::Entity, delivery::Column::State)).eq(DeliveryState::Pending.as_str()))
        .take()
}

/// For use inside a query over `pairs`.
fn pauses_of_pair() -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(pair_pause::Entity)
        .and_where(
            Expr::col((pair_pause::Entity, pair_pause::Column::PairId))
                .equals((pair::Entity, pair::Column::Id)),
        )
        .take()
}

/// The pauses of one pair.
fn pauses_of(pair: Uuid) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(pair_pause::Entity)
        .and_where(Expr::col((pair_pause::Entity, pair_pause::Column::PairId)).eq(pair))
        .take()
}

impl Store {
    async fn with_parts(
        &self,
        user: UserId,
        deliveries: Vec<delivery::Model>,
    ) -> Result<Vec<Delivery>, StoreError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.data_key(user).await?;
        let found = delivery_part::Entity::find()
            .filter(delivery_part::Column::DeliveryId.is_in(deliveries.iter().map(|row| row.id)))
            .order_by_asc(delivery_part::Column::Part);
        let mut parts = HashMap::<Uuid, Vec<Part>>::new();
        for row in self.read(found.all(&self.readers)).await? {
            parts.entry(row.delivery_id).or_default().push(read_part(&key, &row)?);
        }
        deliveries
            .into_iter()
            .map(|row| {
                let parts = parts.remove(&row.id).unwrap_or_default();
                read_delivery(row, parts)
            })
            .collect()
    }
}

fn read_part(key: &DataKey, row: &delivery_part::Model) -> Result<Part, StoreError> {
    let index = rows::part_index(row.part)?;
    let body = row.body.as_ref().ok_or_else(|| unreadable("part", "its body was purged"))?;
    Ok(Part {
        index,
        body: sealing::open_part(key, DeliveryId::from_uuid(row.delivery_id), index, body)?,
        state: rows::word(&row.state)?,
        sending_since: row.sending_since,
        remote_id: row.remote_id.map(MessageId::new).transpose().map_err(|f| unreadable("part", f))?,
    })
}

fn read_delivery(row: delivery::Model, parts: Vec<Part>) -> Result<Delivery, StoreError> {
    let wrong = |failure| unreadable("delivery", failure);
    Ok(Delivery {
        id: DeliveryId::from_uuid(row.id),
        pair: PairId::from_uuid(row.pair_id),
        account: AccountId::from_uuid(row.account_id),
        target: rows::place(&row.platform, row.chat, row.thread)?,
        seq: row.seq,
        action: rows::word::<EventKind>(&row.action)?,
        source_chat: ChatId::new(row.source_chat).map_err(wrong)?,
        source_message: MessageId::new(row.source_message).map_err(wrong)?,
        reply_to: row.reply_to.map(MessageId::new).transpose().map_err(wrong)?,
        tries: rows::count(row.tries)?,
        not_before: row.not_before,
        parts,
    })
}

/// A pending delivery of the fenced account, held until the commit.
pub(super) async fn hold_delivery(
    transaction: &DatabaseTransaction,
    fence: Fence,
    id: DeliveryId,
) -> Result<delivery::Model, StoreError> {
    let row = delivery::Entity::find_by_id(id.as_uuid())
        .lock_exclusive()
        .one(transaction)
        .await
        .map_err(|failure| run_time(&failure))?
        .ok_or_else(|| StoreError::NotFound(format!("delivery {id}")))?;
    if row.account_id == fence.account.as_uuid() { Ok(row) } else { Err(StoreError::Fenced(fence)) }
}

async fn mark_sending(
    transaction: &DatabaseTransaction,
    fence: Fence,
    id: DeliveryId,
    part: u16,
    now: i64,
) -> Result<(), StoreError> {
    let nothing =
        || StoreError::NotFound(format!("part {part} of delivery {id}, still to be sent by a running pair,"));
    let row = hold_delivery(transaction, fence, id).await?;
    if row.state != DeliveryState::Pending.as_str() {
        return Err(nothing());
    }
    // A deletion sends no part.
    if row.action == EventKind::Deleted.as_str() {
        let pauses = pair_pause::Entity::find().filter(pair_pause::Column::PairId.eq(row.pair_id));
        let paused = pauses.count(transaction).await.map_err(|failure| run_time(&failure))? > 0;
        return if paused { Err(nothing()) } else { Ok(()) };
    }
    let marked = delivery_part::Entity::update_many()
        .col_expr(delivery_part::Column::State, Expr::value(PartState::Sending.as_str()))
        // The first time counts: as long as no answer came, a later try must not make the part look younger.
        .col_expr(
            delivery_part::Column::SendingSince,
            Func::coalesce([Expr::col(delivery_part::Column::SendingSince), Expr::value(now)]).into(),
        )
        .filter(delivery_part::Column::DeliveryId.eq(id.as_uuid()))
        .filter(delivery_part::Column::Part.eq(i32::from(part)))
        .filter(delivery_part::Column::State.ne(PartState::Sent.as_str()))
        .filter(Expr::exists(pauses_of(row.pair_id)).not())
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    if marked.rows_affected == 0 { Err(nothing()) } else { Ok(()) }
}
