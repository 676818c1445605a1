//! The ledger as people read it: deliveries and dead letters by filter; and dead letters that go back into their lanes.

use std::fmt;
use std::str::FromStr;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use serde_json::json;
use switchyard_actors::model::{
    AccountId, Audience, DeadReason, DeliveryId, DeliveryState, EventKind, JobId, NewDomainEvent, PairId,
    PartState, Place, Topic, UserId,
};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::domain_events::{hold_owners, publish};
use super::entity::{delivery, delivery_part, pair};
use super::error::{run_time, unreadable};
use super::work_jobs::{Advance, JobProgress, JobState, WorkJob, advance};
use super::{Store, rows};

/// Where a page of the ledger ends: the time of a delivery's making and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerCursor {
    /// Unix milliseconds.
    pub at: i64,
    /// The delivery.
    pub id: DeliveryId,
}

impl fmt::Display for LedgerCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

impl FromStr for LedgerCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
        let (at, id) = parsed.ok_or_else(|| "it is no cursor of this list".to_owned())?;
        Ok(Self { at, id })
    }
}

/// Which deliveries are asked for. An empty filter is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LedgerFilter {
    /// Of this user.
    pub user: Option<UserId>,
    /// Sent by this account.
    pub account: Option<AccountId>,
    /// Of this pair.
    pub pair: Option<PairId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Given up for a reason of this name.
    pub reason: Option<String>,
    /// Made at this time or later, Unix milliseconds.
    pub from: Option<i64>,
    /// Made before this time, Unix milliseconds.
    pub to: Option<i64>,
    /// Given up at this time or before, Unix milliseconds.
    pub dead_by: Option<i64>,
    /// These alone.
    pub ids: Option<Vec<DeliveryId>>,
}

/// A delivery as the ledger keeps it: never what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerEntry {
    /// Its id.
    pub id: DeliveryId,
    /// Its pair.
    pub pair: PairId,
    /// The account that sends it.
    pub account: AccountId,
    /// Where it goes.
    pub target: Place,
    /// The chat of the source message.
    pub source_chat: i64,
    /// The source message.
    pub source_message: i64,
    /// What happens at the target.
    pub action: EventKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries that counted.
    pub tries: u32,
    /// Not before, Unix milliseconds.
    pub not_before: Option<i64>,
    /// What was wrong last.
    pub last_error: Option<String>,
    /// Why it was given up.
    pub dead: Option<DeadReason>,
    /// When it was made, Unix milliseconds.
    pub created_at: i64,
    /// When it was over, Unix milliseconds.
    pub finished_at: Option<i64>,
}

impl LedgerEntry {
    /// Its place in lists.
    #[must_use]
    pub const fn cursor(&self) -> LedgerCursor {
        LedgerCursor { at: self.created_at, id: self.id }
    }
}

/// What a replay put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many dead letters went back.
    pub count: u64,
    /// The lanes that they are in.
    pub lanes: Vec<(AccountId, PairId)>,
    /// Nothing of the filter is left.
    pub over: bool,
}

impl LedgerFilter {
    fn select(&self) -> Select<delivery::Entity> {
        let mut found = delivery::Entity::find();
        if let Some(user) = self.user {
            found = found.filter(delivery::Column::PairId.in_subquery(pairs_of(user)));
        }
        if let Some(account) = self.account {
            found = found.filter(delivery::Column::AccountId.eq(account.as_uuid()));
        }
        if let Some(pair) = self.pair {
            found = found.filter(delivery::Column::PairId.eq(pair.as_uuid()));
        }
        if let Some(state) = self.state {
            found = found.filter(is(state));
        }
        if let Some(reason) = &self.reason {
            let tagged = format!("{{\"reason\":\"{reason}\"%");
            found = found.filter(delivery::Column::Dead.like(tagged));
        }
        if let Some(from) = self.from {
            found = found.filter(delivery::Column::CreatedAt.gte(from));
        }
        if let Some(to) = self.to {
            found = found.filter(delivery::Column::CreatedAt.lt(to));
        }
        if let Some(by) = self.dead_by {
            found = found.filter(delivery::Column::FinishedAt.lte(by));
        }
        if let Some(ids) = &self.ids {
            found = found.filter(delivery::Column::Id.is_in(ids.iter().map(|id| id.as_uuid())));
        }
        found
    }
}

