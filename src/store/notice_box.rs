//! The bot's outbox: who works on it, what is due, what became of it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{ClaimedNotice, DueNotice, NoticeBox, NoticeId, NoticeVerdict, StoreError};

use super::entity::{bot_chat, bot_state, notice};
use super::error::{run_time, unreadable};
use super::{Store, announcements, notice_claims};

/// The one row of `bot_state`.
pub(super) const BOT: i32 = 1;
/// Rows that one read brings at most.
const ROWS_MAX: u64 = 10_000;

/// The states of a message of the bot.
pub(super) mod notice_state {
    pub(in crate::store) const WAITING: &str = "waiting";
    pub(in crate::store) const SENDING: &str = "sending";
    pub(in crate::store) const SENT: &str = "sent";
    pub(in crate::store) const SKIPPED: &str = "skipped";
    pub(in crate::store) const FAILED: &str = "failed";
    pub(in crate::store) const UNREACHABLE: &str = "unreachable";
    pub(in crate::store) const UNCERTAIN: &str = "uncertain";
    pub(in crate::store) const CANCELLED: &str = "cancelled";
}
use notice_state::{FAILED, SENDING, SENT, UNCERTAIN, UNREACHABLE, WAITING};

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl NoticeBox for Store {
    async fn hold_bot(&self, ttl: Duration) -> Result<Option<i64>, StoreError> {
        let (now, node) = (self.now(), self.parts.node.as_uuid());
        let until = now.saturating_add(millis(ttl));
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let first = bot_state::ActiveModel {
                    id: Set(BOT),
                    node_id: Set(None),
                    lease_until: Set(0),
                    next_update: Set(0),
                };
                bot_state::Entity::insert(first)
                    .on_conflict(OnConflict::column(bot_state::Column::Id).do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                let taken = bot_state::Entity::update_many()
                    .col_expr(bot_state::Column::NodeId, Expr::value(node))
                    .col_expr(bot_state::Column::LeaseUntil, Expr::value(until))
                    .filter(bot_state::Column::Id.eq(BOT))
                    .filter(
                        Condition::any()
                            .add(bot_state::Column::NodeId.eq(node))
                            .add(bot_state::Column::NodeId.is_null())
                            .add(bot_state::Column::LeaseUntil.lte(now)),
                    )
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                if taken.rows_affected == 0 {
                    return Ok(None);
                }
                let row = bot_state::Entity::find_by_id(BOT).one(transaction).await.map_err(failed)?;
                Ok(row.map(|row| row.next_update))
            })
        });
        write.await
    }

    async fn release_bot(&self) -> Result<(), StoreError> {
        let node = self.parts.node.as_uuid();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                bot_state::Entity::update_many()
                    .col_expr(bot_state::Column::LeaseUntil, Expr::value(0_i64))
                    .filter(bot_state::Column::NodeId.eq(node))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_released| ())
    }

    async fn recover_notices(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let lost = "the process ended before the answer";
                let uncertain = notice::Entity::update_many()
                    .col_expr(notice::Column::State, Expr::value(UNCERTAIN))
                    .col_expr(notice::Column::Outcome, Expr::value(lost))
                    .col_expr(notice::Column::FinishedAt, Expr::value(now))
                    .filter(notice::Column::State.eq(SENDING))
                    .filter(notice::Column::Once.eq(true))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                let again = notice::Entity::update_many()
                    .col_expr(notice::Column::State, Expr::value(WAITING))
                    .col_expr(notice::Column::Outcome, Expr::value(lost))
                    .filter(notice::Column::State.eq(SENDING))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                Ok(uncertain.rows_affected + again.rows_affected)
            })
        });
        write.await
    }

    async fn sent_lately(&self, within: Duration) -> Result<Vec<(ChatId, Duration)>, StoreError> {
        let now = self.now();
        let since = now.saturating_sub(millis(within));
        let found = notice::Entity::find()
            .filter(notice::Column::FinishedAt.gt(since))
            .filter(notice::Column::ClaimedAt.is_not_null())
            .order_by_asc(notice::Column::FinishedAt)
            .limit(ROWS_MAX)
            .select_only()
            .columns([notice::Column::ChatId, notice::Column::FinishedAt])
            .into_tuple::<(i64, i64)>();
        let found = self.read(found.all(&self.readers)).await?;
        let lately = found.into_iter().map(|(chat, at)| {
            let ago = u64::try_from(now.saturating_sub(at)).unwrap_or(0);
            Ok((chat_of(chat)?, Duration::from_millis(ago)))
        });
        lately.collect()
    }

    async fn due_notices(&self, limit: u32) -> Result<Vec<DueNotice>, StoreError> {
        let other = Alias::new("earlier");
        let column = |column: notice::Column| Expr::col((notice::Entity, column));
        let earlier = |column: notice::Column| Expr::col((other.clone(), column));
        // Of one chat only the oldest goes; whatever is on its way to a chat goes first.
        let before = Query::select()
            .expr(Expr::val(1))
            .from_as(notice::Entity, other.clone())
            .and_where(earlier(notice::Column::ChatId).equals((notice::Entity, notice::Column::ChatId)))
            .cond_where(
                Condition::any().add(earlier(notice::Column::State).eq(SENDING)).add(
                    Condition::all()
                        .add(earlier(notice::Column::State).eq(WAITING))
                        .add(
                            earlier(notice::Column::Priority)
                                .equals((notice::Entity, notice::Column::Priority)),
                        )
                        .add(earlier(notice::Column::Seq).lt(column(notice::Column::Seq))),
                ),
            )
            .take();
        let due = notice::Entity::find()
            .filter(notice::Column::State.eq(WAITING))
            .filter(notice::Column::NextAt.lte(self.now()))
            .filter(Expr::exists(before).not())
            .order_by_asc(notice::Column::Priority)
            .order_by_asc(notice::Column::Seq)
            .limit(u64::from(limit))
            .select_only()
            .columns([notice::Column::Seq, notice::Column::ChatId])
            .into_tuple::<(i64, i64)>();
        let due = self.read(due.all(&self.readers)).await?;
        due.into_iter()
            .map(|(id, chat)| Ok(DueNotice { id: NoticeId::new(id), chat: chat_of(chat)? }))
            .collect()
    }

    async fn claim_notice(&self, id: NoticeId) -> Result<Option<ClaimedNotice>, StoreError> {
        let (now, node) = (self.now(), self.parts.node.as_uuid());
        let rules = self.announcing.clone();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move { notice_claims::claim(transaction, id, node, now, &rules).await })
        });
        write.await
    }

    async fn settle_notice(&self, id: NoticeId, verdict: &NoticeVerdict) -> Result<(), StoreError> {
        let (now, verdict) = (self.now(), verdict.clone());
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { settle(transaction, id, verdict, now).await }));
        write.await
    }

    async fn advance_announcements(&self, limit: u32) -> Result<bool, StoreError> {
        let now = self.now();
        if !announcements::is_anything_to_do(self, now).await? {
            return Ok(false);
        }
        let write = self.writer.run(move |transaction| {
            Box::pin(async move { announcements::advance(transaction, now, limit).await })
        });
        write.await
    }

    async fn purge_notices(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let old = notice::Entity::find()
            .filter(notice::Column::FinishedAt.lt(before.timestamp_millis()))
            .filter(notice::Column::AnnouncementId.is_null())
            .limit(Ord::min(u64::from(limit), ROWS_MAX))
            .select_only()
            .column(notice::Column::Seq)
            .into_tuple::<i64>();
        let old = self.read(old.all(&self.readers)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let gone = notice::Entity::delete_many().filter(notice::Column::Seq.is_in(old));
                gone.exec(transaction).await.map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|gone| gone.rows_affected)
    }
}

