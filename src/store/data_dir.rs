//! The data folder: one daemon at a time, and the node id that survives restarts.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use switchyard_actors::model::{IdSource, NodeId};
use thiserror::Error;

/// File name of the lock in the data folder.
pub const LOCK_FILE: &str = "lock";

/// Why a data folder could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another daemon works in it.
    #[error(
        "the data folder {} is in use by {}: one daemon at a time",
        .path.display(),
        .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The data folder.
        path: PathBuf,
        /// The process that holds it, as it wrote itself.
        pid: Option<u32>,
    },
    /// No room left on the disk.
    #[error("no room left for the data folder {}", .path.display())]
    DiskFull {
        /// The data folder.
        path: PathBuf,
    },
    /// It cannot be made, read or written.
    #[error("cannot use the data folder {}: {source}", .path.display())]
    Io {
        /// The data folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A data folder that is ours until this value is dropped or the process ends, in whatever way.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    node: NodeId,
    /// The operating system releases the lock with it.
    _lock: File,
}

impl DataDir {
    /// Makes the folder if need be (readable by its owner only), locks it and reads its node id, which is made on the
    /// first run.
    ///
    /// # Errors
    /// [`LockError`]; of a second daemon with path and process id of the first.
    pub fn lock(path: &Path, ids: &IdSource) -> Result<Self, LockError> {
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                LockError::DiskFull { path: path.to_owned() }
            }
            _ => LockError::Io { path: path.to_owned(), source },
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let file = path.join(LOCK_FILE);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&file).ok().and_then(|text| Content::parse(&text).pid);
                return Err(LockError::Held { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(failed)?;
        let node = Content::parse(&text).node.unwrap_or_else(|| NodeId::from_uuid(ids.uuid()));
        // Every line has a fixed length and the node's comes first: a crash while writing cannot lose it.
        let content = format!("node {node}\npid {:>10}\n", std::process::id());
        lock.seek(SeekFrom::Start(0)).map_err(failed)?;
        lock.write_all(content.as_bytes()).map_err(failed)?;
        lock.sync_all().map_err(failed)?;
        Ok(Self { path: path.to_owned(), node, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node that works in it.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }
}

#[derive(Default)]
struct Content {
    node: Option<NodeId>,
    pid: Option<u32>,
}

impl Content {
    fn parse(text: &str) -> Self {
        let mut content = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("node", id)) => content.node = id.trim().parse().ok(),
                Some(("pid", pid)) => content.pid = pid.trim().parse().ok(),
                _ => {}
            }
        }
        content
    }
}
