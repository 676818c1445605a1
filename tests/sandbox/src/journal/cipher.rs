//! Encryption of journal lines: AES-256-GCM, each line bound to its journal and its place in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::config::WorldKey;

/// The name of the cipher in a journal's header.
pub(super) const NAME: &str = "aes-256-gcm";

/// A cipher for the lines of one journal.
pub(super) struct LineCipher {
    key: LessSafeKey,
    rng: SystemRandom,
    journal: String,
}

impl LineCipher {
    pub(super) fn new(key: &WorldKey, journal: &str) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.bytes()).ok()?);
        Some(Self { key, rng: SystemRandom::new(), journal: journal.to_owned() })
    }

    /// `base64(nonce | ciphertext | tag)` of a line; random nonces are safe for 2^32 lines.
    pub(super) fn seal(&self, line: u64, plain: Vec<u8>) -> Option<String> {
        let mut nonce = [0_u8; NONCE_LEN];
        self.rng.fill(&mut nonce).ok()?;
        let mut data = plain;
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.aad(line), &mut data)
            .ok()?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut data);
        Some(STANDARD_NO_PAD.encode(sealed))
    }

    /// The plain text of a line, if it is whole, ours, and where it was written.
    pub(super) fn open(&self, line: u64, text: &[u8]) -> Option<Vec<u8>> {
        let sealed = STANDARD_NO_PAD.decode(text).ok()?;
        let (nonce, data) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut data = data.to_vec();
        let plain = self.key.open_in_place(nonce, self.aad(line), &mut data).ok()?;
        Some(plain.to_vec())
    }

    fn aad(&self, line: u64) -> Aad<Vec<u8>> {
        Aad::from(format!("switchyard-sandbox journal 1 {} {line}", self.journal).into_bytes())
    }
}

/// Names a key without telling it.
pub(super) fn key_id(key: &WorldKey) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
    let tag = hmac::sign(&key, b"switchyard-sandbox journal key id");
    hex::encode(tag.as_ref().get(..8).unwrap_or_default())
}
