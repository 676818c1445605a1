//! Durable intake: events, one route per subscribed pair, and cursors that never run ahead of them.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{LockType, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
};
use switchyard_actors::model::{
    AccountId, Cursor, CursorKey, CursorValue, EventId, Fence, PairId, Place, Platform, SourceEvent,
};
use switchyard_actors::ports::{Intake, IntakeReceipt, IntakeUnit, StoreError};
use uuid::Uuid;

use super::claims::route_state;
use super::entity::{cursor, event, pair, route};
use super::error::{run_time, unreadable};
use super::fence::{self, Hold};
use super::{Store, rows, sealing};

/// Rows of one INSERT: SQLite takes 32,766 values, PostgreSQL 65,535.
const ROWS_MAX: usize = 1_000;

#[async_trait]
impl Intake for Store {
    async fn record(&self, fence: Fence, unit: &IntakeUnit) -> Result<IntakeReceipt, StoreError> {
        let subscribed = self.subscriptions(fence.account).await?;
        let wanted: Vec<_> = unit
            .events
            .iter()
            .map(|event| (event, subscribed.pairs_for(event)))
            .filter(|(_, pairs)| !pairs.is_empty())
            .collect();
        let mut receipt = IntakeReceipt::default();
        let mut to_wake = BTreeSet::new();
        let mut chunks = wanted.chunks(self.intake_chunk).peekable();
        loop {
            let events = chunks.next().unwrap_or_default();
            let last = chunks.peek().is_none();
            let cursors = if last { unit.cursors.clone() } else { Vec::new() };
            if !events.is_empty() || !cursors.is_empty() {
                receipt.accepted += self.record_chunk(fence, events, cursors).await?;
                to_wake.extend(events.iter().flat_map(|(_, pairs)| pairs).copied());
            }
            if last {
                break;
            }
        }
        receipt.pairs = to_wake.into_iter().collect();
        Ok(receipt)
    }

    async fn cursors(&self, account: AccountId) -> Result<Vec<Cursor>, StoreError> {
        let found = cursor::Entity::find().filter(cursor::Column::AccountId.eq(account.as_uuid()));
        self.read(found.all(&self.readers)).await?.iter().map(read_cursor).collect()
    }
}

/// The pairs that read through one account.
struct Subscriptions {
    by_chat: HashMap<i64, Vec<(PairId, Place)>>,
}

impl Subscriptions {
    /// A pair without a thread takes the whole chat; on Discord a thread is a channel of its own. A deletion that does not say in which thread goes to all of them.
    fn pairs_for(&self, event: &SourceEvent) -> Vec<PairId> {
        let place = event.place();
        let telegram = place.platform == Platform::Telegram;
        let anywhere = telegram && place.thread.is_none() && matches!(event, SourceEvent::Deleted { .. });
        self.by_chat
            .get(&place.chat.get())
            .into_iter()
            .flatten()
            .filter(|(_, source)| {
                let whole = telegram && source.thread.is_none();
                whole || source.thread == place.thread || anywhere
            })
            .map(|(pair, _)| *pair)
            .collect()
    }
}

impl Store {
    async fn subscriptions(&self, account: AccountId) -> Result<Subscriptions, StoreError> {
        let found = pair::Entity::find().filter(pair::Column::SourceAccount.eq(account.as_uuid()));
        let mut by_chat = HashMap::<i64, Vec<_>>::new();
        for row in self.read(found.all(&self.readers)).await? {
            let source = rows::place(&row.source_platform, row.source_chat, row.source_thread)?;
            by_chat.entry(row.source_chat).or_default().push((PairId::from_uuid(row.id), source));
        }
        Ok(Subscriptions { by_chat })
    }

    /// Seals a chunk's events and writes them with their routes; answers how many were new.
    async fn record_chunk(
        &self,
        fence: Fence,
        events: &[(&SourceEvent, Vec<PairId>)],
        cursors: Vec<Cursor>,
    ) -> Result<usize, StoreError> {
        let now = self.now();
        let mut chunk = Chunk { fence, now, events: Vec::new(), routes: HashMap::new(), cursors };
        if !events.is_empty() {
            let key = self.data_key(self.account_user(fence.account).await?).await?;
            for (event, pairs) in events {
                let id = EventId::from_uuid(self.parts.ids.uuid());
                let payload = sealing::seal_event(&key, id, event)?;
                chunk.events.push(event_row(fence.account, id, event, payload, now));
                let routes = pairs.iter().map(|pair| (self.parts.ids.uuid(), pair.as_uuid())).collect();
                chunk.routes.insert(id.as_uuid(), routes);
            }
        }
        self.writer.run(move |transaction| Box::pin(chunk.write(transaction))).await
    }
}

/// What goes into one transaction.
struct Chunk {
    fence: Fence,
    now: i64,
    events: Vec<event::ActiveModel>,
    /// By event id: route id and pair.
    routes: HashMap<Uuid, Vec<(Uuid, Uuid)>>,
    cursors: Vec<Cursor>,
}

