//! Orders with an idempotency key: who carries one out, and the answer that the next tries get.
//!
//! A row is made before the order is carried out, and holds the answer after it. In between it is a lease: of several tries
//! one goes on, the others are told to wait. A try whose daemon died leaves a lease that ends; the next one then carries the
//! order out again. An answer may hold what is shown once only: it is sealed under the key of the user whose it is, or the
//! system's. The order itself is not kept, only a keyed hash of it, since it may hold a password.

use std::time::Duration;

use ring::hmac;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::Store;
use super::entity::idempotency_key::{ActiveModel, Column, Entity, Model};
use super::error::run_time;
use super::sealing::{open_secret, seal_secret};

const USER_ANSWER: (&str, &str) = ("idempotency_keys", "user_answer");
const SYSTEM_ANSWER: (&str, &str) = ("idempotency_keys", "system_answer");

/// Times that the row is looked at again because another try was faster.
const TRIES: usize = 5;

/// An order that came with a key.
#[derive(Clone, Debug)]
pub struct KeyedOrder {
    /// Whose keys it is among: `user/…`, `admin/…`, `operator`, `address/…`.
    pub owner: String,
    /// The user whose data goes with it.
    pub user: Option<UserId>,
    /// The operation's name. A key is good for one order of each operation.
    pub operation: String,
    /// The key.
    pub key: String,
    /// What was ordered: method, path and body, all of it.
    pub order: Vec<u8>,
    /// Whether another order under the same key is simply another one: where callers cannot be told apart.
    pub by_content: bool,
}

/// Bounds for one order.
#[derive(Clone, Copy, Debug)]
pub struct KeyBounds {
    /// How long one try may take, and nobody else tries.
    pub lease: Duration,
    /// How long the answer is kept.
    pub keep: Duration,
    /// Keys that one owner may have.
    pub keys_max: u64,
}

/// A try that is under way.
#[derive(Clone, Debug)]
pub struct Attempt {
    id: String,
    user: Option<UserId>,
    attempt: Uuid,
    lease: Duration,
}

impl Attempt {
    /// How long it may take: nobody else tries until then, and a little longer.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.lease.mul_f64(0.9)
    }
}

/// What a key says.
#[derive(Debug)]
pub enum KeyState {
    /// Carry it out, then tell [`Store::finish_order`] or [`Store::release_order`].
    Yours(Attempt),
    /// It was carried out, and this was answered.
    Answered(SecretSlice<u8>),
    /// It is being carried out; by then it is over one way or another.
    UnderWay(Duration),
    /// The key belongs to another order.
    Other,
    /// The owner has too many keys.
    TooMany,
}

enum Found {
    Yours,
    Answered(Vec<u8>),
    UnderWay(i64),
    Other,
    TooMany,
    Changed,
}

impl Store {
    /// Looks a key up, and takes the order on if it is a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_order(&self, order: &KeyedOrder, bounds: KeyBounds) -> Result<KeyState, StoreError> {
        let key = self.derive("idempotency keys").await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        let content: &[u8] = if order.by_content { &order.order } else { &[] };
        let parts = [order.owner.as_bytes(), order.operation.as_bytes(), order.key.as_bytes(), content];
        let id = hex::encode(tag(&key, &parts));
        let fingerprint = tag(&key, &[&order.order]);
        let attempt =
            Attempt { id: id.clone(), user: order.user, attempt: self.parts.ids.uuid(), lease: bounds.lease };
        for _ in 0..TRIES {
            let now = self.now();
            let row = Model {
                id: id.clone(),
                owner: order.owner.clone(),
                user_id: order.user.map(|user| user.as_uuid()),
                fingerprint: fingerprint.clone(),
                attempt: attempt.attempt,
                lease_until: now.saturating_add(millis(bounds.lease)),
                user_answer: None,
                system_answer: None,
                expires_at: now.saturating_add(millis(bounds.keep)),
            };
            let write = self.writer.run(move |transaction| {
                Box::pin(async move { look(transaction, row, now, bounds.keys_max).await })
            });
            return Ok(match write.await? {
                Found::Yours => KeyState::Yours(attempt),
                Found::Answered(blob) => KeyState::Answered(self.open_answer(order.user, &id, &blob).await?),
                Found::UnderWay(until) => {
                    let left = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
                    KeyState::UnderWay(Duration::from_millis(left))
                }
                Found::Other => KeyState::Other,
                Found::TooMany => KeyState::TooMany,
                Found::Changed => continue,
            });
        }
        Err(StoreError::Unavailable("the order changes faster than it can be read".to_owned()))
    }

    /// Keeps the answer of an order that was carried out. One that another try has taken over since stays that one's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_order(&self, attempt: &Attempt, answer: &SecretSlice<u8>) -> Result<(), StoreError> {
        let row = attempt.id.as_bytes();
        let (column, sealed) = match attempt.user {
            Some(user) => {
                (Column::UserAnswer, seal_secret(&*self.data_key(user).await?, USER_ANSWER, row, answer)?)
            }
            None => {
                (Column::SystemAnswer, self.seal_system(SYSTEM_ANSWER, row, answer.expose_secret()).await?)
            }
        };
        let attempt = attempt.clone();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                Entity::update_many()
                    .filter(Column::Id.eq(attempt.id))
                    .filter(Column::Attempt.eq(attempt.attempt))
                    .col_expr(column, Expr::value(Some(sealed)))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_updated| ())
    }

    /// Gives back the key of an order of which nothing was done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_order(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let attempt = attempt.clone();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                Entity::delete_many()
                    .filter(Column::Id.eq(attempt.id))
                    .filter(Column::Attempt.eq(attempt.attempt))
                    .filter(Column::UserAnswer.is_null())
                    .filter(Column::SystemAnswer.is_null())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_deleted| ())
    }

    async fn open_answer(
        &self,
        user: Option<UserId>,
        id: &str,
        blob: &[u8],
    ) -> Result<SecretSlice<u8>, StoreError> {
        match user {
            Some(user) => open_secret(&*self.data_key(user).await?, USER_ANSWER, id.as_bytes(), blob),
            None => self.open_system(SYSTEM_ANSWER, id.as_bytes(), blob).await,
        }
    }
}

