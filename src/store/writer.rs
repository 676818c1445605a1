//! How writes reach the disk: on SQLite in groups that share a transaction, on PostgreSQL each in its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use switchyard_actors::ports::StoreError;
use tokio::time::timeout;

use super::error;
use super::group_commit::{GroupCommit, GroupStats};
use super::pools::WRITING;

/// Runs write operations.
#[derive(Clone, Debug)]
pub(super) enum Writer {
    /// SQLite: one writer, whose waiting operations share a sync to disk.
    Grouped(Arc<GroupCommit>),
    /// PostgreSQL: the server groups commits itself.
    Direct {
        pool: DatabaseConnection,
        /// How long an operation may take in all, also when the server no longer answers.
        limit: Duration,
    },
    /// The store was opened for looking only.
    Refused,
}

impl Writer {
    /// Runs an operation in a transaction and answers after its commit. An operation that fails leaves nothing behind.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        match self {
            Self::Grouped(group) => group.run(operation).await,
            Self::Direct { pool, limit } => {
                timeout(*limit, alone(pool, operation)).await.unwrap_or_else(|_| Err(too_long(*limit)))
            }
            Self::Refused => Err(read_only()),
        }
    }

    /// As [`Self::run`], however long it takes.
    pub(super) async fn run_unbounded<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        match self {
            Self::Grouped(group) => group.run(operation).await,
            Self::Direct { pool, .. } => alone(pool, operation).await,
            Self::Refused => Err(read_only()),
        }
    }

    /// How many operations shared how many transactions.
    pub(super) fn stats(&self) -> Option<GroupStats> {
        match self {
            Self::Grouped(group) => Some(group.stats()),
            Self::Direct { .. } | Self::Refused => None,
        }
    }

    /// Ends after what was accepted is on the disk.
    pub(super) async fn close(&self) {
        match self {
            Self::Grouped(group) => group.close().await,
            Self::Refused => {}
            Self::Direct { pool, .. } => {
                // A failure to say goodbye loses nothing: every commit was answered.
                if let Err(error) = pool.close_by_ref().await {
                    tracing::warn!(%error, "database connections were not closed cleanly");
                }
            }
        }
    }
}

fn read_only() -> StoreError {
    StoreError::Failed("the store was opened for reading only".to_owned())
}

pub(super) fn too_long(limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("no answer within {} s", limit.as_secs()))
}

async fn alone<T, F>(pool: &DatabaseConnection, operation: F) -> Result<T, StoreError>
where
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, StoreError>> + Send,
{
    let failed = |failure| error::run_time(&failure);
    let transaction = pool.begin_with_options(WRITING).await.map_err(failed)?;
    match operation(&transaction).await {
        Ok(value) => {
            transaction.commit().await.map_err(failed)?;
            Ok(value)
        }
        Err(refused) => {
            // Dropping rolls back too; the operation's own error says more than a failed rollback.
            if let Err(error) = transaction.rollback().await {
                tracing::debug!(%error, "rollback failed");
            }
            Err(refused)
        }
    }
}
