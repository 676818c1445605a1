//! Access tokens: JWTs (RFC 7519) signed by HMAC-SHA256 (RFC 7515, RFC 7518 section 3.2), one algorithm, one form.
//!
//! Written here and not taken from a library, because those at hand choose their cryptography by a global of the process
//! and read the machine's clock. What is signed is little: who, by which sign-in, until when; what the holder may do is read
//! from the store at every request.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ring::hmac;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::{KeyId, Vault};

/// Longest token that is looked at, in bytes: ours have some 400.
const LENGTH_MAX: usize = 1_024;

const ALGORITHM: &str = "HS256";

/// For whom a token is. Each has a key of its own, so that one is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Users.
    User,
    /// The staff.
    Admin,
}

impl Audience {
    /// The claim `aud`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "switchyard-user",
            Self::Admin => "switchyard-admin",
        }
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is: the id of a user or an admin.
    pub subject: Uuid,
    /// The sign-in it belongs to.
    pub session: Uuid,
    /// The token's own id.
    pub id: Uuid,
    /// From when on it does not count, Unix seconds.
    pub expires: i64,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JwtFault {
    /// Not one of ours, altered, for somebody else, or not yet valid.
    #[error("the access token is not valid")]
    Invalid,
    /// It was ours until its time was over.
    #[error("the access token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    exp: i64,
}

/// Issues and checks the tokens of one audience.
pub struct AccessTokens {
    audience: Audience,
    issuer: String,
    lifetime: Duration,
    /// The master key that seals signs too, by a key derived from it; all on the keyring verify.
    vault: Arc<Vault>,
}

impl AccessTokens {
    /// For an audience, under keys derived from the vault's master keys.
    #[must_use]
    pub fn new(vault: Arc<Vault>, audience: Audience, issuer: &str, lifetime: Duration) -> Self {
        Self { audience, issuer: issuer.to_owned(), lifetime, vault }
    }

