//! How an account comes to this system and leaves it: credentials are checked at their platform, people sign in step by step.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{SecretSlice, SecretString};
use thiserror::Error;

use super::{Proxy, StoreError};
use crate::model::{Account, AccountKind, ChatId};

/// A credential that is complete as it stands.
#[derive(Debug)]
pub enum NewCredential {
    /// A token that Telegram's `BotFather` gave: `<bot id>:<secret>`.
    TelegramBot {
        /// The token.
        token: SecretString,
    },
    /// A signed-in user session as Telethon writes it (`StringSession`): data centre, address, port and key.
    TelethonSession {
        /// The string.
        session: SecretString,
        /// Whether its own address is called. Only people who may let this machine connect anywhere may ask for that;
        /// else the data centre's known address is.
        own_address: bool,
    },
    /// A signed-in user session that was handed over sealed: data centre and key, used at the data centre's known
    /// address.
    TelegramSession {
        /// Number of the data centre.
        dc: i32,
        /// The authorisation key, 256 bytes.
        key: SecretSlice<u8>,
    },
    /// A Discord bot's token. Tokens of Discord users are refused.
    DiscordBot {
        /// The token, with or without `Bot ` before it.
        token: SecretString,
    },
    /// The address of a Discord webhook, `https://…/api/webhooks/<id>/<token>`. Its host is not called: the configured
    /// API base is.
    DiscordWebhook {
        /// The address.
        url: SecretString,
    },
}

/// Whose a credential is, and what to keep of it.
pub struct Identified {
    /// What kind of account.
    pub kind: AccountKind,
    /// The platform's id of it.
    pub platform_id: i64,
    /// The name that the platform shows.
    pub name: String,
    /// The only chat that it can write to: a webhook's channel.
    pub chat: Option<ChatId>,
    /// Whether it was signed in just now, by this system and for it alone: when it is not kept after all, its session
    /// is ended.
    pub fresh: bool,
    /// The account's secrets by name, as the platform's connector reads them from [`Credentials`](super::Credentials).
    pub secrets: Vec<(String, SecretSlice<u8>)>,
}

impl fmt::Debug for Identified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identified")
            .field("kind", &self.kind)
            .field("platform_id", &self.platform_id)
            .finish_non_exhaustive()
    }
}

/// Why an account could not be connected or signed out. Texts are for people and hold no secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LoginError {
    /// The credential is malformed, of a kind that is never taken, or refused by the platform.
    #[error("credential is refused: {0}")]
    Refused(String),
    /// The telephone number is none, or has no account.
    #[error("telephone number is refused: {0}")]
    Phone(String),
    /// Not the code that was sent; another try may follow.
    #[error("the code is wrong")]
    WrongCode,
    /// The code is too old: the sign-in begins anew.
    #[error("the code has expired")]
    CodeExpired,
    /// Not the second-factor password; another try may follow.
    #[error("the password is wrong")]
    WrongPassword,
    /// The step does not fit: a password where a code is asked for, and so on.
    #[error("this sign-in waits for {0}")]
    OutOfStep(&'static str),
    /// The platform asks to wait before another try.
    #[error("platform asks to wait {} s: {reason}", .wait.as_secs())]
    Wait {
        /// How long.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// The platform cannot be reached or fails: nothing is known of the credential.
    #[error("platform is unreachable: {0}")]
    Unreachable(String),
    /// The account's own secrets cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a sign-in waits for.
#[derive(Debug)]
pub enum LoginStep {
    /// The code that the platform sent.
    Code {
        /// Where it was sent, in words: "the Telegram app", "SMS".
        sent_to: String,
    },
    /// The second-factor password.
    Password {
        /// The hint that its owner left.
        hint: Option<String>,
    },
    /// Somebody who scans this with a signed-in device.
    Scan {
        /// The link that the QR code shows, `tg://login?token=…`.
        link: SecretString,
        /// When the link stops working; a new one follows by [`SignIn::wait`].
        expires_at: DateTime<Utc>,
    },
    /// Nothing: it is done.
    Done(Box<Identified>),
}

/// A sign-in under way. It holds a connection; dropping it gives the sign-in up.
#[async_trait]
pub trait SignIn: Send {
    /// Hands in the code.
    ///
    /// # Errors
    /// [`LoginError`]; after [`LoginError::WrongCode`] another may be handed in.
    async fn code(&mut self, code: SecretString) -> Result<LoginStep, LoginError>;

    /// Hands in the second-factor password; only a proof of it leaves this machine (core.telegram.org/api/srp).
    ///
    /// # Errors
    /// [`LoginError`]; after [`LoginError::WrongPassword`] another may be handed in.
    async fn password(&mut self, password: SecretString) -> Result<LoginStep, LoginError>;

    /// Waits until the shown link was scanned, or has to be replaced. Ends within the adapter's own timeout.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn wait(&mut self) -> Result<LoginStep, LoginError>;
}

/// Brings accounts in and signs them out.
#[async_trait]
pub trait Login: Send + Sync {
    /// Asks the platform whose a credential is, through this proxy where there is one.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn identify(
        &self,
        credential: NewCredential,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError>;

    /// Begins to sign a Telegram user in: the platform sends a code to this number.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn sign_in_by_phone(
        &self,
        phone: &str,
        proxy: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError>;

    /// Begins to sign a Telegram user in by a code that a signed-in device scans.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn sign_in_by_qr(&self, proxy: Option<&Proxy>) -> Result<(Box<dyn SignIn>, LoginStep), LoginError>;

    /// Ends the account's session at the platform; one that is over already counts as ended. Nothing is done for
    /// accounts without a session of their own (bots, webhooks: others may use their token).
    ///
    /// # Errors
    /// [`LoginError`]; the session may still be alive.
    async fn log_out(&self, account: &Account) -> Result<(), LoginError>;

    /// Ends the session that these secrets hold, as [`log_out`](Self::log_out) does that of an account: one that was
    /// replaced by another, or that is not kept after all.
    ///
    /// # Errors
    /// [`LoginError`]; the session may still be alive.
    async fn revoke(
        &self,
        kind: AccountKind,
        secrets: Vec<(String, SecretSlice<u8>)>,
    ) -> Result<(), LoginError>;
}
