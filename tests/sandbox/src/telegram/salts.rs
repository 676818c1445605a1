//! Server salts: a new one every half hour, each valid for an hour, derived from the seed
//! (core.telegram.org/mtproto/description#server-salt).

use grammers_tl_types::types::FutureSalt;
use ring::hmac;

/// Seconds between two salts.
const PERIOD: i64 = 1800;
/// The most salts that one request is told, as on the real servers.
const MAX_FUTURE: i32 = 64;

/// Makes and checks the salts of all authorization keys of one data centre.
#[derive(Debug, Clone)]
pub(super) struct Salts {
    key: hmac::Key,
}

impl Salts {
    /// Salts for a data centre whose secret is `secret`.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The newest salt of a key at `now` (Unix seconds).
    pub(super) fn current(&self, key_id: i64, now: i64) -> i64 {
        self.salt(key_id, now.div_euclid(PERIOD))
    }

    /// Whether a client may use `salt` at `now`: the newest one and the one before are good.
    pub(super) fn accepts(&self, key_id: i64, salt: i64, now: i64) -> bool {
        let period = now.div_euclid(PERIOD);
        salt == self.salt(key_id, period) || salt == self.salt(key_id, period.saturating_sub(1))
    }

    /// The current and the next salts, oldest first.
    pub(super) fn future(&self, key_id: i64, now: i64, count: i32) -> Vec<FutureSalt> {
        let period = now.div_euclid(PERIOD);
        (0..i64::from(count.clamp(1, MAX_FUTURE)))
            .map(|ahead| {
                let period = period.saturating_add(ahead);
                let since = period.saturating_mul(PERIOD);
                FutureSalt {
                    valid_since: unix_i32(since),
                    valid_until: unix_i32(since.saturating_add(2 * PERIOD)),
                    salt: self.salt(key_id, period),
                }
            })
            .collect()
    }

    fn salt(&self, key_id: i64, period: i64) -> i64 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&key_id.to_le_bytes());
        context.update(&period.to_le_bytes());
        let salt = context.sign().as_ref().first_chunk::<8>().map_or(1, |head| i64::from_le_bytes(*head));
        // Zero is what clients begin with; it must never be right.
        if salt == 0 { 1 } else { salt }
    }
}

/// Unix seconds as the schema's `int`.
pub(super) fn unix_i32(seconds: i64) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_good_for_an_hour_and_for_its_key_only() {
        let salts = Salts::new(b"seed");
        let now = 1_800_000_000;
        let salt = salts.current(5, now);
        assert!(salts.accepts(5, salt, now));
        assert!(salts.accepts(5, salt, now + PERIOD));
        assert!(!salts.accepts(5, salt, now + 2 * PERIOD));
        assert!(!salts.accepts(6, salt, now));
        assert!(!salts.accepts(5, 0, now));
        assert!(!Salts::new(b"other").accepts(5, salt, now));
    }

    #[test]
    fn future_salts_are_the_current_ones_of_later() {
        let salts = Salts::new(b"seed");
        let future = salts.future(5, 1_800_000_001, 1000);
        assert_eq!(future.len(), 64);
        for salt in future {
            assert_eq!(salts.current(5, i64::from(salt.valid_since)), salt.salt);
            assert!(salts.accepts(5, salt.salt, i64::from(salt.valid_until) - 1));
        }
    }
}
