//! Who is signed in, and signing a bot in by its token.

use grammers_tl_types as tl;
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{ConnectionError, Credentials};
use tracing::info;

use crate::config::TelegramConfig;

use super::book;
use super::errors::Fault;
use super::link::{CallError, Link};

/// Name of the secret that holds a bot's token.
pub(crate) const TOKEN: &str = "token";

/// Errors by which a token is refused (core.telegram.org/method/auth.importBotAuthorization).
const TOKEN_REFUSED: &[&str] = &["ACCESS_TOKEN_INVALID", "ACCESS_TOKEN_EXPIRED", "USER_DEACTIVATED"];

/// Errors by which a key is told that nobody is signed in with it, or no longer (core.telegram.org/api/errors).
pub(crate) const SIGNED_OUT: &[&str] = &["AUTH_KEY_UNREGISTERED", "SESSION_REVOKED", "SESSION_EXPIRED"];

/// Asks the server who is signed in, and signs a bot in if nobody is; the platform's id of the account.
///
/// # Errors
/// [`ConnectionError`]; [`ConnectionError::Refused`] if it is somebody else.
pub(crate) async fn identify(
    link: &Link,
    config: &TelegramConfig,
    credentials: &dyn Credentials,
    account: &Account,
) -> Result<i64, ConnectionError> {
    let bot = account.kind == AccountKind::TelegramBot;
    let users = match myself(link).await {
        Err(error) if bot && is_signed_out(&error) => {
            sign_in(link, config, credentials, account).await?;
            myself(link).await
        }
        answer => answer,
    };
    let users = match users {
        // Whoever cannot even be told who they are is not signed in, whatever the error is called.
        Err(error) if error.fault() == Fault::Suspect => {
            return Err(ConnectionError::NeedsLogin(error.to_string()));
        }
        answer => answer?,
    };
    link.session().remember(&book::peers(&users, &[])).await?;
    let Some(tl::enums::User::User(user)) = users.into_iter().next() else {
        return Err(ConnectionError::NeedsLogin("the server names no user for the session".to_owned()));
    };
    if user.bot != bot {
        let (found, expected) = if user.bot { ("bot", "user") } else { ("user", "bot") };
        return Err(ConnectionError::Refused(format!(
            "the session belongs to a {found}, not to a {expected}"
        )));
    }
    if user.id != account.platform_id {
        let (found, expected) = (user.id, account.platform_id);
        return Err(ConnectionError::Refused(format!(
            "the session belongs to user {found}, not to user {expected}"
        )));
    }
    Ok(user.id)
}

async fn myself(link: &Link) -> Result<Vec<tl::enums::User>, CallError> {
    let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
    link.call(&request).await
}

/// A key without a session, also one whose session was ended: a bot's token begins another.
fn is_signed_out(error: &CallError) -> bool {
    SIGNED_OUT.iter().any(|name| error.is(name))
}

/// Signs the bot in with its token under the connection's key.
async fn sign_in(
    link: &Link,
    config: &TelegramConfig,
    credentials: &dyn Credentials,
    account: &Account,
) -> Result<(), ConnectionError> {
    let token = credentials.secret(account.id, TOKEN).await?;
    let Some(token) = token else {
        return Err(ConnectionError::NeedsLogin("the bot has no token".to_owned()));
    };
    let Some(api_hash) = &config.api_hash else {
        return Err(ConnectionError::Unreachable(
            "telegram.api_id and telegram.api_hash are needed to sign a bot in".to_owned(),
        ));
    };
    let request = tl::functions::auth::ImportBotAuthorization {
        flags: 0,
        api_id: config.api_id,
        api_hash: api_hash.expose().to_owned(),
        bot_auth_token: text(&token)?.to_owned(),
    };
    let error = match link.call(&request).await {
        Ok(_) => {
            info!(account = %account.id, "bot is signed in");
            return Ok(());
        }
        Err(error) => error,
    };
    if let Some(centre) = error.other_centre() {
        // The next connection is made there, with a key of its own.
        link.session().move_home(centre).await?;
        return Err(ConnectionError::Unreachable(format!(
            "the bot lives in data centre {centre}, moving there"
        )));
    }
    if TOKEN_REFUSED.iter().any(|name| error.is(name)) {
        return Err(ConnectionError::NeedsLogin(format!("the bot's token is refused: {error}")));
    }
    Err(error.into())
}

fn text(token: &SecretSlice<u8>) -> Result<&str, ConnectionError> {
    std::str::from_utf8(token.expose_secret())
        .map_err(|_| ConnectionError::NeedsLogin("the bot's token is no text".to_owned()))
}