pub(super) fn chat_of(id: i64) -> Result<ChatId, StoreError> {
    ChatId::new(id).map_err(|failure| unreadable("chat", failure))
}

async fn settle(
    transaction: &DatabaseTransaction,
    id: NoticeId,
    verdict: NoticeVerdict,
    now: i64,
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let row = notice::Entity::find_by_id(id.get()).one(transaction).await.map_err(failed)?;
    // Deleted with its user meanwhile, or settled already.
    let Some(row) = row.filter(|row| [SENDING, UNCERTAIN].contains(&row.state.as_str())) else {
        return Ok(());
    };
    let (chat, tries) = (row.chat_id, row.tries);
    let mut row = row.into_active_model();
    row.finished_at = Set(Some(now));
    match verdict {
        NoticeVerdict::Sent { message } => {
            (row.state, row.message_id, row.outcome) = (Set(SENT.to_owned()), Set(Some(message)), Set(None));
        }
        NoticeVerdict::Again { at, counts, error } => {
            (row.state, row.outcome) = (Set(WAITING.to_owned()), Set(Some(error)));
            (row.next_at, row.finished_at) = (Set(at.timestamp_millis()), Set(None));
            row.tries = Set(tries.saturating_add(i32::from(counts)));
        }
        NoticeVerdict::Failed { error } => {
            (row.state, row.outcome) = (Set(FAILED.to_owned()), Set(Some(error)));
        }
        NoticeVerdict::Uncertain { error } => {
            (row.state, row.outcome) = (Set(UNCERTAIN.to_owned()), Set(Some(error)));
        }
        NoticeVerdict::Unreachable { error } => {
            unreachable(transaction, chat, &error).await?;
            (row.state, row.outcome) = (Set(UNREACHABLE.to_owned()), Set(Some(error)));
        }
        NoticeVerdict::Moved { to } => {
            (row.state, row.chat_id, row.finished_at) = (Set(WAITING.to_owned()), Set(to.get()), Set(None));
        }
    }
    row.update(transaction).await.map_err(failed)?;
    Ok(())
}

/// Marks a chat: nothing goes there until somebody writes from it.
pub(super) async fn unreachable(
    transaction: &DatabaseTransaction,
    chat: i64,
    reason: &str,
) -> Result<(), StoreError> {
    bot_chat::Entity::update_many()
        .col_expr(bot_chat::Column::Unreachable, Expr::value(reason))
        .filter(bot_chat::Column::ChatId.eq(chat))
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(())
}
