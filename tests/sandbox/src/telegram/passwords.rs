//! Two-step verification: who has a password, which sign-ins wait for one, and the checks that were begun.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ring::hmac;

use super::guesses::Guesses;
use super::srp::{Challenge, Verifier};
use crate::seed::{Secret, TelegramSeed};

/// Wrong passwords before a wait.
const MAX_WRONG: u32 = 5;

/// Why a password does not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The check was never begun, or another one was begun since, or it was used already.
    UnknownCheck,
    /// Not the password.
    Wrong,
    /// Too many wrong ones.
    Flood(Duration),
}

/// What a client needs to prove that it knows a password.
pub(super) struct Offer<'a> {
    pub(super) id: i64,
    pub(super) salt1: &'a [u8],
    pub(super) salt2: &'a [u8],
    pub(super) public: &'a [u8],
}

/// The passwords of a data centre.
pub(super) struct Passwords {
    secrets: HashMap<i64, Secret>,
    verifiers: HashMap<i64, Verifier>,
    /// The one check of each user that can be answered.
    checks: HashMap<i64, (i64, Challenge)>,
    /// Keys that gave the right code or token, and whose.
    waiting: HashMap<i64, i64>,
    order: VecDeque<i64>,
    guesses: Guesses<i64>,
    key: hmac::Key,
    issued: u64,
    capacity: usize,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Passwords {
    /// The seeded passwords; salts and exponents are derived from `secret`. At most `capacity` sign-ins wait.
    pub(super) fn new(seed: &TelegramSeed, secret: &[u8], capacity: usize) -> Self {
        let secrets = seed.users.iter().filter_map(|user| Some((user.user_id, user.password.clone()?)));
        Self {
            secrets: secrets.collect(),
            verifiers: HashMap::new(),
            checks: HashMap::new(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            guesses: Guesses::new(MAX_WRONG),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            issued: 0,
            capacity: capacity.max(1),
        }
    }

    /// Whether a user has a password.
    pub(super) fn has(&self, user: i64) -> bool {
        self.secrets.contains_key(&user)
    }

    /// Remembers that a key may sign in as a user once the password is given.
    pub(super) fn wait(&mut self, key: i64, user: i64) {
        self.end(key);
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.waiting.remove(&oldest);
        }
        self.waiting.insert(key, user);
        self.order.push_back(key);
    }

    /// As whom a key waits to sign in.
    pub(super) fn waiting(&self, key: i64) -> Option<i64> {
        self.waiting.get(&key).copied()
    }

    /// Ends a key's wait; tells whether it waited.
    pub(super) fn end(&mut self, key: i64) -> bool {
        self.order.retain(|waiting| *waiting != key);
        self.waiting.remove(&key).is_some()
    }

    /// Begins a check of a user's password; an earlier one is void. `None` if the user has no password.
    pub(super) fn begin(&mut self, user: i64) -> Option<Offer<'_>> {
        let secret = self.secrets.get(&user)?;
        self.issued = self.issued.wrapping_add(1);
        let exponent = self.exponent();
        let id = self.id();
        let salt = |label: &str| derive(&self.key, &format!("{label} {user}")).to_vec();
        let verifier = self
            .verifiers
            .entry(user)
            .or_insert_with(|| Verifier::new(secret.reveal(), salt("salt1"), salt("salt2")));
        self.checks.insert(user, (id, verifier.challenge(&exponent)));
        let (_, challenge) = self.checks.get(&user)?;
        Some(Offer { id, salt1: &verifier.salt1, salt2: &verifier.salt2, public: &challenge.public })
    }

    /// Ends a check, right or wrong.
    pub(super) fn check(&mut self, user: i64, id: i64, a: &[u8], m1: &[u8], now: i64) -> Result<(), Refused> {
        if let Some(wait) = self.guesses.wait(&user, now) {
            return Err(Refused::Flood(wait));
        }
        if self.checks.get(&user).is_none_or(|(known, _)| *known != id) {
            return Err(Refused::UnknownCheck);
        }
        let (Some((_, challenge)), Some(verifier)) = (self.checks.remove(&user), self.verifiers.get(&user))
        else {
            return Err(Refused::UnknownCheck);
        };
        if !verifier.accepts(&challenge, a, m1) {
            self.guesses.count(user, now);
            return Err(Refused::Wrong);
        }
        self.guesses.forget(&user);
        Ok(())
    }

    /// 32 bytes that clients mix into secrets of their own.
    pub(super) fn random(&self) -> Vec<u8> {
        derive(&self.key, &format!("random {}", self.issued)).to_vec()
    }

    /// A salt for a password that a client would set.
    pub(super) fn new_salt(&self, user: i64, part: u8) -> Vec<u8> {
        derive(&self.key, &format!("new salt {user} {part}")).to_vec()
    }

    fn exponent(&self) -> [u8; 256] {
        let mut exponent = [0_u8; 256];
        for (part, chunk) in exponent.chunks_exact_mut(32).enumerate() {
            chunk.copy_from_slice(&derive(&self.key, &format!("exponent {} {part}", self.issued)));
        }
        exponent
    }

    fn id(&self) -> i64 {
        let bytes = derive(&self.key, &format!("check {}", self.issued));
        bytes.first_chunk::<8>().map_or(1, |head| i64::from_le_bytes(*head))
    }
}

fn derive(key: &hmac::Key, label: &str) -> [u8; 32] {
    hmac::sign(key, label.as_bytes()).as_ref().try_into().unwrap_or_default()
}
