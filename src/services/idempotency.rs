//! Orders that may be sent twice: the header `Idempotency-Key` of draft-ietf-httpapi-idempotency-key-header-07.
//!
//! What becomes of the key when a try ends:
//!
//! * done (2xx): the answer is kept and given again to whoever sends the same order with the same key;
//! * refused (4xx): nothing was done, so the key is free; the next try, corrected or not, is a new one;
//! * failed where it is certain that nothing was done (the daemon is not ready, the platform could not be reached): likewise;
//! * failed otherwise (an internal fault, no answer in time, a daemon that died): nobody knows. The key stays taken until
//!   the try's lease ends, so that whatever was still under way is over; then the next try carries the order out again, and
//!   finds what the first one left: an account or a pair that is there already answers 409.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::fault::Fault;
use crate::store::{KeyState, Store};

pub use crate::store::{Attempt, KeyBounds, KeyedOrder};

/// Longest key, in characters.
pub const KEY_MAX: usize = 255;

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must be 1 to 255 visible ASCII characters, in quotes or bare")]
pub struct KeyError;

/// Reads a key: a string of structured fields (RFC 9651, section 3.3.3), or its content without the quotes, as many clients
/// send it.
///
/// # Errors
/// [`KeyError`].
pub fn parse_key(field: &str) -> Result<String, KeyError> {
    let field = field.trim();
    let key = match field.strip_prefix('"') {
        None => field.to_owned(),
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or(KeyError)?;
            let (mut key, mut escaped) = (String::with_capacity(inner.len()), false);
            for c in inner.chars() {
                match (escaped, c) {
                    (false, '\\') => escaped = true,
                    (false, '"') => return Err(KeyError),
                    (false, _) | (true, '\\' | '"') => {
                        key.push(c);
                        escaped = false;
                    }
                    (true, _) => return Err(KeyError),
                }
            }
            if escaped {
                return Err(KeyError);
            }
            key
        }
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=KEY_MAX).contains(&key.len()) { Ok(key) } else { Err(KeyError) }
}

/// An answer as it is kept. It may hold secrets: no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// The headers that belong to it.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

/// What a key says of an order.
pub enum Begun {
    /// Carry it out, then finish or release it.
    Yours(Attempt),
    /// It was carried out: answer this.
    Answered(KeptAnswer),
    /// Another try is under way.
    UnderWay(Duration),
    /// The key was used for another order.
    Reused,
}

/// Keeps orders that may be sent twice from being carried out twice.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Looks the key up; takes the order on if it is new.
    ///
    /// # Errors
    /// [`Fault::TooMany`] keys of one caller, [`Fault::Unavailable`].
    async fn begin(&self, order: &KeyedOrder) -> Result<Begun, Fault>;

    /// Keeps the answer.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    async fn finish(&self, attempt: &Attempt, answer: &KeptAnswer) -> Result<(), Fault>;

    /// Frees the key: nothing was done.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    async fn release(&self, attempt: &Attempt) -> Result<(), Fault>;
}

/// Over the store.
pub struct StoredOrders {
    store: Store,
    bounds: KeyBounds,
}

impl StoredOrders {
    /// Over a store, within bounds.
    #[must_use]
    pub const fn new(store: Store, bounds: KeyBounds) -> Self {
        Self { store, bounds }
    }
}

#[async_trait]
impl Idempotency for StoredOrders {
    async fn begin(&self, order: &KeyedOrder) -> Result<Begun, Fault> {
        Ok(match self.store.begin_order(order, self.bounds).await? {
            KeyState::Yours(attempt) => Begun::Yours(attempt),
            KeyState::Answered(kept) => {
                let answer = serde_json::from_slice(kept.expose_secret());
                Begun::Answered(answer.map_err(|error| Fault::Unavailable(format!("kept answer: {error}")))?)
            }
            KeyState::UnderWay(left) => Begun::UnderWay(left),
            KeyState::Other => Begun::Reused,
            KeyState::TooMany => {
                let kept = self.bounds.keep.as_secs() / 3_600;
                return Err(Fault::TooMany(format!("too many idempotency keys within {kept} h")));
            }
        })
    }

    async fn finish(&self, attempt: &Attempt, answer: &KeptAnswer) -> Result<(), Fault> {
        let text = serde_json::to_vec(answer).map(Zeroizing::new);
        let text = text.map_err(|error| Fault::Unavailable(format!("answer: {error}")))?;
        Ok(self.store.finish_order(attempt, &SecretSlice::from(text.to_vec())).await?)
    }

    async fn release(&self, attempt: &Attempt) -> Result<(), Fault> {
        Ok(self.store.release_order(attempt).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_characters_quoted_or_bare() {
        let long = "k".repeat(255);
        for (field, key) in [
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (" \"a\\\"b\\\\c\" ", "a\"b\\c"),
            (long.as_str(), long.as_str()),
        ] {
            assert_eq!(parse_key(field).as_deref(), Ok(key), "{field}");
        }
        let too_long = "k".repeat(256);
        for field in ["", "\"\"", "\"", "a b", "\"a", "\"a\"b\"", "\"a\\\"", "\"a\\x\"", "ключ", &too_long]
        {
            assert_eq!(parse_key(field), Err(KeyError), "{field}");
        }
    }
}
