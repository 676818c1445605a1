//! What goes wrong with a database, told in the closed vocabularies of this room.

use std::io;
use std::path::PathBuf;

use sea_orm::sqlx::error::ErrorKind;
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use switchyard_actors::ports::StoreError;
use thiserror::Error;

use crate::crypto::VaultError;

/// Why a store could not be opened or migrated. The command line chooses the exit code by the variant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// The address or its credentials are wrong.
    #[error("store.url cannot be used: {0}")]
    Config(String),
    /// Another process holds the database.
    #[error("the database {0} is locked by another process")]
    Locked(String),
    /// No room left on the disk.
    #[error("no room left on the store's disk: {0}")]
    DiskFull(String),
    /// The server does not answer.
    #[error("the database server cannot be reached: {0}")]
    Unreachable(String),
    /// The file is no database, or a damaged one.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A newer version of this program has changed the schema.
    #[error("the store was written by a newer version of switchyard: {0}")]
    NewerSchema(String),
    /// The file or folder may not be read or written.
    #[error("the database {} cannot be opened: {reason}", .path.display())]
    Access {
        /// The database file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Anything else.
    #[error("the store cannot be opened: {0}")]
    Failed(String),
}

/// What a failure is about, whichever database reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Busy,
    DiskFull,
    Corrupt,
    Access,
    Config,
    Unreachable,
    Unique,
    Missing,
    Other,
}

/// Primary result codes of SQLite (sqlite.org/rescode.html).
mod sqlite_code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// Extended code: the shared memory file of the write-ahead log could not grow.
    pub(super) const IOERR_SHMSIZE: i32 = 4874;
}

fn sqlite_class(code: i32) -> Class {
    match code & 0xff {
        _ if code == sqlite_code::IOERR_SHMSIZE => Class::DiskFull,
        sqlite_code::BUSY | sqlite_code::LOCKED => Class::Busy,
        sqlite_code::FULL => Class::DiskFull,
        sqlite_code::CORRUPT | sqlite_code::NOTADB => Class::Corrupt,
        sqlite_code::PERM | sqlite_code::READONLY | sqlite_code::CANTOPEN => Class::Access,
        _ => Class::Other,
    }
}

/// postgresql.org/docs/current/errcodes-appendix.html: SQLSTATE, five characters, the first two name the class.
fn postgres_class(code: &str) -> Class {
    match code {
        "53100" => Class::DiskFull,
        "3D000" | "42501" => Class::Config,
        // Lock not available, statement timeout.
        "55P03" | "57014" => Class::Busy,
        _ if code.starts_with("28") => Class::Config,
        _ if code.starts_with("40") => Class::Busy,
        // Connection failures, too many connections, shutting down or starting up.
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => Class::Unreachable,
        "XX001" | "XX002" => Class::Corrupt,
        _ => Class::Other,
    }
}

fn sqlx_class(error: &SqlxError) -> Class {
    match error {
        SqlxError::Database(database) => match database.kind() {
            ErrorKind::UniqueViolation => Class::Unique,
            ErrorKind::ForeignKeyViolation => Class::Missing,
            _ => {
                let code = database.code().unwrap_or_default();
                // SQLSTATE has five characters; SQLite's codes are decimal numbers of at most four.
                match code.parse::<i32>() {
                    Ok(number) if code.len() < 5 => sqlite_class(number),
                    _ => postgres_class(&code),
                }
            }
        },
        SqlxError::Io(error) if error.kind() == io::ErrorKind::StorageFull => Class::DiskFull,
        SqlxError::Configuration(_) => Class::Config,
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Class::Unreachable,
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => Class::Corrupt,
        _ => Class::Other,
    }
}

pub(super) fn class(error: &DbErr) -> Class {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => sqlx_class(inner),
        DbErr::ConnectionAcquire(_) => Class::Unreachable,
        DbErr::Type(_) | DbErr::TryIntoErr { .. } => Class::Corrupt,
        _ => Class::Other,
    }
}

/// A failure while the daemon runs.
pub(super) fn run_time(error: &DbErr) -> StoreError {
    let text = error.to_string();
    match class(error) {
        Class::Busy | Class::Unreachable => StoreError::Unavailable(text),
        Class::DiskFull => StoreError::DiskFull(text),
        Class::Corrupt => StoreError::Corrupt(text),
        Class::Unique => StoreError::Conflict(text),
        Class::Missing => {
            tracing::debug!(error = text, "a row's owner is gone");
            StoreError::NotFound("what it belongs to".to_owned())
        }
        Class::Access | Class::Config | Class::Other => StoreError::Failed(text),
    }
}

/// A failure at start.
pub(super) fn opening(error: &DbErr, place: &str) -> OpenError {
    let text = error.to_string();
    match class(error) {
        Class::Busy => OpenError::Locked(place.to_owned()),
        Class::DiskFull => OpenError::DiskFull(text),
        Class::Corrupt => OpenError::Corrupt(text),
        Class::Access => OpenError::Access { path: PathBuf::from(place), reason: text },
        Class::Config => OpenError::Config(text),
        Class::Unreachable => OpenError::Unreachable(text),
        Class::Unique | Class::Missing | Class::Other => OpenError::Failed(text),
    }
}

/// A failure of an operation that belongs to start-up, such as a migration.
pub(super) fn opening_from_store(error: StoreError, place: &str) -> OpenError {
    match error {
        StoreError::Unavailable(_) => OpenError::Locked(place.to_owned()),
        StoreError::DiskFull(text) => OpenError::DiskFull(text),
        StoreError::Corrupt(text) => OpenError::Corrupt(text),
        other => OpenError::Failed(other.to_string()),
    }
}

/// A row that cannot be read: what it is, and why.
pub(super) fn unreadable(what: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {why}"))
}

/// A ciphertext that cannot be opened, or a text that cannot be sealed.
pub(super) fn vault(what: &str, error: VaultError) -> StoreError {
    match error {
        VaultError::NoRandomness | VaultError::TooLong => StoreError::Failed(format!("{what}: {error}")),
        _ => unreadable(what, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        assert_eq!(sqlite_class(5), Class::Busy);
        assert_eq!(sqlite_class(517), Class::Busy, "BUSY_SNAPSHOT");
        assert_eq!(sqlite_class(13), Class::DiskFull);
        assert_eq!(sqlite_class(4874), Class::DiskFull);
        assert_eq!(sqlite_class(26), Class::Corrupt);
        assert_eq!(sqlite_class(14), Class::Access);
        assert_eq!(postgres_class("53100"), Class::DiskFull);
        assert_eq!(postgres_class("53300"), Class::Unreachable, "too many connections");
        assert_eq!(postgres_class("57P01"), Class::Unreachable, "admin shutdown");
        assert_eq!(postgres_class("40P01"), Class::Busy, "deadlock");
        assert_eq!(postgres_class("28P01"), Class::Config, "wrong password");
        assert_eq!(postgres_class("22012"), Class::Other);
    }
}
