//! Event-sourced persistence: a world is a fold over operations, appended to a file as one line each.
//!
//! A line is handed to the operating system before the operation's effects can be seen, but not synced: killing the
//! process loses nothing, a power cut may. The first line is a header in plain text that names the format, the seed
//! that the world grew from and the key; operations follow, as JSON or encrypted. A last line without its line feed
//! was torn by a crash, was never answered for, and is dropped.

mod cipher;
mod file;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::WorldKey;
use file::JournalFile;

/// Why a journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("the journal {path} cannot be {verb}: {source}")]
    Io {
        /// The journal's file.
        path: PathBuf,
        /// What was tried: "opened", "read", "written".
        verb: &'static str,
        /// The file system's answer.
        source: std::io::Error,
    },
    /// Another sandbox has the journal open.
    #[error("the journal {path} is in use by another sandbox")]
    InUse {
        /// The journal's file.
        path: PathBuf,
    },
    /// The header names another seed, another key, or a format that is not ours.
    #[error("the journal {path} does not belong to this sandbox: {reason}")]
    Foreign {
        /// The journal's file.
        path: PathBuf,
        /// What differs.
        reason: &'static str,
    },
    /// A line other than a torn last one cannot be read.
    #[error("line {line} of the journal {path} is damaged")]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// Counted from 1, the header included.
        line: u64,
    },
    /// An operation could not be written as JSON.
    #[error("an operation cannot be written as JSON: {0}")]
    Encode(serde_json::Error),
    /// The system's source of randomness failed, or a cipher refused.
    #[error("an operation cannot be encrypted")]
    Cipher,
    /// The journal was closed because the sandbox stops.
    #[error("the journal is closed")]
    Closed,
}

enum Sink {
    Memory,
    File(Box<JournalFile>),
    Closed,
}

/// The log of one world's operations. Appends are serialised; who needs order across worlds holds their own lock.
pub struct Journal {
    sink: Mutex<Sink>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal(..)")
    }
}

impl Journal {
    /// A journal that keeps nothing.
    #[must_use]
    pub const fn memory() -> Self {
        Self { sink: Mutex::new(Sink::Memory) }
    }

    /// Opens or creates the journal `name` in a folder and locks it against other processes.
    ///
    /// `fingerprint` stands for everything that the world's start depends on; a journal that was begun under another
    /// one is refused.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(
        folder: &Path,
        name: &str,
        key: Option<&WorldKey>,
        fingerprint: &str,
    ) -> Result<Self, JournalError> {
        let file = JournalFile::open(folder.join(format!("{name}.journal")), name, key, fingerprint)?;
        Ok(Self { sink: Mutex::new(Sink::File(Box::new(file))) })
    }

    /// Reads all operations from the start, in order. To be called once, before the first append.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if a complete line cannot be read as an operation, [`JournalError::Io`].
    pub fn replay<Op: DeserializeOwned>(&self, apply: impl FnMut(Op)) -> Result<(), JournalError> {
        match &mut *self.lock() {
            Sink::Memory => Ok(()),
            Sink::File(file) => file.replay(apply),
            Sink::Closed => Err(JournalError::Closed),
        }
    }

    /// Appends one operation. When this returns, a crash of the process cannot undo it.
    ///
    /// # Errors
    /// See [`JournalError`]; after an error the operation is not in the journal and must not be applied.
    pub fn append<Op: Serialize>(&self, op: &Op) -> Result<(), JournalError> {
        match &mut *self.lock() {
            Sink::Memory => Ok(()),
            Sink::File(file) => file.append(op),
            Sink::Closed => Err(JournalError::Closed),
        }
    }

    /// Closes the file and gives up its lock; later appends are refused.
    pub fn close(&self) {
        *self.lock() = Sink::Closed;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
