//! Sign-in by QR code: tokens that one session shows and another accepts (core.telegram.org/api/qr-login).

use std::collections::{HashMap, VecDeque};

use ring::hmac;

/// How long a token is good, in seconds.
const LIFETIME: i64 = 30;

/// What becomes of the request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exported {
    /// Show this.
    Token {
        /// What the QR code holds.
        token: Vec<u8>,
        /// Unix seconds.
        until: i64,
    },
    /// The token shown before was accepted by this user.
    Accepted(i64),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenRefused {
    /// There is no such token.
    Unknown,
    /// It came too late.
    Expired,
    /// Somebody has accepted it.
    AlreadyAccepted,
}

#[derive(Debug)]
struct Shown {
    key: i64,
    until: i64,
    accepted: Option<i64>,
}

/// The tokens of a data centre. They live in memory: after a restart a client shows another code.
#[derive(Debug)]
pub(super) struct LoginTokens {
    shown: HashMap<Vec<u8>, Shown>,
    by_key: HashMap<i64, Vec<u8>>,
    order: VecDeque<Vec<u8>>,
    secret: hmac::Key,
    issued: u64,
    capacity: usize,
}

impl LoginTokens {
    /// No tokens yet; they are derived from `secret`, and at most `capacity` are kept.
    pub(super) fn new(secret: &[u8], capacity: usize) -> Self {
        Self {
            shown: HashMap::new(),
            by_key: HashMap::new(),
            order: VecDeque::new(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret),
            issued: 0,
            capacity: capacity.max(1),
        }
    }

    /// The token that a key shows: the one that it has, while it is good.
    pub(super) fn export(&mut self, key: i64, now: i64) -> Exported {
        if let Some(token) = self.by_key.get(&key).cloned() {
            match self.shown.get(&token) {
                Some(Shown { accepted: Some(user), until, .. }) if *until > now => {
                    let user = *user;
                    self.forget(&token);
                    return Exported::Accepted(user);
                }
                Some(Shown { accepted: None, until, .. }) if *until > now => {
                    return Exported::Token { until: *until, token };
                }
                _ => self.forget(&token),
            }
        }
        self.issued = self.issued.wrapping_add(1);
        let token = hmac::sign(&self.secret, &self.issued.to_be_bytes()).as_ref().to_vec();
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.front().cloned()
        {
            self.forget(&oldest);
        }
        let until = now.saturating_add(LIFETIME);
        self.shown.insert(token.clone(), Shown { key, until, accepted: None });
        self.by_key.insert(key, token.clone());
        self.order.push_back(token.clone());
        Exported::Token { token, until }
    }

    /// The accepted token that a key shows; it stays.
    pub(super) fn accepted(&self, key: i64, now: i64) -> Option<Vec<u8>> {
        let token = self.by_key.get(&key)?;
        let shown = self.shown.get(token)?;
        (shown.accepted.is_some() && shown.until > now).then(|| token.clone())
    }

    /// Takes back a token that was accepted; answers whose it is now, or until when it can still be accepted.
    pub(super) fn import(&mut self, token: &[u8], now: i64) -> Result<Exported, TokenRefused> {
        let shown = self.shown.get(token).ok_or(TokenRefused::Unknown)?;
        if shown.until <= now {
            return Err(TokenRefused::Expired);
        }
        Ok(match shown.accepted {
            Some(user) => {
                self.forget(token);
                Exported::Accepted(user)
            }
            None => Exported::Token { token: token.to_vec(), until: shown.until },
        })
    }

    /// A person scans a token; answers the key that shows it.
    pub(super) fn accept(&mut self, token: &[u8], user: i64, now: i64) -> Result<i64, TokenRefused> {
        let shown = self.shown.get_mut(token).ok_or(TokenRefused::Unknown)?;
        if shown.until <= now {
            return Err(TokenRefused::Expired);
        }
        if shown.accepted.is_some() {
            return Err(TokenRefused::AlreadyAccepted);
        }
        shown.accepted = Some(user);
        Ok(shown.key)
    }

    /// The token that was shown last.
    pub(super) fn latest(&self) -> Option<&[u8]> {
        self.order.back().map(Vec::as_slice)
    }

    fn forget(&mut self, token: &[u8]) {
        self.order.retain(|known| known != token);
        if let Some(shown) = self.shown.remove(token) {
            self.by_key.remove(&shown.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(exported: Exported) -> Vec<u8> {
        let Exported::Token { token, .. } = exported else { panic!("no token") };
        token
    }

    #[test]
    fn a_token_is_shown_accepted_once_and_taken_once() {
        let mut tokens = LoginTokens::new(b"seed", 2);
        let first = token(tokens.export(1, 100));
        assert_eq!(token(tokens.export(1, 110)), first, "still the same");
        assert_eq!(tokens.latest(), Some(first.as_slice()));
        assert_eq!(tokens.accept(b"nothing", 7, 110), Err(TokenRefused::Unknown));
        assert_eq!(tokens.accept(&first, 7, 110), Ok(1));
        assert_eq!(tokens.accept(&first, 8, 110), Err(TokenRefused::AlreadyAccepted));
        assert_eq!(tokens.export(1, 111), Exported::Accepted(7));
        assert_ne!(token(tokens.export(1, 111)), first);
    }

    #[test]
    fn a_token_ends_by_time_and_by_number() {
        let mut tokens = LoginTokens::new(b"seed", 2);
        let first = token(tokens.export(1, 100));
        assert_eq!(tokens.accept(&first, 7, 130), Err(TokenRefused::Expired));
        assert_eq!(tokens.import(&first, 130), Err(TokenRefused::Expired));
        let second = token(tokens.export(1, 130));
        assert_ne!(second, first);
        assert!(matches!(tokens.import(&second, 131), Ok(Exported::Token { .. })));
        tokens.export(2, 131);
        tokens.export(3, 131);
        assert_eq!(tokens.accept(&second, 7, 131), Err(TokenRefused::Unknown), "over the bound");
    }
}
