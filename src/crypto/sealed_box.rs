//! What a stranger hands over sealed: HPKE (RFC 9180) in its base mode, to a key pair of this server.
//!
//! The key pair is derived from the master key, so there is nothing to keep and nothing to lose. A blob is bound to what it
//! is for and to the user for whom it was made: whoever steals one cannot hand it in for somebody else.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};
use ring::digest;
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::ports::Rng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::Keyring;

/// Length of a public key and of an encapsulated key, bytes.
pub const PUBLIC_KEY_LEN: usize = 32;
/// Under this name the key pair is derived.
const PURPOSE: &str = "sealed uploads";

type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// Why something sealed cannot be opened or made. Says nothing of its content.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SealedBoxError {
    /// No key of X25519.
    #[error("the public key is none")]
    PublicKey,
    /// Made for another key, another purpose or another user, or changed on the way.
    #[error("it was not sealed for this, or was changed on the way")]
    Open,
}

/// Something sealed.
pub struct SealedBox {
    /// The encapsulated key.
    pub enc: Vec<u8>,
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

/// The key pair of this server.
pub struct UploadKey {
    private: Private,
    public: Public,
}

impl fmt::Debug for UploadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl UploadKey {
    /// The pair that belongs to the active master key.
    #[must_use]
    pub fn of(keyring: &Keyring) -> Self {
        let seed: Zeroizing<[u8; 32]> = keyring.derive(PURPOSE);
        let (private, public) = X25519HkdfSha256::derive_keypair(seed.as_slice());
        Self { private, public }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.public.to_bytes().to_vec()
    }

    /// Names the pair: the first eight bytes of the public key's SHA-256, as hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(&self.public())
    }

    /// Opens what was sealed to this pair for this purpose and this context.
    ///
    /// # Errors
    /// [`SealedBoxError::Open`].
    pub fn open(
        &self,
        sealed: &SealedBox,
        info: &[u8],
        context: &[u8],
    ) -> Result<SecretSlice<u8>, SealedBoxError> {
        let failed = |_| SealedBoxError::Open;
        let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.enc).map_err(failed)?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private,
            &enc,
            info,
            &sealed.ciphertext,
            context,
        );
        opened.map(SecretSlice::from).map_err(failed)
    }
}

/// Names the pair of a public key, as [`UploadKey::id`] does.
#[must_use]
pub fn key_id(public: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, public);
    hex::encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// Seals to a public key, for a purpose and a context.
///
/// # Errors
/// [`SealedBoxError::PublicKey`].
pub fn seal(
    public: &[u8],
    info: &[u8],
    context: &[u8],
    content: &SecretSlice<u8>,
    rng: &dyn Rng,
) -> Result<SealedBox, SealedBoxError> {
    let failed = |_| SealedBoxError::PublicKey;
    let public = Public::from_bytes(public).map_err(failed)?;
    let (enc, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info,
        content.expose_secret(),
        context,
        &mut Source(rng),
    )
    .map_err(failed)?;
    Ok(SealedBox { enc: enc.to_bytes().to_vec(), ciphertext })
}

/// Our source of randomness, as the library wants it.
struct Source<'a>(&'a dyn Rng);

impl TryRng for Source<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(to);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRng;

    fn pair(byte: u8) -> UploadKey {
        use base64::Engine;
        let key = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        UploadKey::of(&Keyring::parse(&key, "a test").unwrap())
    }

    #[test]
    fn what_is_sealed_opens_for_its_key_its_purpose_and_its_user_only() {
        let (own, other) = (pair(1), pair(2));
        assert_ne!(own.id(), other.id());
        assert_eq!(own.id(), pair(1).id(), "it is the same after a restart");
        assert_eq!(own.public().len(), PUBLIC_KEY_LEN);
        let content = SecretSlice::from(b"a session".to_vec());
        let sealed = seal(&own.public(), b"session", b"ada", &content, &SystemRng).unwrap();
        let opened = own.open(&sealed, b"session", b"ada").unwrap();
        assert_eq!(opened.expose_secret(), b"a session");
        assert_eq!(other.open(&sealed, b"session", b"ada").err(), Some(SealedBoxError::Open));
        assert_eq!(own.open(&sealed, b"export", b"ada").err(), Some(SealedBoxError::Open));
        assert_eq!(own.open(&sealed, b"session", b"eve").err(), Some(SealedBoxError::Open));
        let again = seal(&own.public(), b"session", b"ada", &content, &SystemRng).unwrap();
        assert_ne!(again.ciphertext, sealed.ciphertext);
        let mut changed = sealed;
        changed.ciphertext[0] ^= 1;
        assert_eq!(own.open(&changed, b"session", b"ada").err(), Some(SealedBoxError::Open));
        assert!(seal(&[1; 5], b"", b"", &content, &SystemRng).is_err());
    }
}
