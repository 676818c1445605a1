//! Connections to the database, as its kind wants them.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{
    DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode, SqlxError, SqlxPostgresConnector,
    SqlxSqliteConnector, TransactionOptions, TransactionTrait,
};
use secrecy::ExposeSecret;

use super::StoreConfig;

/// A SQLite transaction that writes takes its lock at once: one that begins by reading fails with `BUSY_SNAPSHOT` at its
/// first write, whatever the timeout.
pub(super) const WRITING: TransactionOptions = TransactionOptions {
    isolation_level: None,
    access_mode: None,
    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
};

/// A part of a transaction that may fail alone.
pub(super) const SAVEPOINT: TransactionOptions =
    TransactionOptions { isolation_level: None, access_mode: None, sqlite_transaction_mode: None };

fn connection(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn sqlite(config: &StoreConfig, file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(config.busy_timeout)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Makes an empty database for its owner only: SQLite gives its log and index the mode that the database has. One that is
/// there keeps what its owner gave it.
fn make_private(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        // What else is wrong the database says in its own words.
        _ => Ok(()),
    }
}

/// The one connection that writes. A commit is on the disk when it answers: WAL with synchronous FULL syncs the log.
pub(super) async fn sqlite_writer(config: &StoreConfig, file: &Path) -> Result<DatabaseConnection, DbErr> {
    make_private(file).map_err(|error| connection(SqlxError::Io(error)))?;
    let options = sqlite(config, file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", config.wal_size_limit.to_string());
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(config.acquire_timeout)
        .connect_with(options)
        .await
        .map_err(connection)?;
    let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    // Another process's lock, a full disk or a file that is no database shows itself here and not at the first message.
    writer.begin_with_options(WRITING).await?.rollback().await?;
    Ok(writer)
}

/// The connections that read. They see what is committed and cannot write.
pub(super) async fn sqlite_readers(config: &StoreConfig, file: &Path) -> Result<DatabaseConnection, DbErr> {
    let pool = SqlitePoolOptions::new()
        .max_connections(config.read_connections.max(1))
        .acquire_timeout(config.acquire_timeout)
        .connect_with(sqlite(config, file).pragma("query_only", "ON"))
        .await
        .map_err(connection)?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// A connection that only looks, at a database that is there: it makes no file and takes no lock that a writer waits for.
pub(super) async fn sqlite_onlookers(config: &StoreConfig, file: &Path) -> Result<DatabaseConnection, DbErr> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(config.acquire_timeout)
        .connect_with(sqlite(config, file).read_only(true))
        .await
        .map_err(connection)?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// PostgreSQL: one pool for all. The address goes straight into sqlx, so that no span or log ever holds it.
pub(super) async fn postgres(config: &StoreConfig) -> Result<DatabaseConnection, DbErr> {
    let timeout = config.statement_timeout.as_millis().to_string();
    let options = config
        .url
        .expose_secret()
        .trim()
        .parse::<PgConnectOptions>()
        .map_err(connection)?
        .application_name("switchyard")
        .options([
            ("statement_timeout", timeout.as_str()),
            ("idle_in_transaction_session_timeout", timeout.as_str()),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(config.postgres_connections.max(2))
        .acquire_timeout(config.acquire_timeout)
        .connect_with(options)
        .await
        .map_err(connection)?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}
