//! The form of every ciphertext: `version | key id | nonce | ciphertext and tag`, bound to the place where it lies.

use ring::aead::NONCE_LEN;

use super::KeyId;

/// AES-256-GCM with a random nonce.
pub(super) const VERSION: u8 = 1;

/// Version, key id and nonce, in bytes.
const HEADER: usize = 1 + KeyId::LEN + NONCE_LEN;

/// The place a ciphertext belongs to. A blob that was moved to another row, column or table does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's key, in bytes.
    pub row: &'a [u8],
}

impl Binding<'_> {
    /// The data that the tag covers beside the text: version, key id and place, each with its length.
    pub(super) fn associated_data(&self, key: KeyId) -> Vec<u8> {
        let fields = [self.table.as_bytes(), self.column.as_bytes(), self.row];
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(key.as_bytes());
        for field in fields {
            bytes.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

/// A ciphertext taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob<'a> {
    pub(super) version: u8,
    pub(super) key: KeyId,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Takes a blob apart; `None` when it is too short to be one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<{ KeyId::LEN }>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        Some(Self { version, key: KeyId::from_bytes(*key), nonce: *nonce, sealed })
    }

    /// Starts a blob: the header, with room for the text and its tag.
    pub(super) fn header(key: KeyId, nonce: &[u8; NONCE_LEN], room: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER.saturating_add(room));
        bytes.push(VERSION);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(nonce);
        bytes
    }
}
