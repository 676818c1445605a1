//! How Telegram accounts come in and leave: by telephone, by a scanned code, by a bot's token, as a Telethon session.
//!
//! A key that is being signed in lies in memory only (`scratch`) and is handed out when the sign-in is done, so a
//! sign-in that was given up leaves nothing in the store. `attempt` is the connection of one sign-in, `steps` what a
//! person does one after the other, `proof` the second factor, `telethon` the imported format.

mod attempt;
mod fault;
mod proof;
mod scratch;
mod steps;
mod telethon;

use std::fmt;
use std::sync::Arc;

use grammers_tl_types as tl;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use switchyard_actors::model::{Account, AccountId, AccountKind};
use switchyard_actors::ports::{Clock, Credentials, Identified, LoginError, LoginStep, Proxy, Rng, SignIn};
use tokio::runtime::Handle;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::config::TelegramConfig;

use super::auth_key::AuthKeySource;
use super::errors::Fault;
use super::identity;
use super::link::{CallError, Link};
use super::record;
use super::session::{HOME_DC, StoredSession, secret_name};
use attempt::{Application, Attempt, Needs};
use fault::{from_connection, login_error};
use scratch::ScratchCredentials;
use telethon::GivenSession;

/// Brings Telegram accounts in and signs them out.
pub struct TelegramLogin {
    needs: Arc<Needs>,
    credentials: Arc<dyn Credentials>,
}

impl fmt::Debug for TelegramLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelegramLogin").field("config", &self.needs.config).finish_non_exhaustive()
    }
}

impl TelegramLogin {
    /// Sign-ins under the configured application, whose clients run on `runtime` (multi-threaded). `credentials` are
    /// those of the connected accounts: only [`Self::log_out`] reads them.
    #[must_use]
    pub fn new(
        config: TelegramConfig,
        credentials: Arc<dyn Credentials>,
        keys: Arc<dyn AuthKeySource>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        runtime: Handle,
    ) -> Self {
        Self { needs: Arc::new(Needs { config, keys, clock, rng, runtime }), credentials }
    }

