//! Fencing: a write for an account is refused unless its writer still owns the account.

use sea_orm::sea_query::LockType;
use sea_orm::{DatabaseTransaction, EntityTrait, QuerySelect};
use switchyard_actors::model::Fence;
use switchyard_actors::ports::StoreError;

use super::entity::assignment;
use super::error::run_time;

/// How a writer holds the assignment until its commit. On SQLite there is one writer anyway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// No new assignment meanwhile.
    Shared,
    /// And no other writer of this kind: intake, whose order is that of its commits.
    Alone,
}

/// Refuses a writer whose assignment is no longer the account's.
pub(super) async fn check(
    transaction: &DatabaseTransaction,
    fence: Fence,
    hold: Hold,
) -> Result<(), StoreError> {
    let lock = match hold {
        Hold::Shared => LockType::Share,
        Hold::Alone => LockType::NoKeyUpdate,
    };
    let row = assignment::Entity::find_by_id(fence.account.as_uuid())
        .lock(lock)
        .one(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    if row.is_some_and(|row| is_held(&row, fence)) { Ok(()) } else { Err(StoreError::Fenced(fence)) }
}

/// Whether this is the account's assignment.
pub(super) fn is_held(row: &assignment::Model, fence: Fence) -> bool {
    row.node_id == fence.node.as_uuid() && row.epoch == fence.epoch.get()
}
