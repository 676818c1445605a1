//! SQLite's one writer: operations that wait at the same time share a transaction, so that one sync to disk serves all.
//!
//! Each runs in a savepoint: one that fails is undone alone. All are answered after the commit. When the transaction
//! itself is lost (a full disk may roll it back by itself), every operation of the group fails and the connection is made
//! anew, since its savepoints no longer stand for anything.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use switchyard_actors::ports::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error;
use super::pools::{SAVEPOINT, WRITING};

/// Makes the writing connection anew.
pub(super) type Reconnect =
    Box<dyn Fn() -> BoxFuture<'static, Result<DatabaseConnection, DbErr>> + Send + Sync>;

/// How many operations shared how many transactions, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Operations that were run.
    pub operations: u64,
    /// Transactions that were begun for them.
    pub transactions: u64,
}

#[derive(Debug, Default)]
struct Counters {
    operations: AtomicU64,
    transactions: AtomicU64,
}

/// The queue in front of SQLite's writing connection.
#[derive(Debug)]
pub(super) struct GroupCommit {
    queue: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    task: TaskTracker,
    counters: Arc<Counters>,
}

impl GroupCommit {
    /// Starts the writer. `waiting_max` operations may wait, `group_max` share a transaction.
    pub(super) fn start(
        connection: DatabaseConnection,
        reconnect: Reconnect,
        waiting_max: usize,
        group_max: usize,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(waiting_max.max(1));
        let closing = CancellationToken::new();
        let counters = Arc::new(Counters::default());
        let writer = Connection { connection, reconnect, counters: Arc::clone(&counters) };
        let task = TaskTracker::new();
        task.spawn(writer.serve(waiting, group_max.max(1), closing.clone()));
        task.close();
        Self { queue, closing, task, counters }
    }

    /// Waits for a place in the queue, then for the commit. The operation runs to its end even if the caller goes away.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Operation { operation: Some(operation), outcome: None, reply });
        self.queue.send(job).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn stats(&self) -> GroupStats {
        GroupStats {
            operations: self.counters.operations.load(Ordering::Relaxed),
            transactions: self.counters.transactions.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// One waiting operation, whatever it answers.
trait Job: Send {
    /// Runs it; on an error the savepoint must be undone.
    fn run<'t>(&'t mut self, transaction: &'t DatabaseTransaction) -> BoxFuture<'t, Result<(), StoreError>>;

    /// Answers the caller: the operation's own outcome, or that of the lost transaction.
    fn settle(self: Box<Self>, lost: Option<&StoreError>);
}

struct Operation<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
{
    fn run<'t>(&'t mut self, transaction: &'t DatabaseTransaction) -> BoxFuture<'t, Result<(), StoreError>> {
        async move {
            let Some(operation) = self.operation.take() else { return Ok(()) };
            // A panic in one operation must not take the writer from all others.
            let run = AssertUnwindSafe(async move { operation(transaction).await });
            let outcome = run
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(StoreError::Failed("a write operation panicked".to_owned())));
            let verdict = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
            self.outcome = Some(outcome);
            verdict
        }
        .boxed()
    }

    fn settle(self: Box<Self>, lost: Option<&StoreError>) {
        let answer = match (self.outcome, lost) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(lost)) => Err(lost.clone()),
            (Some(done), None) => done,
            (None, None) => Err(StoreError::Failed("a write operation was not run".to_owned())),
        };
        // The caller may have gone away; the write stands all the same.
        let _gone = self.reply.send(answer);
    }
}

/// The writing end.
struct Connection {
    connection: DatabaseConnection,
    reconnect: Reconnect,
    counters: Arc<Counters>,
}

impl Connection {
    async fn serve(
        mut self,
        mut waiting: mpsc::Receiver<Box<dyn Job>>,
        group_max: usize,
        closing: CancellationToken,
    ) {
        let mut group = Vec::with_capacity(group_max);
        loop {
            // After the closing call no operation is accepted any more, and those that wait are still written.
            let taken = tokio::select! {
                biased;
                taken = waiting.recv_many(&mut group, group_max) => taken,
                () = closing.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            };
            if taken == 0 {
                break;
            }
            let lost = self.commit(&mut group).await.err();
            if let Some(error) = &lost {
                tracing::warn!(%error, operations = taken, "a group of writes was lost and is answered so");
                self.reopen().await;
            }
            for job in group.drain(..) {
                job.settle(lost.as_ref());
            }
        }
        if let Err(error) = self.connection.close_by_ref().await {
            tracing::warn!(%error, "the writing connection was not closed cleanly");
        }
    }

