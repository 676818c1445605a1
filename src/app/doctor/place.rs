//! The data folder: whose it is, who works on it, what its disk has left.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use switchyard_actors::model::{IdSource, NodeId};

use super::vault::is_open;
use super::{Daemon, Round};
use crate::cli::{Client, ClientError};
use crate::services::doctor::{Check, Class};
use crate::store::{DataDir, LockError};

const FOLDER: &str = "data.folder";
const DISK: &str = "data.disk";
const DAEMON: &str = "daemon";

/// Whose the folder is while the doctor looks.
pub(super) enum Place {
    /// It is not there yet, or cannot be used.
    Absent,
    /// Nobody works on it, and nobody will until the doctor is done.
    Ours(DataDir),
    /// A daemon works on it.
    Daemons(Option<u32>),
}

/// Looks at folder and disk, and takes the folder if nobody has it.
pub(super) fn look(round: &mut Round, ids: &IdSource) -> Place {
    let path = round.config.data_dir.clone();
    disk(round, &path);
    let advice = "let this user read and write it";
    match fs::metadata(&path) {
        Ok(found) if !found.is_dir() => {
            let found = format!("{} is no folder", path.display());
            round.report.push(Check::fail(FOLDER, Class::Store, found, "name another with --data-dir"));
            return Place::Absent;
        }
        Ok(found) => folder(round, &path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("{} is not there yet", path.display());
            round.report.push(Check::warn(FOLDER, found, "`switchyard serve` makes it at its first start"));
            return Place::Absent;
        }
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            round.report.push(Check::fail(FOLDER, Class::Store, found, advice));
            return Place::Absent;
        }
    }
    match DataDir::lock(&path, ids) {
        Ok(folder) => Place::Ours(folder),
        Err(LockError::Held { pid, .. }) => Place::Daemons(pid),
        Err(error) => {
            round.report.push(Check::fail(FOLDER, Class::Store, error, advice));
            Place::Absent
        }
    }
}

fn folder(round: &mut Round, path: &Path, found: &fs::Metadata) {
    let (own, owner) = (rustix::process::geteuid().as_raw(), found.uid());
    let name = path.display();
    let open = open_files(path);
    round.report.push(if owner != own && own != 0 {
        let found = format!("{name} belongs to user {owner}, and this is user {own}");
        Check::fail(FOLDER, Class::Store, found, "run it as the folder's owner")
    } else if found.permissions().mode() & 0o077 != 0 {
        Check::warn(FOLDER, format!("{name} is open to others than its owner"), format!("chmod 700 {name}"))
    } else if open.is_empty() {
        Check::ok(FOLDER, format!("{name} is its owner's only (user {owner})"))
    } else {
        let found = format!("files that others than their owner may read: {}", open.len());
        Check::warn(FOLDER, found, format!("chmod 600 {}", open.join(" ")))
    });
}

/// Files directly in the folder that others may read or write.
fn open_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut open: Vec<PathBuf> = entries.filter(|path| path.is_file() && is_open(path)).collect();
    open.sort();
    open.into_iter().map(|path| path.display().to_string()).collect()
}

fn disk(round: &mut Round, path: &Path) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    let found = match rustix::fs::statvfs(existing) {
        Ok(found) => found,
        Err(error) => {
            let found = format!("{}: {error}", existing.display());
            round.report.push(Check::warn(DISK, found, "look at the disk"));
            return;
        }
    };
    let (bytes, inodes) = (found.f_bavail.saturating_mul(found.f_frsize), found.f_favail);
    // Some file systems count no inodes.
    let counted = found.f_files > 0;
    let nodes = if counted { format!(" and {inodes} inodes") } else { String::new() };
    let text = format!("{} MiB{nodes} are free", bytes >> 20);
    let limits = &round.config.doctor;
    let low = |room: u64, nodes: u64| bytes < room || (counted && inodes < nodes);
    round.report.push(if low(limits.disk_free_fail.bytes(), limits.inodes_free_fail.get()) {
        Check::fail(DISK, Class::Store, text, "make room: a full disk stops intake")
    } else if low(limits.disk_free_warn.bytes(), limits.inodes_free_warn.get()) {
        Check::warn(DISK, text, "make room before it is full")
    } else {
        Check::ok(DISK, text)
    });
}

impl Place {
    /// Whether the doctor holds the folder.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// The node that works in the folder; where that is not known, one that holds no lease.
    pub(super) fn node(&self, ids: &IdSource) -> NodeId {
        match self {
            Self::Ours(folder) => folder.node(),
            Self::Absent | Self::Daemons(_) => NodeId::from_uuid(ids.uuid()),
        }
    }

    /// The daemon that works on the folder, if it answers.
    pub(super) async fn daemon(&self, round: &mut Round) -> Option<Daemon> {
        let Self::Daemons(pid) = self else {
            round.report.push(Check::ok(DAEMON, "none runs on this data folder"));
            return None;
        };
        let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        let client = match Client::open(&round.config.data_dir) {
            Ok(client) => client,
            Err(error) => {
                let found = format!("{who} holds the data folder: {error}");
                round.report.push(Check::warn(DAEMON, found, "wait until it is up, or end it"));
                return None;
            }
        };
        let more = "`switchyard status` shows more";
        let check = match client.health(true).await {
            Ok(health) if health.reasons.is_empty() => Check::ok(DAEMON, format!("{who} is ready")),
            Ok(health) => {
                Check::warn(DAEMON, format!("{who} is ready, though {}", health.reasons.join(", ")), more)
            }
            Err(ClientError::Refused(problem)) => {
                Check::warn(DAEMON, format!("{who} is not ready: {}", problem.detail), more)
            }
            Err(error) => {
                let found = format!("{who} holds the data folder: {error}");
                round.report.push(Check::fail(DAEMON, Class::Platform, found, "end it and start it again"));
                return None;
            }
        };
        round.report.push(check);
        Some(Daemon { client })
    }
}
