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
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{Clock, Credentials, Identified, LoginError, LoginStep, Rng, SignIn};
use tokio::runtime::Handle;
use tracing::{debug, warn};

use crate::config::TelegramConfig;

use super::auth_key::AuthKeySource;
use super::errors::Fault;
use super::identity;
use super::link::{CallError, Link};
use super::session::StoredSession;
use attempt::{Application, Attempt, Needs};
use fault::{from_connection, login_error};
use telethon::TelethonSession;

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
    pub async fn identify_bot(&self, token: &SecretString) -> Result<Identified, LoginError> {
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
        let (attempt, authorization) = Attempt::begin(&self.needs, &request).await?;
        let mut identified = attempt.done(authorization)?;
        if identified.kind != AccountKind::TelegramBot {
            return Err(LoginError::Refused("the token signs in somebody who is no bot".to_owned()));
        }
        identified.secrets.push((identity::TOKEN.to_owned(), SecretSlice::from(text.as_bytes().to_vec())));
        Ok(identified)
    }

    /// Takes over the session of a user that Telethon wrote. Its key is used at the address inside it and nowhere else;
    /// whoever used it before must stop doing so, because Telegram ends a session that is used in two places. The
    /// address is whatever the session says, so only people who may let this machine connect anywhere may import.
    ///
    /// # Errors
    /// [`LoginError`]; one whose server no longer knows it, or that is a bot's, is refused.
    pub async fn import_telethon(&self, session: &SecretString) -> Result<Identified, LoginError> {
        let session = TelethonSession::parse(session)?;
        let attempt = Attempt::with_session(&self.needs, &session).await?;
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
        attempt.identified(&user)
    }

    /// Has a code sent to a telephone number.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn sign_in_by_phone(&self, phone: &str) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        steps::by_phone(&self.needs, phone).await
    }

    /// Has a link made that a signed-in device scans (core.telegram.org/api/qr-login).
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn sign_in_by_qr(&self) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        steps::by_qr(&self.needs).await
    }

    /// Ends the account's session at Telegram: that of its own key, no other. A bot's token stays good. The account's
    /// session actor must have stopped before: a key is never used by two connections at once.
    ///
    /// # Errors
    /// [`LoginError`]; the session may still be alive. One that is over already is no error.
    pub async fn log_out(&self, account: &Account) -> Result<(), LoginError> {
        let credentials = Arc::clone(&self.credentials);
        let session = StoredSession::load(credentials, account.id, self.needs.config.address).await?;
        if session.home_key().is_none() {
            return Ok(());
        }
        let (link, _inbox) = Link::open(&Arc::new(session), &self.needs.config, &self.needs.runtime);
        match link.call(&tl::functions::auth::LogOut {}).await {
            Ok(_logged_out) => Ok(()),
            Err(error) if matches!(error.fault(), Fault::SessionDead | Fault::Suspect) => {
                debug!(account = %account.id, "the session was over before it was logged out");
                Ok(())
            }
            Err(error) if error.fault() == Fault::Lost && link.key_is_unknown().await => Ok(()),
            Err(error) => {
                let error = login_error(&error);
                warn!(account = %account.id, %error, "the session could not be logged out");
                Err(error)
            }
        }
    }
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