    async fn commit(&self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let failed = |failure| error::run_time(&failure);
        let operations = u64::try_from(group.len()).unwrap_or(u64::MAX);
        self.counters.operations.fetch_add(operations, Ordering::Relaxed);
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        let transaction = self.connection.begin_with_options(WRITING).await.map_err(failed)?;
        if let [job] = group {
            return match job.run(&transaction).await {
                Ok(()) => transaction.commit().await.map_err(failed),
                Err(_) => transaction.rollback().await.map_err(failed),
            };
        }
        for job in group {
            let savepoint = transaction.begin_with_options(SAVEPOINT).await.map_err(failed)?;
            match job.run(&savepoint).await {
                Ok(()) => savepoint.commit().await.map_err(failed)?,
                // When the savepoint is gone, so is the transaction: the cause tells more than that.
                Err(cause) => savepoint.rollback().await.map_err(|_| cause)?,
            }
        }
        transaction.commit().await.map_err(failed)
    }

    async fn reopen(&mut self) {
        match (self.reconnect)().await {
            Ok(connection) => {
                let old = std::mem::replace(&mut self.connection, connection);
                if let Err(error) = old.close().await {
                    tracing::debug!(%error, "the lost connection was not closed cleanly");
                }
            }
            Err(error) => tracing::warn!(%error, "the writing connection could not be made anew"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreConfig;
    use crate::store::pools::{sqlite_readers, sqlite_writer};
    use sea_orm::{ConnectionTrait, Statement};
    use std::collections::BTreeSet;
    use std::time::Duration;
    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    const FILE: &str = "bench.sqlite";

    struct Bench {
        group: Arc<GroupCommit>,
        readers: DatabaseConnection,
        folder: TempDir,
    }

    impl Bench {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let config = StoreConfig::new(folder.path());
            let file = folder.path().join(FILE);
            let connection = sqlite_writer(&config, &file).await.unwrap();
            connection.execute_unprepared("CREATE TABLE t (n INTEGER, body BLOB)").await.unwrap();
            let readers = sqlite_readers(&config, &file).await.unwrap();
            let reconnect: Reconnect = Box::new(move || {
                let (config, file) = (config.clone(), file.clone());
                Box::pin(async move { sqlite_writer(&config, &file).await })
            });
            let group = Arc::new(GroupCommit::start(connection, reconnect, 64, 16));
            Self { group, readers, folder }
        }

        /// Starts an operation that keeps the writer busy until it is released.
        async fn hold(&self) -> oneshot::Sender<()> {
            let (release, held) = oneshot::channel::<()>();
            let (entered, entering) = oneshot::channel::<()>();
            let group = Arc::clone(&self.group);
            let hold = async move {
                let _ = entered.send(());
                let _ = held.await;
                Ok(())
            };
            tokio::spawn(async move { group.run(|_| Box::pin(hold)).await });
            entering.await.unwrap();
            release
        }

        /// Puts a statement into the queue of a held writer, as an operation of its own. One whose text ends in `!`
        /// fails after the statement, as if the disk were full.
        async fn queue(&self, sql: &str) -> JoinHandle<Result<(), StoreError>> {
            let (group, sql) = (Arc::clone(&self.group), sql.to_owned());
            let places = self.group.queue.capacity();
            let answer = tokio::spawn(async move { group.run(|tx| Box::pin(statement(tx, sql))).await });
            while self.group.queue.capacity() == places {
                tokio::task::yield_now().await;
            }
            answer
        }

        /// Runs statements so that they share a transaction.
        async fn together(&self, statements: &[&str]) -> Vec<Result<(), StoreError>> {
            let release = self.hold().await;
            let mut answers = Vec::new();
            for sql in statements {
                answers.push(self.queue(sql).await);
            }
            release.send(()).unwrap();
            let mut outcomes = Vec::new();
            for answer in answers {
                outcomes.push(answer.await.unwrap());
            }
            outcomes
        }

        /// Whether the writer keeps everybody else from writing, as an immediate transaction does before its first write.
        async fn locked(&self) -> bool {
            let config = StoreConfig { busy_timeout: Duration::ZERO, ..StoreConfig::new(self.folder.path()) };
            sqlite_writer(&config, &self.folder.path().join(FILE)).await.is_err()
        }

        async fn rows(&self) -> BTreeSet<i64> {
            let all = Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT n FROM t");
            let rows = self.readers.query_all_raw(all).await.unwrap();
            rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
        }
    }

    async fn statement(transaction: &DatabaseTransaction, sql: String) -> Result<(), StoreError> {
        assert_ne!(sql, "panic");
        let fails = sql.ends_with('!');
        transaction.execute_unprepared(sql.trim_end_matches('!')).await.map_err(|f| error::run_time(&f))?;
        if fails { Err(StoreError::DiskFull("on demand".to_owned())) } else { Ok(()) }
    }

    const ONE: &str = "INSERT INTO t (n) VALUES (1)";
    const TWO_FAILS: &str = "INSERT INTO t (n) VALUES (2)!";
    const THREE: &str = "INSERT INTO t (n) VALUES (3)";

    fn full<T>() -> Result<T, StoreError> {
        Err(StoreError::DiskFull("on demand".to_owned()))
    }

    #[tokio::test]
    async fn operations_that_wait_together_share_a_transaction() {
        let bench = Bench::new().await;
        assert_eq!(bench.together(&[ONE; 12]).await, vec![Ok(()); 12]);
        assert_eq!(bench.group.stats(), GroupStats { operations: 13, transactions: 2 });
    }

    #[tokio::test]
    async fn a_failing_operation_is_undone_alone() {
        let bench = Bench::new().await;
        assert_eq!(bench.together(&[ONE, TWO_FAILS, THREE]).await, [Ok(()), full(), Ok(())]);
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]));
        assert_eq!(bench.group.run(|tx| Box::pin(statement(tx, TWO_FAILS.to_owned()))).await, full());
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]), "alone in its transaction too");
    }

    #[tokio::test]
    async fn a_panicking_operation_fails_alone() {
        let bench = Bench::new().await;
        let outcomes = bench.together(&[ONE, "panic", THREE]).await;
        assert!(matches!(outcomes.as_slice(), [Ok(()), Err(StoreError::Failed(_)), Ok(())]), "{outcomes:?}");
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]));
    }

    #[tokio::test]
    async fn a_transaction_that_rolled_itself_back_fails_its_whole_group() {
        let bench = Bench::new().await;
        let outcomes = bench.together(&[ONE, "ROLLBACK!", THREE]).await;
        assert_eq!(outcomes, [full(), full(), full()], "the cause, not the lost savepoint");
        assert_eq!(bench.rows().await, BTreeSet::new());
        let release = bench.hold().await;
        assert!(bench.locked().await, "on a new connection, whose transactions take their lock at once");
        release.send(()).unwrap();
        assert_eq!(bench.together(&[ONE, THREE]).await, [Ok(()), Ok(())]);
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]));
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_what_was_answered_stands() {
        let bench = Bench::new().await;
        let limit = "PRAGMA max_page_count = 20".to_owned();
        bench.group.run(|tx| Box::pin(statement(tx, limit))).await.unwrap();
        let outcomes = bench.together(&[ONE, "INSERT INTO t VALUES (2, zeroblob(1000000))", THREE]).await;
        assert!(matches!(outcomes[1], Err(StoreError::DiskFull(_))), "{outcomes:?}");
        let numbers = [1, 2, 3].into_iter().zip(&outcomes);
        let stands: BTreeSet<i64> = numbers.filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
        assert_eq!(bench.rows().await, stands);
        assert_eq!(bench.together(&["DELETE FROM t", ONE]).await, [Ok(()), Ok(())]);
    }

    #[tokio::test]
    async fn an_operation_whose_caller_went_away_is_still_written() {
        let bench = Bench::new().await;
        let release = bench.hold().await;
        bench.queue(ONE).await.abort();
        release.send(()).unwrap();
        assert_eq!(bench.together(&[THREE]).await, [Ok(())]);
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]));
    }

    #[tokio::test]
    async fn closing_writes_what_waits_and_refuses_what_comes() {
        let bench = Bench::new().await;
        let release = bench.hold().await;
        let (one, three) = (bench.queue(ONE).await, bench.queue(THREE).await);
        let group = Arc::clone(&bench.group);
        let closing = tokio::spawn(async move { group.close().await });
        while !bench.group.closing.is_cancelled() {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        closing.await.unwrap();
        assert_eq!((one.await.unwrap(), three.await.unwrap()), (Ok(()), Ok(())));
        let late = bench.group.run(|tx| Box::pin(statement(tx, ONE.to_owned()))).await;
        assert_eq!(late, Err(StoreError::Unavailable("the store is closed".to_owned())));
        assert_eq!(bench.rows().await, BTreeSet::from([1, 3]));
    }
}
