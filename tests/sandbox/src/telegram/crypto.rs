//! MTProto 2.0 encryption, server side: x = 0 for what clients send, x = 8 for what the server sends
//! (core.telegram.org/mtproto/description).

use grammers_crypto::aes::{ige_decrypt, ige_encrypt};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of an authorization key.
pub(super) const KEY_LENGTH: usize = 256;
/// Least bytes of padding after the message data.
const MIN_PADDING: usize = 12;

/// What is wrong with an encrypted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CryptoError {
    /// The packet is too short or its encrypted part is no multiple of the block length.
    #[error("the packet has an impossible length")]
    Length,
    /// The message key does not belong to the decrypted data.
    #[error("the message key does not match")]
    MessageKey,
    /// The system gave no random bytes for the padding.
    #[error("no random bytes for the padding")]
    Random,
}

/// An authorization key and its id.
#[derive(Clone)]
pub(super) struct AuthKey {
    bytes: Box<[u8; KEY_LENGTH]>,
    id: i64,
}

impl std::fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Which side a message comes from: the offset `x` of the key derivation.
#[derive(Debug, Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Side {
    const fn offset(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 8,
        }
    }
}

impl AuthKey {
    /// A key from its bytes; the id is the lower 64 bits of the SHA-1 of the key.
    pub(super) fn new(bytes: [u8; KEY_LENGTH]) -> Self {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        let id = hash.as_ref().last_chunk::<8>().map_or(0, |tail| i64::from_le_bytes(*tail));
        Self { bytes: Box::new(bytes), id }
    }

    /// The id by which packets name the key.
    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    /// Bytes of the key; never to be logged.
    pub(super) fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.bytes
    }

    /// Decrypts what a client sent: message key and encrypted data, without the key id in front.
    ///
    /// # Errors
    /// [`CryptoError::Length`] and [`CryptoError::MessageKey`].
    pub(super) fn decrypt(&self, packet: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.open(packet, Side::Client)
    }

    /// Encrypts for the client and returns the whole packet: key id, message key, encrypted data.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub(super) fn encrypt(&self, data: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        self.seal(data, Side::Server)
    }

    fn open(&self, packet: &[u8], side: Side) -> Result<Vec<u8>, CryptoError> {
        let Some((message_key, encrypted)) = packet.split_first_chunk::<16>() else {
            return Err(CryptoError::Length);
        };
        if encrypted.is_empty() || !encrypted.len().is_multiple_of(16) {
            return Err(CryptoError::Length);
        }
        let (key, iv) = self.aes(message_key, side);
        let mut data = encrypted.to_vec();
        ige_decrypt(&mut data, &key, &iv);
        if self.message_key(&data, side) != *message_key {
            return Err(CryptoError::MessageKey);
        }
        Ok(data)
    }

    fn seal(&self, mut data: Vec<u8>, side: Side) -> Result<Vec<u8>, CryptoError> {
        let mut random = [0_u8; 32];
        SystemRandom::new().fill(&mut random).map_err(|_unspecified| CryptoError::Random)?;
        let padding = MIN_PADDING + (16 - (data.len().wrapping_add(MIN_PADDING)) % 16) % 16;
        data.extend(random.iter().take(padding));
        let message_key = self.message_key(&data, side);
        let (key, iv) = self.aes(&message_key, side);
        ige_encrypt(&mut data, &key, &iv);
        let mut packet = Vec::with_capacity(data.len().saturating_add(24));
        packet.extend(self.id.to_le_bytes());
        packet.extend(message_key);
        packet.append(&mut data);
        Ok(packet)
    }

    /// `substr(SHA256(substr(auth_key, 88+x, 32) + plaintext + padding), 8, 16)`.
    fn message_key(&self, data: &[u8], side: Side) -> [u8; 16] {
        let large = sha256(&[self.part(88 + side.offset(), 32), data]);
        chunk(&large, 8)
    }

    /// AES key and initialisation vector for a message key.
    fn aes(&self, message_key: &[u8; 16], side: Side) -> ([u8; 32], [u8; 32]) {
        let x = side.offset();
        let a = sha256(&[message_key, self.part(x, 36)]);
        let b = sha256(&[self.part(40 + x, 36), message_key]);
        let mix = |outer: &[u8; 32], inner: &[u8; 32]| {
            let mut mixed = *outer;
            for (to, from) in mixed.iter_mut().zip(inner).skip(8).take(16) {
                *to = *from;
            }
            mixed
        };
        (mix(&a, &b), mix(&b, &a))
    }

    fn part(&self, at: usize, length: usize) -> &[u8] {
        self.bytes.get(at..at.saturating_add(length)).unwrap_or_default()
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    chunk(context.finish().as_ref(), 0)
}

/// `N` bytes from `at`, zero where there are none (which the fixed digest lengths rule out).
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    //! Against grammers' own client side, which knows nothing of this code.

    use grammers_crypto::{AuthKey as ClientKey, DequeBuffer, decrypt_data_v2, encrypt_data_v2};

    use super::{AuthKey, CryptoError, Side};

    fn bytes() -> [u8; 256] {
        std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(7).wrapping_add(3))
    }

    #[test]
    fn what_a_grammers_client_encrypts_is_decrypted() {
        let mut buffer = DequeBuffer::with_capacity(64, 64);
        buffer.extend(b"a message of the client".iter().copied());
        encrypt_data_v2(&mut buffer, &ClientKey::from_bytes(bytes()));
        let key = AuthKey::new(bytes());
        let (id, rest) = buffer.as_ref().split_first_chunk::<8>().unwrap();
        assert_eq!(i64::from_le_bytes(*id), key.id());
        let data = key.decrypt(rest).unwrap();
        assert!(data.starts_with(b"a message of the client"));
    }

    #[test]
    fn a_grammers_client_decrypts_what_is_encrypted_here() {
        let key = AuthKey::new(bytes());
        for length in [16_usize, 20, 24, 28, 32, 1000] {
            let data = vec![9_u8; length];
            let mut packet = key.encrypt(data.clone()).unwrap();
            let plain = decrypt_data_v2(&mut packet, &ClientKey::from_bytes(bytes())).unwrap();
            assert_eq!(plain.get(..length), Some(data.as_slice()));
            assert!((12..=1024).contains(&(plain.len() - length)));
        }
    }

    #[test]
    fn a_changed_or_cut_packet_is_refused() {
        let key = AuthKey::new(bytes());
        let packet = key.seal(vec![1; 32], Side::Client).unwrap();
        let rest = packet.get(8..).unwrap();
        let mut changed = rest.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(key.decrypt(&changed), Err(CryptoError::MessageKey));
        assert_eq!(key.decrypt(rest.get(..rest.len() - 3).unwrap()), Err(CryptoError::Length));
        assert_eq!(key.decrypt(&[0; 16]), Err(CryptoError::Length));
    }

    #[test]
    fn the_key_is_not_printed() {
        let printed = format!("{:?}", AuthKey::new([0x5a; 256]));
        assert!(!printed.contains("90, 90"), "{printed}");
    }
}
