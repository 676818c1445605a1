//! How often the API may be called: all subjects of a request (user, key, address) at once, all or none of them.
//!
//! On PostgreSQL, which several nodes share, one statement decides and notes: exact whoever asks where. On SQLite, which
//! belongs to one daemon, the counts are in memory; a few requests at a time are booked in the store before they are
//! granted, so that a crash never gives back what was taken, and costs a subject at most its booking.

mod memory;
mod shared;
mod window;

use std::num::NonZeroUsize;
use std::time::Duration;

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::ports::StoreError;

use super::entity::rate_limit;
use super::error::{run_time, unreadable};
use super::{Store, StoreTarget};

pub use window::ApiLimit;

use memory::Memory;
use shared::Shared;
use window::{SLOTS, Window};

/// Bounds of the rate limits.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitsConfig {
    /// Subjects kept in memory. On SQLite those that called of late; on PostgreSQL those that are refused just now.
    pub subjects_max: NonZeroUsize,
}

/// Whose requests are counted, against what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Names the subject among all of them, such as `user/0190…`.
    pub subject: String,
    /// Its limit.
    pub limit: ApiLimit,
}

impl Asked {
    /// The row's key. The window is part of it: counts of slots of another length mean something else.
    fn row(&self) -> String {
        format!("{}/{}ms", self.subject, self.limit.window.as_millis())
    }
}

/// How a subject stands after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests left in the window.
    pub remaining: u32,
    /// Until the next one comes back: with none left, until one is granted.
    pub reset: Duration,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it was counted for every subject; if not, for none.
    pub granted: bool,
    /// How each subject stands, in the order of the question; none where a refusal was told from memory.
    pub standings: Vec<Option<Standing>>,
}

/// Counts requests.
pub struct RateLimits(Engine);

enum Engine {
    Memory(Memory),
    Shared(Shared),
}

impl RateLimits {
    /// Over a store. Where it is SQLite there must be one of these only.
    #[must_use]
    pub fn new(store: Store, config: RateLimitsConfig) -> Self {
        let subjects_max = config.subjects_max.get();
        Self(match store.target {
            StoreTarget::Sqlite(_) => Engine::Memory(Memory::new(store, subjects_max)),
            StoreTarget::Postgres => Engine::Shared(Shared::new(store, subjects_max)),
        })
    }

    /// Counts one request for all of these subjects, which are different ones, if none of them is at its limit.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was granted then.
    pub async fn take(&self, asked: &[Asked]) -> Result<Taken, StoreError> {
        match &self.0 {
            Engine::Memory(memory) => memory.take(asked).await,
            Engine::Shared(shared) => shared.take(asked).await,
        }
    }

    /// Subjects in memory.
    #[must_use]
    pub fn subjects(&self) -> usize {
        match &self.0 {
            Engine::Memory(memory) => memory.subjects(),
            Engine::Shared(shared) => shared.subjects(),
        }
    }
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimits").field("subjects", &self.subjects()).finish()
    }
}

/// How a window that was advanced to now stands.
fn standing(window: &Window, limit: ApiLimit, now: i64) -> Standing {
    let requests = limit.requests.get();
    let used = window.used();
    // With some left, the next to come back is the oldest.
    let next = window.below(if used < requests { used } else { requests });
    let reset = next.map_or(0, |slot| slot.saturating_mul(limit.slot_ms()).saturating_sub(now));
    Standing {
        remaining: requests.saturating_sub(used),
        reset: Duration::from_millis(u64::try_from(reset).unwrap_or(0)),
    }
}

fn decode(counts: &str) -> Result<Window, StoreError> {
    Window::decode(counts).ok_or_else(|| unreadable("rate limit", "its counts are no list of slots"))
}

/// When a row says nothing any more, Unix milliseconds.
fn expires_at(window: &Window, limit: ApiLimit) -> i64 {
    window.last().unwrap_or(0).saturating_add(SLOTS + 1).saturating_mul(limit.slot_ms())
}

/// Deletes rows that say nothing any more, at most `limit`.
pub(super) async fn purge(
    transaction: &DatabaseTransaction,
    now: i64,
    limit: u64,
) -> Result<u64, StoreError> {
    let failed = |failure| run_time(&failure);
    let gone = rate_limit::Entity::find()
        .filter(rate_limit::Column::ExpiresAt.lt(now))
        .order_by_asc(rate_limit::Column::ExpiresAt)
        .limit(limit)
        .select_only()
        .column(rate_limit::Column::Subject)
        .into_tuple::<String>()
        .all(transaction)
        .await
        .map_err(failed)?;
    if gone.is_empty() {
        return Ok(0);
    }
    let removed = rate_limit::Entity::delete_many()
        .filter(rate_limit::Column::Subject.is_in(gone))
        .filter(rate_limit::Column::ExpiresAt.lt(now));
    Ok(removed.exec(transaction).await.map_err(failed)?.rows_affected)
}