    /// Signs a bot in by the token that `BotFather` gave (core.telegram.org/method/auth.importBotAuthorization), with a
    /// key of its own: others that use the token are not disturbed.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn identify_bot(
        &self,
        token: &SecretString,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        let text = token.expose_secret().trim();
        if !is_bot_token(text) {
            return Err(LoginError::Refused("a bot token is <digits>:<letters and digits>".to_owned()));
        }
        let Application { api_id, api_hash } = self.needs.application()?;
        let request = tl::functions::auth::ImportBotAuthorization {
            flags: 0,
            api_id,
            api_hash,
            bot_auth_token: text.to_owned(),
        };
        let (attempt, authorization) = Attempt::begin(&self.needs, &request, proxy).await?;
        let mut identified = attempt.done(authorization)?;
        if identified.kind != AccountKind::TelegramBot {
            return Err(LoginError::Refused("the token signs in somebody who is no bot".to_owned()));
        }
        identified.secrets.push((identity::TOKEN.to_owned(), SecretSlice::from(text.as_bytes().to_vec())));
        Ok(identified)
    }

    /// Takes over the session of a user that Telethon wrote. Whoever used it before must stop doing so, because Telegram
    /// ends a session that is used in two places. With `own_address` its key is used at the address inside it and nowhere
    /// else: whatever the session says, so only people who may let this machine connect anywhere may import so. Without,
    /// it is used at the data centre's known address.
    ///
    /// # Errors
    /// [`LoginError`]; one whose server no longer knows it, or that is a bot's, is refused.
    pub async fn import_telethon(
        &self,
        session: &SecretString,
        own_address: bool,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        let mut session = GivenSession::parse(session)?;
        if !own_address {
            session.address = None;
        }
        self.adopt(&session, proxy).await
    }

    /// Takes over a user's session by its parts.
    ///
    /// # Errors
    /// As [`Self::import_telethon`].
    pub async fn take_over(
        &self,
        dc: i32,
        key: &SecretSlice<u8>,
        proxy: Option<&Proxy>,
    ) -> Result<Identified, LoginError> {
        self.adopt(&GivenSession::from_parts(dc, key)?, proxy).await
    }

    async fn adopt(&self, session: &GivenSession, proxy: Option<&Proxy>) -> Result<Identified, LoginError> {
        let attempt = Attempt::with_session(&self.needs, session, proxy).await?;
        let outcome = attempt.who().await;
        let user = match outcome {
            Ok(Some(user)) => user,
            Ok(None) => {
                return Err(LoginError::Refused("nobody is signed in with the session".to_owned()));
            }
            Err(error) => return Err(over(attempt.link(), error).await),
        };
        if user.bot {
            let text = "the session belongs to a bot: connect the bot by its token";
            return Err(LoginError::Refused(text.to_owned()));
        }
        // Somebody made it elsewhere and may still need it: when it is not kept, it is left as it is.
        Ok(Identified { fresh: false, ..attempt.identified(&user)? })
    }

    /// Has a code sent to a telephone number.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn sign_in_by_phone(
        &self,
        phone: &str,
        proxy: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        steps::by_phone(&self.needs, phone, proxy).await
    }

    /// Has a link made that a signed-in device scans (core.telegram.org/api/qr-login).
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn sign_in_by_qr(
        &self,
        proxy: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        steps::by_qr(&self.needs, proxy).await
    }

    /// Ends the account's session at Telegram: that of its own key, no other. A bot's token stays good. The account's
    /// session actor must have stopped before: a key is never used by two connections at once.
    ///
    /// # Errors
    /// [`LoginError`]; the session may still be alive. One that is over already is no error.
    pub async fn log_out(&self, account: &Account) -> Result<(), LoginError> {
        self.end_session(Arc::clone(&self.credentials), account.id).await
    }

    /// Ends the session that these secrets hold: one that was replaced, or that is not kept after all.
    ///
    /// # Errors
    /// As [`Self::log_out`].
    pub async fn revoke(&self, secrets: Vec<(String, SecretSlice<u8>)>) -> Result<(), LoginError> {
        // The account's own secrets are others by now, and those in memory ask for no account.
        let nobody = AccountId::from_uuid(Uuid::nil());
        self.end_session(Arc::new(ScratchCredentials::of(secrets)), nobody).await
    }

    async fn end_session(
        &self,
        credentials: Arc<dyn Credentials>,
        account: AccountId,
    ) -> Result<(), LoginError> {
        let session = StoredSession::load(credentials, account, self.needs.config.address).await?;
        if session.home_key().is_none() {
            return Ok(());
        }
        let opened = Link::open(&Arc::new(session), &self.needs.config, &self.needs.runtime).await;
        let (link, _inbox) = opened.map_err(from_connection)?;
        match link.call(&tl::functions::auth::LogOut {}).await {
            Ok(_logged_out) => Ok(()),
            Err(error) if matches!(error.fault(), Fault::SessionDead | Fault::Suspect) => {
                debug!(%account, "the session was over before it was logged out");
                Ok(())
            }
            Err(error) if error.fault() == Fault::Lost && link.key_is_unknown().await => Ok(()),
            Err(error) => {
                let error = login_error(&error);
                warn!(%account, %error, "the session could not be logged out");
                Err(error)
            }
        }
    }
}

/// Data centre and key of a session, from the secrets of [`Identified`]; `None` where there is no key.
#[must_use]
pub fn session_parts(secrets: &[(String, SecretSlice<u8>)]) -> Option<(u8, SecretSlice<u8>)> {
    let get = |name: &str| secrets.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let dc: i32 = std::str::from_utf8(get(HOME_DC)?.expose_secret()).ok()?.parse().ok()?;
    let key = record::decode_dc(dc, get(&secret_name(dc))?)?.auth_key?;
    Some((u8::try_from(dc).ok()?, SecretSlice::from(key.to_vec())))
}

/// What it means that a session which was handed in does not work.
async fn over(link: &Link, error: CallError) -> LoginError {
    let fault = error.fault();
    let dead = matches!(fault, Fault::SessionDead | Fault::Suspect)
        || (fault == Fault::Lost && link.key_is_unknown().await);
    if dead {
        let reason = from_connection(error.into());
        return LoginError::Refused(format!("the server does not accept the session any more: {reason}"));
    }
    login_error(&error)
}

/// `<bot id>:<secret>` (core.telegram.org/bots/api#authorizing-your-bot).
fn is_bot_token(text: &str) -> bool {
    let Some((id, secret)) = text.split_once(':') else { return false };
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    id.parse::<u64>().is_ok_and(|id| id > 0) && !secret.is_empty() && secret.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_a_bot_token_is_sent_to_the_server() {
        for good in ["123:AAFXAy5-PawQlnYywUlZ_b", "1:a"] {
            assert!(is_bot_token(good), "{good}");
        }
        for bad in ["", "123", "123:", ":abc", "0:abc", "-1:abc", "12a:abc", "1:a b", "1:a:b", "1:ä"] {
            assert!(!is_bot_token(bad), "{bad}");
        }
    }
}
