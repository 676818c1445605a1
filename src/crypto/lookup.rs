//! Keyed hashes by which the store finds what it must not hold in plain: tokens, keys, e-mail addresses.

use std::fmt;

use ring::hmac;

/// A keyed hash: HMAC-SHA256.
pub type Tag = [u8; 32];

/// The key of the hashes. It lives as long as the store, whatever becomes of the master key: a hash cannot be made anew
/// from what is stored.
#[derive(Clone)]
pub struct LookupKey(hmac::Key);

impl LookupKey {
    /// Length of the bare key in bytes.
    pub const LEN: usize = 32;

    /// From its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; Self::LEN]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The hash of a text. The same text in another domain has another hash.
    #[must_use]
    pub fn tag(&self, domain: &str, text: &[u8]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&u64::try_from(domain.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(domain.as_bytes());
        context.update(text);
        let mut tag = [0_u8; 32];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }

    /// Whether the text has this hash, in constant time.
    #[must_use]
    pub fn matches(&self, domain: &str, text: &[u8], tag: &[u8]) -> bool {
        same(&self.tag(domain, text), tag)
    }
}

/// Compares two hashes in constant time: each is hashed once more under a key that nobody knows the use of.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"constant time");
    hmac::verify(&key, one, hmac::sign(&key, other).as_ref()).is_ok()
}

impl fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_key_domain_and_text() {
        let key = LookupKey::new(&[7; 32]);
        let tag = key.tag("api key", b"text");
        assert!(key.matches("api key", b"text", &tag));
        assert!(!key.matches("api key", b"texu", &tag));
        assert!(!key.matches("api keyt", b"ext", &tag));
        assert!(!LookupKey::new(&[8; 32]).matches("api key", b"text", &tag));
        assert!(!same(b"ab", b"a"));
        assert!(!format!("{key:?}").contains('7'));
    }
}
