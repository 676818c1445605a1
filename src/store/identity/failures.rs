//! Failed sign-ins: counted before the password is looked at, so that many at once count as many.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use switchyard_actors::ports::StoreError;

use super::super::Store;
use super::super::entity::login_failure;
use super::super::error::run_time;
use crate::crypto::Tag;

/// How a subject of failures is slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Failures that cost nothing but the answer.
    pub free: u32,
    /// The first delay; each further failure doubles it.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl AttemptLimit {
    /// The delay after so many failures.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        match failures.saturating_sub(self.free) {
            0 => Duration::ZERO,
            over => {
                let factor = 2_u32.checked_pow(over.saturating_sub(1)).unwrap_or(u32::MAX);
                self.first.saturating_mul(factor).min(self.longest)
            }
        }
    }
}

/// An attempt to sign in: whom and whence it is counted against, and for how long that is remembered.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Keyed hashes of the subjects, each with its limit.
    pub subjects: Vec<(Tag, AttemptLimit)>,
    /// After how long without a failure the earlier ones are forgotten.
    pub kept: Duration,
    /// Failures that are remembered in all.
    pub rows_max: u32,
}

impl Store {
    /// Counts an attempt as failed against all its subjects. When one of them is to wait, nothing is counted, and the answer
    /// is until when, Unix milliseconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_attempt(&self, attempt: Attempt) -> Result<Option<i64>, StoreError> {
        let now = self.now();
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { begin(transaction, attempt, now).await }));
        write.await
    }

    /// The attempt was no failure: `forgotten` subjects begin anew, the others are as before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgive_attempt(&self, forgotten: Vec<Tag>, lowered: Vec<Tag>) -> Result<(), StoreError> {
        let bytes = |tags: Vec<Tag>| -> Vec<Vec<u8>> { tags.iter().map(|tag| tag.to_vec()).collect() };
        let (forgotten, lowered) = (bytes(forgotten), bytes(lowered));
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use login_failure::Column as F;
                let failed = |failure: DbErr| run_time(&failure);
                login_failure::Entity::delete_many()
                    .filter(F::Subject.is_in(forgotten))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                login_failure::Entity::update_many()
                    .col_expr(F::Failures, Expr::col(F::Failures).sub(1))
                    .col_expr(F::BlockedUntil, Expr::value(0_i64))
                    .filter(F::Subject.is_in(lowered))
                    .filter(F::Failures.gt(0))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                Ok(())
            })
        });
        write.await
    }
}

async fn begin(
    transaction: &DatabaseTransaction,
    attempt: Attempt,
    now: i64,
) -> Result<Option<i64>, StoreError> {
    use login_failure::Column as F;
    let failed = |failure: DbErr| run_time(&failure);
    let kept = i64::try_from(attempt.kept.as_millis()).unwrap_or(i64::MAX);
    let Attempt { mut subjects, rows_max, .. } = attempt;
    // One order for all, so that two attempts never wait for each other in a circle.
    subjects.sort_by_key(|(tag, _)| *tag);
    let mut rows = Vec::with_capacity(subjects.len());
    for (tag, limit) in &subjects {
        let fresh = login_failure::ActiveModel {
            subject: Set(tag.to_vec()),
            failures: Set(0),
            last_at: Set(now),
            blocked_until: Set(0),
        };
        login_failure::Entity::insert(fresh)
            .on_conflict(OnConflict::column(F::Subject).do_nothing().to_owned())
            .exec_without_returning(transaction)
            .await
            .map_err(failed)?;
        let row = login_failure::Entity::find_by_id(tag.to_vec())
            .lock(LockType::Update)
            .one(transaction)
            .await
            .map_err(failed)?;
        rows.extend(row.map(|row| (row, *limit)));
    }
    let waits = rows.iter().map(|(row, _)| row.blocked_until).filter(|until| *until > now).max();
    if waits.is_some() {
        return Ok(waits);
    }
    for (row, limit) in rows {
        let before = if row.last_at.saturating_add(kept) <= now { 0 } else { row.failures };
        let failures = before.saturating_add(1);
        let delay = limit.delay(u32::try_from(failures).unwrap_or(u32::MAX));
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        login_failure::Entity::update_many()
            .col_expr(F::Failures, Expr::value(failures))
            .col_expr(F::LastAt, Expr::value(now))
            .col_expr(F::BlockedUntil, Expr::value(if delay > 0 { now.saturating_add(delay) } else { 0 }))
            .filter(F::Subject.eq(row.subject))
            .exec(transaction)
            .await
            .map_err(failed)?;
    }
    forget(transaction, now.saturating_sub(kept), rows_max).await?;
    Ok(None)
}

/// Deletes what is old, and the oldest of too many: a few at a time, as few are added at a time.
async fn forget(transaction: &DatabaseTransaction, before: i64, rows_max: u32) -> Result<(), StoreError> {
    use login_failure::Column as F;
    const AT_A_TIME: u64 = 10;
    let failed = |failure: DbErr| run_time(&failure);
    let oldest = login_failure::Entity::find()
        .order_by_asc(F::LastAt)
        .limit(AT_A_TIME)
        .all(transaction)
        .await
        .map_err(failed)?;
    let all = login_failure::Entity::find().count(transaction).await.map_err(failed)?;
    let beyond = usize::try_from(all.saturating_sub(u64::from(rows_max))).unwrap_or(usize::MAX);
    let gone: Vec<Vec<u8>> = oldest
        .into_iter()
        .enumerate()
        .filter(|(place, row)| *place < beyond || row.last_at < before)
        .map(|(_, row)| row.subject)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    login_failure::Entity::delete_many()
        .filter(F::Subject.is_in(gone))
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let limit = AttemptLimit { free: 5, first: second, longest: second * 900 };
        let seconds = [(5, 0), (6, 1), (7, 2), (8, 4), (15, 512), (16, 900), (1_000, 900)];
        for (failures, wait) in seconds {
            assert_eq!(limit.delay(failures).as_secs(), wait, "after {failures}");
        }
    }
}