/// Written out, so that the partial indices of waiting and dead deliveries serve.
fn is(state: DeliveryState) -> SimpleExpr {
    match state {
        DeliveryState::Pending => Expr::cust("\"deliveries\".\"state\" = 'pending'"),
        DeliveryState::Dead => Expr::cust("\"deliveries\".\"state\" = 'dead'"),
        DeliveryState::Delivered => delivery::Column::State.eq(state.as_str()),
    }
}

fn pairs_of(user: UserId) -> SelectStatement {
    Query::select()
        .column(pair::Column::Id)
        .from(pair::Entity)
        .and_where(pair::Column::UserId.eq(user.as_uuid()))
        .take()
}

impl Store {
    /// Deliveries, the newest first, after a cursor, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger(
        &self,
        filter: &LedgerFilter,
        after: Option<LedgerCursor>,
        limit: u64,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let mut found = filter
            .select()
            .order_by_desc(delivery::Column::CreatedAt)
            .order_by_desc(delivery::Column::Id)
            .limit(limit);
        if let Some(LedgerCursor { at, id }) = after {
            let same = delivery::Column::CreatedAt.eq(at).and(delivery::Column::Id.lt(id.as_uuid()));
            found = found.filter(delivery::Column::CreatedAt.lt(at).or(same));
        }
        self.read(found.all(&self.readers)).await?.into_iter().map(entry).collect()
    }

    /// One delivery, and the user whose it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn ledger_entry(&self, id: DeliveryId) -> Result<(UserId, LedgerEntry), StoreError> {
        let gone = || StoreError::NotFound(format!("delivery {id}"));
        let row = self.read(delivery::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let entry = entry(row.ok_or_else(gone)?)?;
        let pair = self.read(pair::Entity::find_by_id(entry.pair.as_uuid()).one(&self.readers)).await?;
        Ok((UserId::from_uuid(pair.ok_or_else(gone)?.user_id), entry))
    }

    /// How many deliveries a filter finds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_ledger(&self, filter: &LedgerFilter) -> Result<u64, StoreError> {
        self.read(filter.select().count(&self.readers)).await
    }

    /// Puts dead letters back into their lanes, the oldest first, at most `limit`: each as it was when it was made, in its
    /// old place, with a fresh count of tries. Parts that are at the target stay there, and a part that may be keeps the
    /// time of its first try, by which its sender knows whether to look first. One that is not dead is left alone.
    ///
    /// With a job its progress is kept in the same transaction: whatever happens, each letter is counted once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay(
        &self,
        filter: &LedgerFilter,
        limit: u64,
        job: Option<(JobId, std::time::Duration)>,
    ) -> Result<(Replayed, Option<WorkJob>), StoreError> {
        let filter = LedgerFilter { state: Some(DeliveryState::Dead), ..filter.clone() };
        let (now, node) = (self.now(), self.parts.node.as_uuid());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let found = filter
                    .select()
                    .order_by_asc(delivery::Column::CreatedAt)
                    .order_by_asc(delivery::Column::Id)
                    .limit(limit)
                    .lock_exclusive()
                    .all(transaction)
                    .await
                    .map_err(failed)?;
                let over = u64::try_from(found.len()).is_ok_and(|found| found < limit);
                let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
                let lanes = revive(transaction, found).await?;
                let events = replay_events(transaction, &lanes).await?;
                // The job's progress is an event as well.
                hold_owners(transaction, &events).await?;
                let job = match job {
                    None => None,
                    Some((id, lease)) => {
                        let ended = over.then_some(JobState::Done);
                        let progress = JobProgress { done: count, ended, ..JobProgress::default() };
                        Some(advance(transaction, Advance { id, node, now, lease }, progress).await?)
                    }
                };
                publish(transaction, &events, now).await?;
                Ok((Replayed { count, lanes, over }, job))
            })
        });
        write.await
    }
}

