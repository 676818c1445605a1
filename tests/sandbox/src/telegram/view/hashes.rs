//! Access hashes: the proof that an account was told about a peer (core.telegram.org/api/peers#access-hash).

use ring::hmac;

use super::super::world::Chat;

/// Makes the hash of every (account, peer) from the seed.
#[derive(Debug, Clone)]
pub(crate) struct AccessHashes {
    key: hmac::Key,
}

impl AccessHashes {
    /// Hashes for a data centre whose secret is `secret`.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The hash with which `viewer` may name a peer; never zero, which clients use for "unknown".
    pub(crate) fn hash(&self, viewer: i64, peer: Chat) -> i64 {
        let (kind, id) = match peer {
            Chat::Channel(id) => (b'c', id),
            Chat::User(id) => (b'u', id),
        };
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&viewer.to_le_bytes());
        context.update(&[kind]);
        context.update(&id.to_le_bytes());
        let hash = context.sign().as_ref().first_chunk::<8>().map_or(1, |head| i64::from_le_bytes(*head));
        if hash == 0 { 1 } else { hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_for_one_account_and_one_peer() {
        let hashes = AccessHashes::new(b"seed");
        let hash = hashes.hash(1, Chat::User(7));
        assert_eq!(hash, hashes.hash(1, Chat::User(7)));
        assert_ne!(hash, hashes.hash(2, Chat::User(7)));
        assert_ne!(hash, hashes.hash(1, Chat::Channel(7)));
        assert_ne!(hash, AccessHashes::new(b"other").hash(1, Chat::User(7)));
    }
}
