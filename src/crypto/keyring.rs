//! Master keys: one is active, older ones stay readable.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hmac;
use thiserror::Error;
use zeroize::Zeroizing;

/// Names a key in a blob: 8 bytes that say nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KeyId::LEN]);

impl KeyId {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Wraps a stored id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes as they stand in a blob.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why no keyring could be had. Texts name the place, never the key.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The keys come from where this program cannot write.
    #[error(
        "the keyring comes from the environment or from systemd: put a new key there, before the others, and start the \
         daemon again"
    )]
    NoFile,
    /// None was given.
    #[error(
        "no master key: put one in a file outside the data folder and name it in vault.master_key_file, or in the \
         environment variable SWITCHYARD_VAULT__MASTER_KEY, or hand it over as the systemd credential \
         switchyard-master-key (LoadCredential=switchyard-master-key:FILE); \
         `head -c 32 /dev/urandom | base64` makes one"
    )]
    Missing,
    /// The text is no list of keys.
    #[error("{origin} holds no master key: {reason}")]
    Malformed {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key lies beside the data that it protects.
    #[error(
        "key file {} lies inside the data folder {}: who takes the data would take the key too",
        .file.display(), .data_dir.display()
    )]
    InsideDataFolder {
        /// The key file.
        file: PathBuf,
        /// The data folder.
        data_dir: PathBuf,
    },
    /// The file could not be read or made.
    #[error("cannot use key file {}: {source}", .file.display())]
    Io {
        /// The key file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The operating system has no randomness to give.
    #[error("the operating system gives no randomness to make a key of")]
    NoRandomness,
}

/// One master key. ring keeps the expanded key and does not promise to wipe it; our own copy of the bytes is wiped.
pub(super) struct MasterKey {
    pub(super) id: KeyId,
    pub(super) key: LessSafeKey,
    derivation: hmac::Key,
}

impl MasterKey {
    /// Length of the bare key in bytes.
    pub(super) const LEN: usize = 32;

    fn new(bytes: &[u8]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        // The id is derived, so that a key has the same id wherever it is configured.
        let derivation = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tag = hmac::sign(&derivation, b"switchyard master key id");
        let id = tag.as_ref().first_chunk::<{ KeyId::LEN }>()?;
        Some(Self { id: KeyId::from_bytes(*id), key, derivation })
    }
}

/// What stands between two keys.
fn between(letter: char) -> bool {
    letter.is_whitespace() || letter == ','
}

/// One key as it is written.
fn key(word: &str) -> Result<MasterKey, &'static str> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(word).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "a key is not base64")?;
    if bytes.len() != MasterKey::LEN {
        return Err("a key is not 32 bytes long");
    }
    MasterKey::new(&bytes).ok_or("a key is refused by the cipher")
}

pub(super) fn derived(key: &hmac::Key, purpose: &str) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(key, format!("switchyard derived key: {purpose}").as_bytes());
    let mut key = Zeroizing::new([0_u8; 32]);
    for (to, from) in key.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    key
}

/// The master keys: the first seals, all open.
pub struct Keyring {
    active: MasterKey,
    older: Vec<MasterKey>,
}

impl Keyring {
    /// Reads base64 keys of 32 bytes, separated by white space or commas; `#` starts a comment that lasts to the end of
    /// the line. The first is active.
    ///
    /// # Errors
    /// [`KeyringError::Malformed`], naming `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, KeyringError> {
        let malformed = |reason| KeyringError::Malformed { origin: origin.to_owned(), reason };
        let mut keys = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            for word in line.split(between).filter(|word| !word.is_empty()) {
                keys.push(key(word).map_err(malformed)?);
            }
        }
        let mut keys = keys.into_iter();
        let active = keys.next().ok_or_else(|| malformed("it is empty"))?;
        Ok(Self { active, older: keys.collect() })
    }

    /// A key of its own for one purpose, derived from the oldest master key (the last on the keyring), which stays when
    /// newer ones come. For what is needed before the store is open; everything else uses the store's own derivation.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        derived(&self.older.last().unwrap_or(&self.active).derivation, purpose)
    }

    /// A key for one purpose from the master key with this id: what a key signed is known until it leaves the keyring.
    #[must_use]
    pub fn derive_by(&self, id: KeyId, purpose: &str) -> Option<Zeroizing<[u8; 32]>> {
        self.find(id).map(|master| derived(&master.derivation, purpose))
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn active_id(&self) -> KeyId {
        self.active.id
    }

    /// The text of a keyring without one of its keys; none when the key is not in it. Comments stay.
    pub(super) fn without(text: &str, id: KeyId) -> Option<Zeroizing<String>> {
        let mut left = Zeroizing::new(String::with_capacity(text.len()));
        let mut found = false;
        for line in text.split_inclusive('\n') {
            let end = line.find('#').unwrap_or(line.len());
            let (keys, comment) = line.split_at_checked(end).unwrap_or((line, ""));
            for piece in keys.split_inclusive(between) {
                if key(piece.trim_end_matches(between)).is_ok_and(|key| key.id == id) {
                    found = true;
                    left.push_str(if piece.ends_with('\n') { "\n" } else { "" });
                } else {
                    left.push_str(piece);
                }
            }
            left.push_str(comment);
        }
        found.then_some(left)
    }

    /// The id of the last key of the keyring.
    #[must_use]
    pub fn oldest_id(&self) -> KeyId {
        self.older.last().unwrap_or(&self.active).id
    }

    /// The ids of all keys that open, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        std::iter::once(&self.active).chain(&self.older).map(|key| key.id)
    }

    pub(super) fn active(&self) -> &MasterKey {
        &self.active
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&MasterKey> {
        std::iter::once(&self.active).chain(&self.older).find(|key| key.id == id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