impl Chunk {
    async fn write(mut self, transaction: &DatabaseTransaction) -> Result<usize, StoreError> {
        fence::check(transaction, self.fence, Hold::Alone).await?;
        let accepted = insert_events(transaction, std::mem::take(&mut self.events)).await?;
        let account = self.fence.account.as_uuid();
        let pairs =
            if accepted.is_empty() { BTreeSet::new() } else { pairs_of(transaction, account).await? };
        let mut routes = Vec::new();
        for (event, seq) in &accepted {
            for (id, pair) in self.routes.remove(event).unwrap_or_default() {
                // A pair that was deleted since the chunk was made has no routes any more.
                if pairs.contains(&pair) {
                    routes.push(route_row(id, pair, *seq));
                }
            }
        }
        for some in routes.chunks(ROWS_MAX) {
            route::Entity::insert_many(some.to_vec())
                .exec_without_returning(transaction)
                .await
                .map_err(|failure| run_time(&failure))?;
        }
        for cursor in &self.cursors {
            advance(transaction, account, cursor, self.now).await?;
        }
        Ok(accepted.len())
    }
}

/// Inserts what is not there yet; answers id and place in the order of acceptance of the new ones.
async fn insert_events(
    transaction: &DatabaseTransaction,
    events: Vec<event::ActiveModel>,
) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let mut accepted = Vec::new();
    for some in events.chunks(ROWS_MAX) {
        let mut insert = event::Entity::insert_many(some.to_vec())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .into_query();
        insert.returning(Query::returning().columns([event::Column::Id, event::Column::Seq]));
        let rows = transaction.query_all(&insert).await.map_err(|failure| run_time(&failure))?;
        for row in rows {
            accepted
                .push(row.try_get_many("", &["id".to_owned(), "seq".to_owned()]).map_err(|f| run_time(&f))?);
        }
    }
    Ok(accepted)
}

/// The account's pairs as they are now, held until the commit.
async fn pairs_of(transaction: &DatabaseTransaction, account: Uuid) -> Result<BTreeSet<Uuid>, StoreError> {
    let found = pair::Entity::find()
        .filter(pair::Column::SourceAccount.eq(account))
        .lock(LockType::KeyShare)
        .all(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(found.into_iter().map(|pair| pair.id).collect())
}

fn event_row(
    account: AccountId,
    id: EventId,
    event: &SourceEvent,
    payload: Vec<u8>,
    now: i64,
) -> event::ActiveModel {
    let place = event.place();
    event::ActiveModel {
        id: Set(id.as_uuid()),
        account_id: Set(account.as_uuid()),
        platform: Set(place.platform.as_str().to_owned()),
        chat: Set(place.chat.get()),
        thread: Set(place.thread.map(|thread| thread.get())),
        message: Set(event.message_id().get()),
        kind: Set(event.kind().as_str().to_owned()),
        revision: Set(event.revision()),
        payload: Set(Some(payload)),
        accepted_at: Set(now),
        ..Default::default()
    }
}

fn route_row(id: Uuid, pair: Uuid, seq: i64) -> route::ActiveModel {
    route::ActiveModel {
        id: Set(id),
        pair_id: Set(pair),
        event_seq: Set(seq),
        state: Set(route_state::OPEN.to_owned()),
        attempts: Set(0),
        delivery_id: Set(None),
        skip: Set(None),
        closed_at: Set(None),
    }
}

/// Moves a cursor forward, or leaves it where it is.
async fn advance(
    transaction: &DatabaseTransaction,
    account: Uuid,
    new: &Cursor,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let stream = serde_json::to_string(&new.key).map_err(|failure| unreadable("cursor", failure))?;
    let old = cursor::Entity::find_by_id((account, stream.clone())).one(transaction).await.map_err(failed)?;
    let old = old.as_ref().map(read_cursor).transpose()?;
    let value = old.map_or(new.value, |old| furthest(old.value, new.value));
    let row = cursor::ActiveModel {
        account_id: Set(account),
        stream: Set(stream),
        value: Set(serde_json::to_string(&value).map_err(|failure| unreadable("cursor", failure))?),
        updated_at: Set(now),
    };
    cursor::Entity::insert(row)
        .on_conflict(
            OnConflict::columns([cursor::Column::AccountId, cursor::Column::Stream])
                .update_columns([cursor::Column::Value, cursor::Column::UpdatedAt])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}

fn read_cursor(row: &cursor::Model) -> Result<Cursor, StoreError> {
    let wrong = |failure| unreadable("cursor", failure);
    Ok(Cursor {
        key: serde_json::from_str::<CursorKey>(&row.stream).map_err(wrong)?,
        value: serde_json::from_str::<CursorValue>(&row.value).map_err(wrong)?,
    })
}

/// Each number of a position only grows. A position of another kind replaces the old one.
fn furthest(old: CursorValue, new: CursorValue) -> CursorValue {
    use CursorValue::{LastMessage, TelegramChannel, TelegramCommon};
    match (old, new) {
        (
            TelegramCommon { pts, qts, seq, date },
            TelegramCommon { pts: new_pts, qts: new_qts, seq: new_seq, date: new_date },
        ) => TelegramCommon {
            pts: pts.max(new_pts),
            qts: qts.max(new_qts),
            seq: seq.max(new_seq),
            date: date.max(new_date),
        },
        (TelegramChannel { pts }, TelegramChannel { pts: new }) => TelegramChannel { pts: pts.max(new) },
        (LastMessage { id }, LastMessage { id: new }) => LastMessage { id: id.max(new) },
        (_, new) => new,
    }
}
