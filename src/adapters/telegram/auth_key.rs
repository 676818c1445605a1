//! Where an account's authorisation key comes from when none is stored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{ConnectionError, Rng};
use zeroize::Zeroizing;

/// Gives accounts and sign-ins their first key.
#[async_trait]
pub trait AuthKeySource: Send + Sync {
    /// A key that the server already knows, signed in as the account if that is a user; `None` leaves it to the client to exchange one
    /// with the server (core.telegram.org/mtproto/auth_key), which then is not signed in.
    ///
    /// # Errors
    /// [`ConnectionError`] if the server cannot be asked.
    async fn auth_key(&self, account: &Account) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError>;

    /// A key that the server already knows and with which nobody is signed in yet; `None` leaves it to the client to
    /// exchange one.
    ///
    /// # Errors
    /// [`ConnectionError`] if the server cannot be asked.
    async fn fresh_key(&self) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError>;
}

/// The client's own key exchange: what Telegram itself speaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientExchange;

#[async_trait]
impl AuthKeySource for ClientExchange {
    async fn auth_key(&self, _account: &Account) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError> {
        Ok(None)
    }

    async fn fresh_key(&self) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError> {
        Ok(None)
    }
}

/// Random keys that are made known to a sandbox by its control API. Clients have Telegram's RSA keys built in, so an
/// exchange with any other server is impossible.
pub struct SandboxKeys {
    http: reqwest::Client,
    url: String,
    rng: Arc<dyn Rng>,
    timeout: Duration,
}

#[derive(Serialize)]
struct Registration<'a> {
    auth_key: &'a str,
    /// Bots sign in with their tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
}

impl SandboxKeys {
    /// Keys for the sandbox whose control API is at `control` (`http://127.0.0.1:4000`).
    #[must_use]
    pub fn new(http: reqwest::Client, control: &str, rng: Arc<dyn Rng>, timeout: Duration) -> Self {
        let url = format!("{}/sandbox/telegram/auth-keys", control.trim_end_matches('/'));
        Self { http, url, rng, timeout }
    }

    /// Makes a random key known, signed in as this user.
    async fn register(&self, user_id: Option<i64>) -> Result<Zeroizing<[u8; 256]>, ConnectionError> {
        let mut key = Zeroizing::new([0_u8; 256]);
        self.rng.fill(key.as_mut_slice());
        let hex = Zeroizing::new(hex::encode(key.as_slice()));
        let registration = Registration { auth_key: &hex, user_id };
        let unreachable = |error: reqwest::Error| {
            ConnectionError::Unreachable(format!("sandbox control API: {}", error.without_url()))
        };
        let request = self.http.post(&self.url).timeout(self.timeout).json(&registration);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(key);
        }
        let text = format!("sandbox control API refuses the key: {status}");
        Err(if status.is_client_error() {
            ConnectionError::Refused(text)
        } else {
            ConnectionError::Unreachable(text)
        })
    }
}

impl fmt::Debug for SandboxKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxKeys").field("url", &self.url).finish_non_exhaustive()
    }
}

#[async_trait]
impl AuthKeySource for SandboxKeys {
    async fn auth_key(&self, account: &Account) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError> {
        let user = (account.kind == AccountKind::TelegramUser).then_some(account.platform_id);
        self.register(user).await.map(Some)
    }

    async fn fresh_key(&self) -> Result<Option<Zeroizing<[u8; 256]>>, ConnectionError> {
        self.register(None).await.map(Some)
    }
}
