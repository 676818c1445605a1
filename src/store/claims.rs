//! A pair's work: open routes in, deliveries or typed skips out.

use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{
    AccountId, ChatId, DeliveryId, DeliveryState, EventId, Fence, MessageId, OpenRoute, Origin, Pair, PairId,
    PartState, PauseCause, Place, RouteId, RouteVerdict, SkipReason,
};
use switchyard_actors::ports::{Routes, StoreError};
use uuid::Uuid;

use super::entity::{delivery, delivery_part, event, route};
use super::error::{run_time, unreadable};
use super::fence::{self, Hold};
use super::{Store, rows, sealing};
use crate::crypto::DataKey;

/// The two states of a route.
pub(super) mod route_state {
    pub(in crate::store) const OPEN: &str = "open";
    pub(in crate::store) const CLOSED: &str = "closed";
}

#[async_trait]
impl Routes for Store {
    async fn pair(&self, id: PairId) -> Result<Pair, StoreError> {
        self.find_pair(id).await
    }

    async fn claim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        self.open_routes(pair, limit, true).await
    }

    async fn reclaim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        self.open_routes(pair, limit, false).await
    }

    async fn forwarded(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<u16>, StoreError> {
        self.parts_made(pair, chat, message).await
    }

    async fn origins(
        &self,
        reader: AccountId,
        place: Place,
        messages: &[(MessageId, Option<i64>)],
        since: i64,
    ) -> Result<Vec<Origin>, StoreError> {
        self.origins_at(reader, place, messages, since).await
    }

    async fn close(
        &self,
        fence: Fence,
        pair: PairId,
        verdicts: &[(RouteId, RouteVerdict)],
    ) -> Result<(), StoreError> {
        if verdicts.is_empty() {
            return Ok(());
        }
        let pair = self.find_pair(pair).await?;
        if fence.account != pair.source_account && fence.account != pair.target_account {
            return Err(StoreError::Fenced(fence));
        }
        let key = self.data_key(pair.user).await?;
        let mut closing = HashMap::new();
        for (id, verdict) in verdicts {
            closing.insert(id.as_uuid(), self.seal_verdict(&key, verdict)?);
        }
        let now = self.now();
        let close = self.writer.run(move |transaction| {
            Box::pin(async move {
                fence::check(transaction, fence, Hold::Shared).await?;
                close_routes(transaction, &pair, closing, now).await
            })
        });
        close.await
    }

    async fn set_pause(&self, pair: PairId, cause: PauseCause, on: bool) -> Result<(), StoreError> {
        self.change_pause(pair, cause, on).await
    }
}

/// A verdict ready to be written.
enum Closing {
    Deliver { id: DeliveryId, action: &'static str, reply_to: Option<i64>, bodies: Vec<Vec<u8>> },
    Skip(String),
}

impl Store {
    /// A pair's oldest open routes; the first is attempted once more, if that counts.
    async fn open_routes(
        &self,
        pair: PairId,
        limit: u32,
        counts: bool,
    ) -> Result<Vec<OpenRoute>, StoreError> {
        let pair = self.find_pair(pair).await?;
        if !pair.paused.is_empty() {
            return Ok(Vec::new());
        }
        let open = route::Entity::find()
            .filter(route::Column::PairId.eq(pair.id.as_uuid()))
            .filter(route::Column::State.eq(route_state::OPEN))
            .order_by_asc(route::Column::EventSeq)
            .limit(u64::from(limit));
        let mut open = self.read(open.all(&self.readers)).await?;
        let Some(first) = open.first_mut() else { return Ok(Vec::new()) };
        if counts {
            self.count_attempt(first.id).await?;
            first.attempts += 1;
        }
        let seqs: Vec<i64> = open.iter().map(|route| route.event_seq).collect();
        let events = event::Entity::find().filter(event::Column::Seq.is_in(seqs));
        let events = self.read(events.all(&self.readers)).await?;
        let events: HashMap<i64, event::Model> = events.into_iter().map(|row| (row.seq, row)).collect();
        let key = self.data_key(pair.user).await?;
        let mut claimed = Vec::with_capacity(open.len());
        for route in open {
            match open_route(&key, &route, events.get(&route.event_seq)) {
                Ok(open) => claimed.push(open),
                // What comes before an unreadable event is still handled; then it is the first, and its error shows.
                Err(_) if !claimed.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }

    async fn count_attempt(&self, route: Uuid) -> Result<(), StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                route::Entity::update_many()
                    .col_expr(route::Column::Attempts, Expr::col(route::Column::Attempts).add(1))
                    .filter(route::Column::Id.eq(route))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_counted| ())
    }

