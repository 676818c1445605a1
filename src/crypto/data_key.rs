//! Data keys: each user has one, wrapped by a master key; deleting it erases everything that it sealed.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
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

/// A data key ready for use. It lives in memory only.
pub struct DataKey {
    id: KeyId,
    key: LessSafeKey,
}

impl DataKey {
    /// Length of the bare key in bytes.
    pub(super) const LEN: usize = 32;

    pub(super) fn new(id: KeyId, bytes: &[u8]) -> Result<Self, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| VaultError::Malformed)?;
        Ok(Self { id, key: LessSafeKey::new(key) })
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
        if parsed.key != self.id {
            return Err(VaultError::UnknownKey(parsed.key));
        }
        open(&self.key, binding, parsed)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
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
