//! The port of sign-ins over both platforms.

use async_trait::async_trait;
use secrecy::SecretSlice;
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{Identified, Login, LoginError, LoginStep, NewCredential, Proxy, SignIn};

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
    async fn identify(
        &self,
        credential: NewCredential,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        match credential {
            NewCredential::TelegramBot { token } => self.telegram.identify_bot(&token, proxy).await,
            NewCredential::TelethonSession { session, own_address } => {
                self.telegram.import_telethon(&session, own_address, proxy).await
            }
            NewCredential::TelegramSession { dc, key } => self.telegram.take_over(dc, &key, proxy).await,
            NewCredential::DiscordBot { token } => self.discord.identify_bot(&token, proxy).await,
            NewCredential::DiscordWebhook { url } => self.discord.identify_webhook(&url, proxy).await,
        }
    }

    async fn sign_in_by_phone(
        &self,
        phone: &str,
        proxy: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        self.telegram.sign_in_by_phone(phone, proxy).await
    }

    async fn sign_in_by_qr(&self, proxy: Option<&Proxy>) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        self.telegram.sign_in_by_qr(proxy).await
    }

    async fn log_out(&self, account: &Account) -> Result<(), LoginError> {
        match account.kind {
            AccountKind::TelegramUser | AccountKind::TelegramBot => self.telegram.log_out(account).await,
            // Their token is all they have, and others may use it.
            AccountKind::DiscordBot | AccountKind::DiscordWebhook => Ok(()),
        }
    }

    async fn revoke(
        &self,
        kind: AccountKind,
        secrets: Vec<(String, SecretSlice<u8>)>,
    ) -> Result<(), LoginError> {
        match kind {
            AccountKind::TelegramUser | AccountKind::TelegramBot => self.telegram.revoke(secrets).await,
            AccountKind::DiscordBot | AccountKind::DiscordWebhook => Ok(()),
        }
    }
}
