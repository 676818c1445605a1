//! Values derived from a seed: HMAC-SHA-256 of a label under the seed's number.

use ring::hmac;
use uuid::{Builder, Uuid};

/// 2025-01-01T00:00:00Z: the moment that seeded ids carry, so that they never depend on the clock.
pub(super) const EPOCH_MS: u64 = 1_735_689_600_000;

#[derive(Clone, Debug)]
pub(super) struct Derive {
    key: hmac::Key,
}

impl Derive {
    pub(super) fn new(seed: u64) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes()) }
    }

    pub(super) fn bytes(&self, label: &str) -> [u8; 32] {
        let mut bytes = [0_u8; 32];
        for (to, from) in bytes.iter_mut().zip(hmac::sign(&self.key, label.as_bytes()).as_ref()) {
            *to = *from;
        }
        bytes
    }

    pub(super) fn number(&self, label: &str) -> u64 {
        self.bytes(label).iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// An id of the form of UUIDv7, whose time is fixed and whose random part comes from the seed.
    pub(super) fn uuid(&self, label: &str) -> Uuid {
        let mut random = [0_u8; 10];
        for (to, from) in random.iter_mut().zip(self.bytes(label)) {
            *to = from;
        }
        Builder::from_unix_timestamp_millis(EPOCH_MS, &random).into_uuid()
    }
}