/// Answers the lanes, each once.
async fn revive(
    transaction: &DatabaseTransaction,
    found: Vec<delivery::Model>,
) -> Result<Vec<(AccountId, PairId)>, StoreError> {
    let failed = |failure| run_time(&failure);
    let mut lanes = Vec::new();
    let mut unsent = Vec::new();
    for row in found {
        let lane = (AccountId::from_uuid(row.account_id), PairId::from_uuid(row.pair_id));
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
        let refused = matches!(dead_reason(row.dead.as_deref())?, Some(DeadReason::Refused(_)));
        if refused && row.tries == 0 && row.last_error.is_none() {
            unsent.push(row.id);
        }
        let change = delivery::ActiveModel {
            id: Set(row.id),
            state: Set(DeliveryState::Pending.as_str().to_owned()),
            tries: Set(0),
            not_before: Set(None),
            dead: Set(None),
            finished_at: Set(None),
            ..Default::default()
        };
        delivery::Entity::update(change).exec(transaction).await.map_err(failed)?;
    }
    // The only try of these was refused: they certainly are not at the target, and nobody has to look for them.
    if !unsent.is_empty() {
        delivery_part::Entity::update_many()
            .set(delivery_part::ActiveModel {
                state: Set(PartState::Queued.as_str().to_owned()),
                sending_since: Set(None),
                ..Default::default()
            })
            .filter(delivery_part::Column::DeliveryId.is_in(unsent))
            .filter(delivery_part::Column::State.eq(PartState::Sending.as_str()))
            .exec(transaction)
            .await
            .map_err(failed)?;
    }
    Ok(lanes)
}

async fn replay_events(
    transaction: &DatabaseTransaction,
    lanes: &[(AccountId, PairId)],
) -> Result<Vec<NewDomainEvent>, StoreError> {
    let pairs = pair::Entity::find()
        .filter(pair::Column::Id.is_in(lanes.iter().map(|(_, pair)| pair.as_uuid())))
        .select_only()
        .columns([pair::Column::Id, pair::Column::UserId])
        .into_tuple::<(Uuid, Uuid)>()
        .all(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    let event = |(pair, user): (Uuid, Uuid)| NewDomainEvent {
        topic: Topic::DeliveryReplayed,
        user: Some(UserId::from_uuid(user)),
        audience: Audience::User,
        subject: format!("pairs/{pair}"),
        body: json!({ "pair": pair }),
    };
    Ok(pairs.into_iter().map(event).collect())
}

fn dead_reason(text: Option<&str>) -> Result<Option<DeadReason>, StoreError> {
    let reason = text.map(serde_json::from_str).transpose();
    reason.map_err(|failure| unreadable("dead reason", failure))
}

fn entry(row: delivery::Model) -> Result<LedgerEntry, StoreError> {
    Ok(LedgerEntry {
        id: DeliveryId::from_uuid(row.id),
        pair: PairId::from_uuid(row.pair_id),
        account: AccountId::from_uuid(row.account_id),
        target: rows::place(&row.platform, row.chat, row.thread)?,
        source_chat: row.source_chat,
        source_message: row.source_message,
        action: rows::word(&row.action)?,
        state: rows::word(&row.state)?,
        tries: rows::count(row.tries)?,
        not_before: row.not_before,
        last_error: row.last_error,
        dead: dead_reason(row.dead.as_deref())?,
        created_at: row.created_at,
        finished_at: row.finished_at,
    })
}
