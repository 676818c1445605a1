//! Data keys: each user has one and the installation too, wrapped by a master key; deleting it erases what it sealed.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use switchyard_actors::model::UserId;
use zeroize::Zeroizing;

use super::blob::{Binding, Blob, VERSION};
use super::{KeyId, VaultError};

/// A data key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Names the key in every blob that it sealed.
    pub id: KeyId,
    /// The key itself, sealed by a master key.
    pub wrapped: Vec<u8>,
}

impl WrappedKey {
    /// The master key that wraps it.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] or [`VaultError::UnknownVersion`].
    pub fn master(&self) -> Result<KeyId, VaultError> {
        sealing_key(&self.wrapped)
    }
}

/// Whose data key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// A user's: everything that is theirs is sealed by it, and goes with it.
    User(UserId),
    /// The installation's own.
    System(SystemKey),
}

impl From<UserId> for KeyOwner {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

/// What a key of the installation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemKey {
    /// Seals what belongs to no user.
    Sealing,
    /// Keys for one purpose each are derived from it; it never changes, whatever is rotated.
    Derivation,
}

impl SystemKey {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::Sealing, Self::Derivation];

    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Derivation => "derivation",
        }
    }
}

/// A data key ready for use, with those beside it that open only. It lives in memory only.
pub struct DataKey {
    id: KeyId,
    key: LessSafeKey,
    derivation: hmac::Key,
    /// Keys that are about to seal, or did.
    spares: Vec<(KeyId, LessSafeKey)>,
}

impl DataKey {
    /// Length of the bare key in bytes.
    pub(super) const LEN: usize = 32;

    pub(super) fn new(id: KeyId, bytes: &[u8]) -> Result<Self, VaultError> {
        let derivation = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        Ok(Self { id, key: cipher(bytes)?, derivation, spares: Vec::new() })
    }

    /// Adds a key that opens and never seals.
    pub(super) fn add_spare(&mut self, id: KeyId, bytes: &[u8]) -> Result<(), VaultError> {
        self.spares.push((id, cipher(bytes)?));
        Ok(())
    }

    /// A key of its own for one purpose: HMAC-SHA256 over the purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        super::keyring::derived(&self.derivation, purpose)
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Seals a text for one place.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`], or [`VaultError::TooLong`] for a text of many gigabytes.
    pub fn seal(&self, binding: Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(self.id, &self.key, binding, plain)
    }

    /// Opens what was sealed for this very place.
    ///
    /// # Errors
    /// [`VaultError`]: another key's, another place's, changed, or no blob at all.
    pub fn open(&self, binding: Binding<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let parsed = parse(blob)?;
        if parsed.key == self.id {
            return open(&self.key, binding, parsed);
        }
        let spare = self.spares.iter().find(|(id, _)| *id == parsed.key);
        let (_, key) = spare.ok_or(VaultError::UnknownKey(parsed.key))?;
        open(key, binding, parsed)
    }

    /// Whether a blob is sealed by the very key that seals now.
    #[must_use]
    pub fn sealed(&self, blob: &[u8]) -> bool {
        parse(blob).is_ok_and(|parsed| parsed.key == self.id)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key that sealed a blob, as the blob says; whether it is whole is not looked at.
///
/// # Errors
/// [`VaultError::Malformed`] or [`VaultError::UnknownVersion`].
pub fn sealing_key(blob: &[u8]) -> Result<KeyId, VaultError> {
    parse(blob).map(|parsed| parsed.key)
}

fn cipher(bytes: &[u8]) -> Result<LessSafeKey, VaultError> {
    let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| VaultError::Malformed)?;
    Ok(LessSafeKey::new(key))
}

pub(super) fn parse(blob: &[u8]) -> Result<Blob<'_>, VaultError> {
    let parsed = Blob::parse(blob).ok_or(VaultError::Malformed)?;
    if parsed.version == VERSION { Ok(parsed) } else { Err(VaultError::UnknownVersion(parsed.version)) }
}

/// A random nonce never repeats in practice below about 2^32 blobs of one key (NIST SP 800-38D, section 8.3): a user's
/// messages stay far under it.
pub(super) fn seal(
    id: KeyId,
    key: &LessSafeKey,
    binding: Binding<'_>,
    plain: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0_u8; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
    let mut text = Zeroizing::new(plain.to_vec());
    let aad = Aad::from(binding.associated_data(id));
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
        .map_err(|_| VaultError::TooLong)?;
    let mut blob = Blob::header(id, &nonce, text.len().saturating_add(tag.as_ref().len()));
    blob.extend_from_slice(&text);
    blob.extend_from_slice(tag.as_ref());
    Ok(blob)
}

pub(super) fn open(
    key: &LessSafeKey,
    binding: Binding<'_>,
    blob: Blob<'_>,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let aad = Aad::from(binding.associated_data(blob.key));
    let mut text = Zeroizing::new(blob.sealed.to_vec());
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(blob.nonce), aad, &mut text)
        .map_err(|_| VaultError::Refused)?
        .len();
    text.truncate(length);
    Ok(text)
}
