//! Sign-ins that were begun: which code belongs to which hash, and for how long.

use std::collections::{HashMap, VecDeque};

use ring::hmac;

use super::dc::digits;
use super::guesses::Guesses;
use crate::seed::TelegramSeed;

/// Wrong codes after which a sign-in must begin anew.
const MAX_ATTEMPTS: u8 = 5;
/// Wrong codes after which a number cannot be signed in to for a while.
const MAX_WRONG: u32 = 10;

/// Why a code does not sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No such sign-in, or it took too long, or too many codes were tried.
    Expired,
    /// Not the code.
    Wrong,
    /// Too many wrong codes for this number, in whatever sign-ins.
    Flooded,
}

#[derive(Debug)]
struct Login {
    phone: String,
    /// Unix seconds.
    until: i64,
    attempts: u8,
}

/// What people and bots sign in with.
#[derive(Default)]
pub(super) struct Secrets {
    /// Codes by telephone number (digits).
    pub(super) codes: HashMap<String, String>,
    /// Bots by token.
    pub(super) bots: HashMap<String, i64>,
}

impl Secrets {
    pub(super) fn of(seed: &TelegramSeed) -> Self {
        let codes = seed.users.iter().map(|user| (digits(&user.phone), user.code.reveal().to_owned()));
        let bots = seed.bots.iter().map(|bot| (bot.token.reveal().to_owned(), bot.user_id));
        Self { codes: codes.collect(), bots: bots.collect() }
    }
}

/// Open sign-ins, and authorizations exported to another data centre.
pub(super) struct Logins {
    secrets: Secrets,
    key: hmac::Key,
    issued: u64,
    open: HashMap<String, Login>,
    order: VecDeque<String>,
    guesses: Guesses<String>,
    exported: HashMap<Vec<u8>, i64>,
    exports: VecDeque<Vec<u8>>,
    capacity: usize,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Logins {
    /// No sign-ins yet; hashes are derived from `secret`.
    pub(super) fn new(secrets: Secrets, secret: &[u8], capacity: usize) -> Self {
        Self {
            secrets,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            issued: 0,
            open: HashMap::new(),
            order: VecDeque::new(),
            guesses: Guesses::new(MAX_WRONG),
            exported: HashMap::new(),
            exports: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    /// The code that a telephone number expects: the seeded one, else one derived from the seed.
    pub(super) fn code(&self, phone: &str) -> String {
        self.secrets.codes.get(phone).cloned().unwrap_or_else(|| {
            let head = self.derive(phone.as_bytes());
            let number = head.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
            format!("{:05}", number % 100_000)
        })
    }

    /// The bot with a token.
    pub(super) fn bot(&self, token: &str) -> Option<i64> {
        self.secrets.bots.get(token).copied()
    }

    /// Begins a sign-in and returns its hash.
    pub(super) fn begin(&mut self, phone: &str, until: i64) -> String {
        self.issued = self.issued.wrapping_add(1);
        let mut hash = hex::encode(self.derive(format!("{phone} {}", self.issued).as_bytes()));
        hash.truncate(18);
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(hash.clone(), Login { phone: phone.to_owned(), until, attempts: 0 });
        self.order.push_back(hash.clone());
        hash
    }

    /// Checks a code. A right one ends the sign-in.
    pub(super) fn check(&mut self, phone: &str, hash: &str, code: &str, now: i64) -> Result<(), Denied> {
        if self.guesses.wait(&phone.to_owned(), now).is_some() {
            return Err(Denied::Flooded);
        }
        let expected = self.code(phone);
        let Some(login) = self.open.get_mut(hash).filter(|login| login.phone == phone) else {
            return Err(Denied::Expired);
        };
        if login.until <= now || login.attempts >= MAX_ATTEMPTS {
            self.end(hash);
            return Err(Denied::Expired);
        }
        if code != expected {
            login.attempts = login.attempts.saturating_add(1);
            self.guesses.count(phone.to_owned(), now);
            return Err(Denied::Wrong);
        }
        self.end(hash);
        self.guesses.forget(&phone.to_owned());
        Ok(())
    }

    /// Gives up a sign-in; tells whether it was open.
    pub(super) fn end(&mut self, hash: &str) -> bool {
        self.order.retain(|open| open != hash);
        self.open.remove(hash).is_some()
    }

    /// A token with which another key can sign in as this user, once.
    pub(super) fn export(&mut self, user: i64) -> Vec<u8> {
        self.issued = self.issued.wrapping_add(1);
        let token = self.derive(format!("export {user} {}", self.issued).as_bytes());
        if self.exports.len() >= self.capacity
            && let Some(oldest) = self.exports.pop_front()
        {
            self.exported.remove(&oldest);
        }
        self.exported.insert(token.clone(), user);
        self.exports.push_back(token.clone());
        token
    }

    /// Takes an exported token.
    pub(super) fn import(&mut self, user: i64, token: &[u8]) -> bool {
        if self.exported.get(token) != Some(&user) {
            return false;
        }
        self.exports.retain(|open| open != token);
        self.exported.remove(token).is_some()
    }

    fn derive(&self, label: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, label).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> Logins {
        let codes = HashMap::from([("999".to_owned(), "12345".to_owned())]);
        Logins::new(Secrets { codes, ..Secrets::default() }, b"seed", 2)
    }

    #[test]
    fn the_right_code_signs_in_once_and_in_time() {
        let mut logins = logins();
        let hash = logins.begin("999", 100);
        assert_eq!(logins.check("999", &hash, "00000", 10), Err(Denied::Wrong));
        assert_eq!(logins.check("998", &hash, "12345", 10), Err(Denied::Expired), "another number");
        assert_eq!(logins.check("999", &hash, "12345", 10), Ok(()));
        assert_eq!(logins.check("999", &hash, "12345", 10), Err(Denied::Expired), "used up");
        let hash = logins.begin("999", 100);
        assert_eq!(logins.check("999", &hash, "12345", 100), Err(Denied::Expired), "too late");
    }

    #[test]
    fn guessing_and_piling_up_sign_ins_end_them() {
        let mut logins = logins();
        let hash = logins.begin("999", 100);
        for _ in 0..MAX_ATTEMPTS {
            assert_eq!(logins.check("999", &hash, "00000", 10), Err(Denied::Wrong));
        }
        assert_eq!(logins.check("999", &hash, "12345", 10), Err(Denied::Expired));
        let first = logins.begin("999", 100);
        logins.begin("999", 100);
        logins.begin("999", 100);
        assert_eq!(logins.check("999", &first, "12345", 10), Err(Denied::Expired), "over the bound");
    }

    #[test]
    fn guessing_over_many_sign_ins_ends_all_of_them_for_an_hour() {
        let mut logins = logins();
        for _ in 0..MAX_WRONG {
            let hash = logins.begin("999", 10_000);
            assert_eq!(logins.check("999", &hash, "00000", 10), Err(Denied::Wrong));
        }
        let hash = logins.begin("999", 10_000);
        assert_eq!(logins.check("999", &hash, "12345", 10), Err(Denied::Flooded));
        assert_eq!(logins.check("999", &hash, "12345", 3610), Ok(()));
    }

    #[test]
    fn an_exported_authorization_is_good_once_and_for_its_user() {
        let mut logins = logins();
        let token = logins.export(5);
        assert!(!logins.import(6, &token));
        assert!(logins.import(5, &token));
        assert!(!logins.import(5, &token));
    }
}
