//! The port of sign-ins over both platforms.

use async_trait::async_trait;
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{Identified, Login, LoginError, LoginStep, NewCredential, SignIn};

use super::discord::DiscordLogin;
use super::telegram::TelegramLogin;

/// Brings accounts of every kind in and signs them out.
pub struct Logins {
    telegram: TelegramLogin,
    discord: DiscordLogin,
}

impl Logins {
    /// Over both platforms' own.
    #[must_use]
    pub const fn new(telegram: TelegramLogin, discord: DiscordLogin) -> Self {
        Self { telegram, discord }
    }
}

#[async_trait]
impl Login for Logins {
    async fn identify(&self, credential: NewCredential) -> Result<Identified, LoginError> {
        match credential {
            NewCredential::TelegramBot { token } => self.telegram.identify_bot(&token).await,
            NewCredential::TelethonSession { session } => self.telegram.import_telethon(&session).await,
            NewCredential::DiscordBot { token } => self.discord.identify_bot(&token).await,
            NewCredential::DiscordWebhook { url } => self.discord.identify_webhook(&url).await,
        }
    }

    async fn sign_in_by_phone(&self, phone: &str) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        self.telegram.sign_in_by_phone(phone).await
    }

    async fn sign_in_by_qr(&self) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        self.telegram.sign_in_by_qr().await
    }

    async fn log_out(&self, account: &Account) -> Result<(), LoginError> {
        match account.kind {
            AccountKind::TelegramUser | AccountKind::TelegramBot => self.telegram.log_out(account).await,
            // Their token is all they have, and others may use it.
            AccountKind::DiscordBot | AccountKind::DiscordWebhook => Ok(()),
        }
    }
}
