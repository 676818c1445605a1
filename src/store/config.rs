//! How a store is opened: address, pools, timeouts and bounds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::OpenError;

/// File name of the SQLite database in the data folder.
pub const SQLITE_FILE: &str = "switchyard.sqlite";

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Empty or `sqlite:`: a file of the data folder. `sqlite:PATH`: that file, relative to the data folder.
    /// `postgres://…`: a server; secret, since it may hold a password.
    pub url: SecretString,
    /// The data folder.
    pub data_dir: PathBuf,
    /// SQLite: connections that read. Writing has one of its own.
    pub read_connections: u32,
    /// PostgreSQL: connections in all.
    pub postgres_connections: u32,
    /// SQLite: how long to wait for another process's lock.
    pub busy_timeout: Duration,
    /// How long to wait for a free connection of a pool.
    pub acquire_timeout: Duration,
    /// PostgreSQL: how long one statement, and our wait for one operation, may take.
    pub statement_timeout: Duration,
    /// SQLite: write operations that may wait; more wait outside.
    pub write_queue: usize,
    /// SQLite: write operations that share one transaction, and so one sync to disk, at most.
    pub write_batch: usize,
    /// SQLite: the write-ahead log is cut back to this size after a checkpoint, bytes.
    pub wal_size_limit: u64,
    /// Events of one intake transaction at most; a larger unit is written in several.
    pub intake_chunk: usize,
}

impl StoreConfig {
    /// The defaults: SQLite in this data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            url: SecretString::from(""),
            data_dir: data_dir.to_owned(),
            read_connections: 4,
            postgres_connections: 16,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            write_queue: 1024,
            write_batch: 128,
            wal_size_limit: 64 * 1024 * 1024,
            intake_chunk: 200,
        }
    }

    /// Where the store lies.
    ///
    /// # Errors
    /// [`OpenError::Config`] for an address of another kind of database.
    pub fn target(&self) -> Result<StoreTarget, OpenError> {
        let url = self.url.expose_secret().trim();
        if url.is_empty() || url == "sqlite:" || url == "sqlite" {
            return Ok(StoreTarget::Sqlite(self.data_dir.join(SQLITE_FILE)));
        }
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains(['?', '#']) || path.contains(":memory:") {
                let reason = "a SQLite address is `sqlite:` and a path, without parameters".to_owned();
                return Err(OpenError::Config(reason));
            }
            return Ok(StoreTarget::Sqlite(self.data_dir.join(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(StoreTarget::Postgres);
        }
        Err(OpenError::Config("it must start with `sqlite:` or `postgres://`".to_owned()))
    }
}

/// Which database, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreTarget {
    /// A file.
    Sqlite(PathBuf),
    /// The server that the address names.
    Postgres,
}

impl fmt::Display for StoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres => f.write_str("of store.url"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<StoreTarget, OpenError> {
        StoreConfig { url: SecretString::from(url), ..StoreConfig::new(Path::new("/data")) }.target()
    }

    #[test]
    fn addresses_name_a_database() {
        let file = |path: &str| Ok(StoreTarget::Sqlite(PathBuf::from(path)));
        assert_eq!(target(""), file("/data/switchyard.sqlite"));
        assert_eq!(target("sqlite:"), file("/data/switchyard.sqlite"));
        assert_eq!(target("sqlite:other.db"), file("/data/other.db"));
        assert_eq!(target("sqlite:///srv/x.db"), file("/srv/x.db"));
        assert_eq!(target("postgres://u:p@host/db"), Ok(StoreTarget::Postgres));
        for wrong in ["mysql://host/db", "sqlite::memory:", "sqlite:x.db?mode=ro"] {
            assert!(matches!(target(wrong), Err(OpenError::Config(_))), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let url = SecretString::from("postgres://u:hunter2@host/db");
        let config = StoreConfig { url, ..StoreConfig::new(Path::new("/data")) };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