/// Decides what a try finds. Of two that come at once on PostgreSQL one waits for the other's row.
async fn look(
    transaction: &DatabaseTransaction,
    row: Model,
    now: i64,
    keys_max: u64,
) -> Result<Found, StoreError> {
    let failed = |failure| run_time(&failure);
    let found = Entity::find_by_id(row.id.clone()).lock_exclusive().one(transaction).await.map_err(failed)?;
    let Some(found) = found else { return insert(transaction, row, keys_max).await };
    if found.expires_at > now {
        if found.fingerprint != row.fingerprint {
            return Ok(Found::Other);
        }
        if let Some(answer) = found.user_answer.or(found.system_answer) {
            return Ok(Found::Answered(answer));
        }
        if found.lease_until > now {
            return Ok(Found::UnderWay(found.lease_until));
        }
    }
    let taken = Entity::update_many()
        .filter(Column::Id.eq(row.id))
        .col_expr(Column::Fingerprint, Expr::value(row.fingerprint))
        .col_expr(Column::Attempt, Expr::value(row.attempt))
        .col_expr(Column::LeaseUntil, Expr::value(row.lease_until))
        .col_expr(Column::UserAnswer, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::SystemAnswer, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::ExpiresAt, Expr::value(row.expires_at))
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(if taken.rows_affected > 0 { Found::Yours } else { Found::Changed })
}

async fn insert(transaction: &DatabaseTransaction, row: Model, keys_max: u64) -> Result<Found, StoreError> {
    let failed = |failure| run_time(&failure);
    let known = Entity::find().filter(Column::Owner.eq(row.owner.clone())).count(transaction).await;
    if known.map_err(failed)? >= keys_max {
        return Ok(Found::TooMany);
    }
    let row = ActiveModel {
        id: Set(row.id),
        owner: Set(row.owner),
        user_id: Set(row.user_id),
        fingerprint: Set(row.fingerprint),
        attempt: Set(row.attempt),
        lease_until: Set(row.lease_until),
        user_answer: Set(row.user_answer),
        system_answer: Set(row.system_answer),
        expires_at: Set(row.expires_at),
    };
    let made = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await
        .map_err(failed)?;
    Ok(if made > 0 { Found::Yours } else { Found::Changed })
}

/// Deletes keys whose time is over, at most `limit`.
pub(super) async fn purge(
    transaction: &DatabaseTransaction,
    now: i64,
    limit: u64,
) -> Result<u64, StoreError> {
    let failed = |failure| run_time(&failure);
    let gone = Entity::find()
        .filter(Column::ExpiresAt.lt(now))
        .order_by_asc(Column::ExpiresAt)
        .limit(limit)
        .select_only()
        .column(Column::Id)
        .into_tuple::<String>()
        .all(transaction)
        .await
        .map_err(failed)?;
    if gone.is_empty() {
        return Ok(0);
    }
    let removed = Entity::delete_many().filter(Column::Id.is_in(gone)).filter(Column::ExpiresAt.lt(now));
    Ok(removed.exec(transaction).await.map_err(failed)?.rows_affected)
}

/// A keyed hash over parts, each with its length.
fn tag(key: &hmac::Key, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