    fn key(&self, id: KeyId) -> Option<hmac::Key> {
        let purpose = format!("access tokens for {}", self.audience.as_str());
        let key = self.vault.keyring().derive_by(id, &purpose)?;
        Some(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// How long a token counts.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A token of this subject's sign-in. `None` only where the key that seals is not on
    /// the keyring, which the vault never lets happen.
    #[must_use]
    pub fn issue(&self, subject: Uuid, session: Uuid, id: Uuid, now: DateTime<Utc>) -> Option<SecretString> {
        let kid = self.vault.sealing();
        let key = self.key(kid)?;
        let iat = now.timestamp();
        let header = Header { alg: ALGORITHM.to_owned(), typ: "JWT".to_owned(), kid: kid.to_string() };
        let payload = Payload {
            iss: self.issuer.clone(),
            aud: self.audience.as_str().to_owned(),
            sub: subject,
            sid: session,
            jti: id,
            iat,
            exp: iat.saturating_add(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)),
        };
        let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
        let header = part(serde_json::to_vec(&header).ok()?);
        let payload = part(serde_json::to_vec(&payload).ok()?);
        let signed = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        Some(SecretString::from(format!("{signed}.{signature}")))
    }

    /// What a token says, if it counts now. The signature is checked before anything in it is believed, and the algorithm
    /// is ours whatever the token says.
    ///
    /// # Errors
    /// [`JwtFault`].
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<AccessClaims, JwtFault> {
        let payload = self.genuine(token).ok_or(JwtFault::Invalid)?;
        let now = now.timestamp();
        let ours = payload.iss == self.issuer && payload.aud == self.audience.as_str();
        // A minute of difference between the clocks of two nodes.
        if !ours || payload.iat > now.saturating_add(60) {
            return Err(JwtFault::Invalid);
        }
        if payload.exp <= now {
            return Err(JwtFault::Expired);
        }
        let Payload { sub: subject, sid: session, jti: id, exp: expires, .. } = payload;
        Ok(AccessClaims { subject, session, id, expires })
    }

    fn genuine(&self, token: &str) -> Option<Payload> {
        if token.len() > LENGTH_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != ALGORITHM || header.typ != "JWT" {
            return None;
        }
        let key = self.key(self.vault.keyring().ids().find(|id| id.to_string() == header.kid)?)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&key, signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;
    use crate::crypto::Keyring;

    const OLD: &str = "hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=";
    const NEW: &str = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn tokens(keys: &str, audience: Audience) -> AccessTokens {
        let vault = Vault::new(Keyring::parse(keys, "a test").unwrap(), 1);
        AccessTokens::new(Arc::new(vault), audience, "switchyard", TEN_MINUTES)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn issued(tokens: &AccessTokens) -> String {
        let id = |number| Uuid::from_u128(number);
        tokens.issue(id(1), id(2), id(3), at(0)).unwrap().expose_secret().to_owned()
    }

    /// A token of these parts under the key of `tokens`.
    fn forged(tokens: &AccessTokens, header: &serde_json::Value, payload: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = hmac::sign(&tokens.key(tokens.vault.sealing()).unwrap(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn payload_of(token: &str) -> serde_json::Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_who_until_its_time_is_over_and_nothing_of_role_or_plan() {
        let tokens = tokens(OLD, Audience::User);
        let token = issued(&tokens);
        let claims = tokens.verify(&token, at(599)).unwrap();
        assert_eq!((claims.subject, claims.session), (Uuid::from_u128(1), Uuid::from_u128(2)));
        assert_eq!(tokens.verify(&token, at(600)), Err(JwtFault::Expired));
        assert_eq!(tokens.verify(&token, at(-61)), Err(JwtFault::Invalid), "from the future");
        let payload = payload_of(&token);
        let fields: Vec<&String> = payload.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["aud", "exp", "iat", "iss", "jti", "sid", "sub"]);
    }

    #[test]
    fn tokens_of_an_older_key_count_until_the_key_goes() {
        let token = issued(&tokens(OLD, Audience::User));
        let rotated = tokens(&format!("{NEW}\n{OLD}"), Audience::User);
        assert!(rotated.verify(&token, at(1)).is_ok());
        assert_eq!(tokens(NEW, Audience::User).verify(&token, at(1)), Err(JwtFault::Invalid));
        let fresh = issued(&rotated);
        assert!(tokens(NEW, Audience::User).verify(&fresh, at(1)).is_ok(), "the first key signs");
    }

    #[test]
    fn confused_and_altered_tokens_are_refused() {
        let (user, admin) = (tokens(OLD, Audience::User), tokens(OLD, Audience::Admin));
        let token = issued(&user);
        let invalid = |token: &str| assert_eq!(user.verify(token, at(1)), Err(JwtFault::Invalid), "{token}");
        invalid(&issued(&admin));
        invalid(&issued(&tokens(NEW, Audience::User)));
        let kid = user.vault.sealing().to_string();
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
        let payload = payload_of(&token);
        assert!(user.verify(&forged(&user, &header, &payload), at(1)).is_ok(), "the test's own forge works");
        for alg in ["none", "None", "NONE", "HS384", "HS512", "RS256", "ES256", ""] {
            invalid(&forged(&user, &json!({ "alg": alg, "typ": "JWT", "kid": kid }), &payload));
        }
        invalid(&forged(&user, &json!({ "alg": "HS256", "typ": "JWT" }), &payload));
        invalid(&forged(
            &user,
            &json!({ "alg": "HS256", "typ": "JWT", "kid": kid, "jwk": {}, "crit": [] }),
            &payload,
        ));
        for (field, value) in
            [("aud", json!("switchyard-admin")), ("iss", json!("other")), ("role", json!("owner"))]
        {
            let mut other = payload.clone();
            other[field] = value;
            invalid(&forged(&user, &header, &other));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "JWT", "kid": kid }).to_string());
        invalid(&format!("{none}.{}.", parts[1]));
        invalid(&format!("{}.{}.", parts[0], parts[1]));
        invalid(&format!("{}.{}", parts[0], parts[1]));
        invalid(&format!("{token}.x"));
        invalid(&format!("{token}="));
        invalid(&"a".repeat(5_000));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            // The last digit of an encoded part may carry unused bits, which the strict decoder refuses too.
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            invalid(std::str::from_utf8(&bytes).unwrap());
        }
    }
}
