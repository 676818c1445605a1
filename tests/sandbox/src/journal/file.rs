//! The file behind a journal: header, lock, replay, append.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JournalError;
use super::cipher::{self, LineCipher};
use crate::config::WorldKey;

const FORMAT: u32 = 1;

#[derive(PartialEq, Serialize, Deserialize)]
struct Header {
    format: u32,
    journal: String,
    fingerprint: String,
    cipher: Option<String>,
    key_id: Option<String>,
}

pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    cipher: Option<LineCipher>,
    /// Bytes up to the end of the last complete line.
    length: u64,
    /// Complete lines, the header included.
    lines: u64,
    /// Whether the end of the file is known: after a replay, or when the file was new.
    at_end: bool,
}

impl JournalFile {
    pub(super) fn open(
        path: PathBuf,
        name: &str,
        key: Option<&WorldKey>,
        fingerprint: &str,
    ) -> Result<Self, JournalError> {
        let cipher = key.map(|key| LineCipher::new(key, name).ok_or(JournalError::Cipher)).transpose()?;
        let header = Header {
            format: FORMAT,
            journal: name.to_owned(),
            fingerprint: fingerprint.to_owned(),
            cipher: key.map(|_| cipher::NAME.to_owned()),
            key_id: key.map(cipher::key_id),
        };
        let file = open_private(&path).map_err(|source| io(&path, "opened", source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(io(&path, "opened", source)),
        }
        let mut journal = Self { path, file, cipher, length: 0, lines: 0, at_end: false };
        journal.check_header(&header)?;
        Ok(journal)
    }

    /// Compares the header with ours; an empty file, or one whose header was torn, gets ours.
    fn check_header(&mut self, ours: &Header) -> Result<(), JournalError> {
        let mut first = Vec::new();
        self.rewind()?;
        BufReader::new(&self.file).read_until(b'\n', &mut first).map_err(|source| self.io("read", source))?;
        if first.pop_if(|byte| *byte == b'\n').is_none() {
            let line = serde_json::to_vec(ours).map_err(JournalError::Encode)?;
            self.at_end = true;
            return self.append_line(line);
        }
        let foreign = |reason| JournalError::Foreign { path: self.path.clone(), reason };
        let theirs: Header =
            serde_json::from_slice(&first).map_err(|_| foreign("its first line is not a header"))?;
        if theirs.format != ours.format || theirs.journal != ours.journal {
            return Err(foreign("it is of another format"));
        }
        if theirs.fingerprint != ours.fingerprint {
            return Err(foreign("its world grew from another seed"));
        }
        if theirs.cipher != ours.cipher || theirs.key_id != ours.key_id {
            return Err(foreign("it was written under another key"));
        }
        Ok(())
    }

    pub(super) fn replay<Op: DeserializeOwned>(
        &mut self,
        mut apply: impl FnMut(Op),
    ) -> Result<(), JournalError> {
        self.rewind()?;
        let mut reader = BufReader::new(&self.file);
        let (mut length, mut lines) = (0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(|source| self.io("read", source))?;
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                break;
            }
            lines = lines.saturating_add(1);
            length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if lines > 1 {
                let damaged = || JournalError::Damaged { path: self.path.clone(), line: lines };
                let op = match &self.cipher {
                    None => serde_json::from_slice(&line),
                    Some(cipher) => serde_json::from_slice(&cipher.open(lines, &line).ok_or_else(damaged)?),
                };
                apply(op.map_err(|_| damaged())?);
            }
        }
        drop(reader);
        (self.length, self.lines, self.at_end) = (length, lines, true);
        self.truncate()
    }

    pub(super) fn append<Op: Serialize>(&mut self, op: &Op) -> Result<(), JournalError> {
        if !self.at_end {
            self.replay(|_: serde::de::IgnoredAny| {})?;
        }
        let plain = serde_json::to_vec(op).map_err(JournalError::Encode)?;
        let line = match &self.cipher {
            None => plain,
            Some(cipher) => {
                let place = self.lines.saturating_add(1);
                cipher.seal(place, plain).ok_or(JournalError::Cipher)?.into_bytes()
            }
        };
        self.append_line(line)
    }

    /// One write per line, so that only a crash within it can tear the line; a refused write leaves nothing behind.
    fn append_line(&mut self, mut line: Vec<u8>) -> Result<(), JournalError> {
        line.push(b'\n');
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(&line));
        if let Err(source) = written {
            self.truncate()?;
            return Err(self.io("written", source));
        }
        self.length = self.length.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), JournalError> {
        self.file.set_len(self.length).map_err(|source| self.io("written", source))
    }

    fn rewind(&mut self) -> Result<(), JournalError> {
        self.file.rewind().map_err(|source| io(&self.path, "read", source))
    }

    fn io(&self, verb: &'static str, source: std::io::Error) -> JournalError {
        io(&self.path, verb, source)
    }
}

impl Drop for JournalFile {
    /// Gives the lock up by name: closing the file alone leaves it with any copy of the handle, such as that of a
    /// child process which is just being started.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of a journal could not be given up");
        }
    }
}

fn io(path: &std::path::Path, verb: &'static str, source: std::io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), verb, source }
}

/// Opens for reading and writing, readable by the owner only.
fn open_private(path: &std::path::Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