    fn seal_verdict(&self, key: &DataKey, verdict: &RouteVerdict) -> Result<Closing, StoreError> {
        match verdict {
            RouteVerdict::Skip(reason) => Ok(Closing::Skip(skip_text(*reason)?)),
            RouteVerdict::Deliver(new) => {
                let id = DeliveryId::from_uuid(self.parts.ids.uuid());
                let bodies =
                    (0_u16..).zip(&new.parts).map(|(part, body)| sealing::seal_part(key, id, part, body));
                Ok(Closing::Deliver {
                    id,
                    action: new.action.as_str(),
                    reply_to: new.reply_to.map(MessageId::get),
                    bodies: bodies.collect::<Result<_, _>>()?,
                })
            }
        }
    }
}

fn skip_text(reason: SkipReason) -> Result<String, StoreError> {
    serde_json::to_string(&reason).map_err(|failure| unreadable("skip reason", failure))
}

fn open_route(
    key: &DataKey,
    route: &route::Model,
    event: Option<&event::Model>,
) -> Result<OpenRoute, StoreError> {
    let event = event.ok_or_else(|| unreadable("route", "its event is missing"))?;
    let event_id = EventId::from_uuid(event.id);
    let payload = event.payload.as_ref().ok_or_else(|| unreadable("event", "its payload was purged"))?;
    Ok(OpenRoute {
        id: RouteId::from_uuid(route.id),
        event_id,
        seq: route.event_seq,
        attempts: rows::count(route.attempts)?,
        event: sealing::open_event(key, event_id, payload)?,
    })
}

/// Closes those of the routes that are open, in order, and writes their deliveries.
async fn close_routes(
    transaction: &DatabaseTransaction,
    pair: &Pair,
    mut closing: HashMap<Uuid, Closing>,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let open = route::Entity::find()
        .filter(route::Column::PairId.eq(pair.id.as_uuid()))
        .filter(route::Column::State.eq(route_state::OPEN))
        .filter(route::Column::Id.is_in(closing.keys().copied()))
        .order_by_asc(route::Column::EventSeq)
        .lock_exclusive()
        .all(transaction)
        .await
        .map_err(failed)?;
    let seqs = open.iter().map(|route| route.event_seq);
    let events = event::Entity::find()
        .filter(event::Column::Seq.is_in(seqs))
        .select_only()
        .columns([event::Column::Seq, event::Column::Chat, event::Column::Message])
        .into_tuple::<(i64, i64, i64)>()
        .all(transaction)
        .await
        .map_err(failed)?;
    let sources: HashMap<i64, (i64, i64)> =
        events.into_iter().map(|(seq, chat, message)| (seq, (chat, message))).collect();
    for row in open {
        let Some(verdict) = closing.remove(&row.id) else { continue };
        let mut closed = route::ActiveModel {
            id: Set(row.id),
            state: Set(route_state::CLOSED.to_owned()),
            closed_at: Set(Some(now)),
            ..Default::default()
        };
        match verdict {
            Closing::Skip(reason) => closed.skip = Set(Some(reason)),
            Closing::Deliver { id, action, reply_to, bodies } => {
                let source = sources.get(&row.event_seq).copied();
                let source = source.ok_or_else(|| unreadable("route", "its event is missing"))?;
                let new = NewRow { id, action, seq: row.event_seq, source, reply_to, now };
                insert_delivery(transaction, pair, new, bodies).await?;
                closed.delivery_id = Set(Some(id.as_uuid()));
            }
        }
        route::Entity::update(closed).exec(transaction).await.map_err(failed)?;
    }
    Ok(())
}

/// What a delivery begins with, besides its pair and parts.
struct NewRow {
    id: DeliveryId,
    action: &'static str,
    /// Place in the order of acceptance.
    seq: i64,
    /// Source chat and message.
    source: (i64, i64),
    reply_to: Option<i64>,
    now: i64,
}

async fn insert_delivery(
    transaction: &DatabaseTransaction,
    pair: &Pair,
    NewRow { id, action, seq, source: (source_chat, source_message), reply_to, now }: NewRow,
    bodies: Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    let row = delivery::ActiveModel {
        id: Set(id.as_uuid()),
        pair_id: Set(pair.id.as_uuid()),
        account_id: Set(pair.target_account.as_uuid()),
        platform: Set(pair.target.platform.as_str().to_owned()),
        chat: Set(pair.target.chat.get()),
        thread: Set(pair.target.thread.map(|thread| thread.get())),
        source_chat: Set(source_chat),
        source_message: Set(source_message),
        seq: Set(seq),
        reply_to: Set(reply_to),
        action: Set(action.to_owned()),
        state: Set(DeliveryState::Pending.as_str().to_owned()),
        tries: Set(0),
        not_before: Set(None),
        last_error: Set(None),
        dead: Set(None),
        created_at: Set(now),
        finished_at: Set(None),
    };
    delivery::Entity::insert(row).exec_without_returning(transaction).await.map_err(|f| run_time(&f))?;
    let parts: Vec<_> = (0_i32..)
        .zip(bodies)
        .map(|(part, body)| delivery_part::ActiveModel {
            delivery_id: Set(id.as_uuid()),
            part: Set(part),
            body: Set(Some(body)),
            state: Set(PartState::Queued.as_str().to_owned()),
            sending_since: Set(None),
            remote_id: Set(None),
        })
        .collect();
    delivery_part::Entity::insert_many(parts)
        .exec_without_returning(transaction)
        .await
        .map(|_written| ())
        .map_err(|failure| run_time(&failure))
}
