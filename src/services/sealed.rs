//! Sessions that customers hand over sealed: what they are sealed to, what they are bound to, what lies in them.
//!
//! A session is one byte of version, one byte that names the data centre, and the authorisation key. It is sealed by HPKE
//! (RFC 9180) to this server's key, for this purpose and for one user.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::{NewCredential, Rng};

use super::fault::Fault;
use super::sensitive::Sensitive;
use crate::crypto::{SealedBox, UploadKey, key_id, seal};

/// What the key is for; the `info` of RFC 9180.
pub const INFO: &str = "switchyard sealed telegram session v1";
/// The suite of RFC 9180, by its names there.
pub const SUITE: &str = "DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305";

const VERSION: u8 = 1;
const KEY_LEN: usize = 256;

/// What sealed sessions are made for: this server's key, and the application under which they sign in.
pub struct Uploads {
    /// The key pair.
    pub key: UploadKey,
    /// The application's id; 0 where none is configured.
    pub api_id: i32,
    /// Its hash.
    pub api_hash: Option<Sensitive>,
}

/// What a session is sealed to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SealingKey {
    /// Names the key.
    pub key_id: String,
    /// The public key of X25519, base64.
    pub public_key: String,
    /// The suite of RFC 9180.
    pub suite: String,
    /// The `info` of RFC 9180, as text.
    pub info: String,
    /// The user for whom it is sealed. The `aad` of RFC 9180 is this text.
    pub user: UserId,
    /// The Telegram application under which to sign in, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram: Option<TelegramApplication>,
}

/// A Telegram application (core.telegram.org/api/obtaining_api_id).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TelegramApplication {
    /// Its id.
    pub api_id: i32,
    /// Its hash.
    pub api_hash: Sensitive,
}

/// A Telegram user's session, sealed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedSession {
    /// To which key it is sealed.
    pub key_id: String,
    /// The encapsulated key, base64.
    pub enc: Sensitive,
    /// The ciphertext, base64.
    pub ciphertext: Sensitive,
}

impl Uploads {
    /// What a session for this user is sealed to.
    #[must_use]
    pub fn describe(&self, user: UserId) -> SealingKey {
        let hash = self.api_hash.clone().filter(|_| self.api_id > 0);
        SealingKey {
            key_id: self.key.id(),
            public_key: STANDARD.encode(self.key.public()),
            suite: SUITE.to_owned(),
            info: INFO.to_owned(),
            user,
            telegram: hash.map(|api_hash| TelegramApplication { api_id: self.api_id, api_hash }),
        }
    }

    /// Opens a session that was sealed for this user.
    ///
    /// # Errors
    /// [`Fault::Invalid`], in words that hold nothing of it.
    pub fn open(&self, user: UserId, sealed: &SealedSession) -> Result<NewCredential, Fault> {
        let wrong = |pointer, detail: &str| Fault::invalid(pointer, detail);
        if sealed.key_id != self.key.id() {
            let detail = "it is sealed to another key: ask for the present one and seal it again";
            return Err(wrong("/sealed_session/key_id", detail));
        }
        let read = |text: &Sensitive, pointer| {
            STANDARD.decode(text.expose()).map_err(|_| wrong(pointer, "it is not base64"))
        };
        let enc = read(&sealed.enc, "/sealed_session/enc")?;
        let ciphertext = read(&sealed.ciphertext, "/sealed_session/ciphertext")?;
        let opened =
            self.key.open(&SealedBox { enc, ciphertext }, INFO.as_bytes(), user.to_string().as_bytes());
        let opened = opened.map_err(|error| wrong("/sealed_session/ciphertext", &error.to_string()))?;
        decode(&opened).ok_or_else(|| wrong("/sealed_session/ciphertext", "what is sealed is no session"))
    }
}

/// Seals a session to a server's key.
///
/// # Errors
/// [`Fault::Invalid`] when the server's key is none or of another suite.
pub fn seal_session(
    to: &SealingKey,
    dc: u8,
    auth_key: &SecretSlice<u8>,
    rng: &dyn Rng,
) -> Result<SealedSession, Fault> {
    if to.suite != SUITE || to.info != INFO {
        return Err(Fault::invalid("/suite", "the server seals in a way that this program does not know"));
    }
    let public =
        STANDARD.decode(&to.public_key).map_err(|_| Fault::invalid("/public_key", "it is not base64"))?;
    if key_id(&public) != to.key_id {
        return Err(Fault::invalid("/key_id", "the server's key has another name than it says"));
    }
    let mut content = vec![VERSION, dc];
    content.extend_from_slice(auth_key.expose_secret());
    let content = SecretSlice::from(content);
    let sealed = seal(&public, INFO.as_bytes(), to.user.to_string().as_bytes(), &content, rng);
    let sealed = sealed.map_err(|error| Fault::invalid("/public_key", error.to_string()))?;
    let text = |bytes: Vec<u8>| Sensitive::from(secrecy::SecretString::from(STANDARD.encode(bytes)));
    Ok(SealedSession {
        key_id: to.key_id.clone(),
        enc: text(sealed.enc),
        ciphertext: text(sealed.ciphertext),
    })
}

fn decode(content: &SecretSlice<u8>) -> Option<NewCredential> {
    let (head, key) = content.expose_secret().split_first_chunk::<2>()?;
    let [version, dc] = *head;
    let sound = version == VERSION && key.len() == KEY_LEN;
    sound.then(|| NewCredential::TelegramSession { dc: i32::from(dc), key: SecretSlice::from(key.to_vec()) })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypto::{Keyring, SystemRng};

    fn uploads(byte: u8) -> Uploads {
        let keyring = Keyring::parse(&STANDARD.encode([byte; 32]), "a test").unwrap();
        let api_hash = Some(Sensitive::from(secrecy::SecretString::from("hash")));
        Uploads { key: UploadKey::of(&keyring), api_id: 7, api_hash }
    }

    #[test]
    fn a_session_opens_for_its_user_at_its_server_only() {
        let (server, ada, eve) =
            (uploads(1), UserId::from_uuid(Uuid::from_u128(1)), UserId::from_uuid(Uuid::from_u128(2)));
        let key = SecretSlice::from(vec![9; KEY_LEN]);
        let sealed = seal_session(&server.describe(ada), 2, &key, &SystemRng).unwrap();
        let NewCredential::TelegramSession { dc, key } = server.open(ada, &sealed).unwrap() else { panic!() };
        assert_eq!((dc, key.expose_secret().len()), (2, KEY_LEN));
        assert!(server.open(eve, &sealed).is_err(), "somebody stole it");
        let Err(Fault::Invalid { pointer, .. }) = uploads(2).open(ada, &sealed) else { panic!() };
        assert_eq!(pointer, "/sealed_session/key_id");
        assert!(!format!("{sealed:?}").contains(sealed.ciphertext.expose()));
        let short = SecretSlice::from(vec![9; 5]);
        let sealed = seal_session(&server.describe(ada), 2, &short, &SystemRng).unwrap();
        assert!(server.open(ada, &sealed).is_err());
    }
}
