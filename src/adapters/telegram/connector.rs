//! Connects Telegram user accounts: session, key, sign-in, source chats, pump.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use grammers_session::updates::MessageBoxes;
use grammers_tl_types as tl;
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{ConnectRequest, Connection, ConnectionError, Credentials, PlatformConnector};
use tokio::runtime::Handle;

use crate::config::TelegramConfig;

use super::auth_key::AuthKeySource;
use super::book::{Book, channel_of};
use super::errors::Fault;
use super::ledger::CursorLedger;
use super::link::{Inbox, Link};
use super::pump::Pump;
use super::session::StoredSession;
use super::sources::{self, Standing};

/// Connects Telegram accounts. Every connection has one socket, made once: a new one is made by connecting anew.
pub struct TelegramConnector {
    config: TelegramConfig,
    credentials: Arc<dyn Credentials>,
    keys: Arc<dyn AuthKeySource>,
    runtime: Handle,
}

impl TelegramConnector {
    /// A connector whose clients run on `runtime` (multi-threaded: they must not wait for an actor's arbiter).
    #[must_use]
    pub fn new(
        config: TelegramConfig,
        credentials: Arc<dyn Credentials>,
        keys: Arc<dyn AuthKeySource>,
        runtime: Handle,
    ) -> Self {
        Self { config, credentials, keys, runtime }
    }

    /// The account's session with a key in it, unless the client is to exchange one.
    async fn session(&self, account: &Account) -> Result<Arc<StoredSession>, ConnectionError> {
        let credentials = Arc::clone(&self.credentials);
        let session = StoredSession::load(credentials, account.id, self.config.address).await?;
        if session.home_key().is_none()
            && let Some(key) = self.keys.auth_key(account).await?
        {
            session.set_home_key(*key).await?;
        }
        Ok(Arc::new(session))
    }

    async fn start(
        &self,
        link: &Arc<Link>,
        inbox: Inbox,
        request: &ConnectRequest,
    ) -> Result<(Pump, i64), ConnectionError> {
        link.ping().await?;
        link.session().seal();
        let platform_id = own_id(link, &request.account).await?;
        let mut book = Book::new(&request.sources, self.config.names_max);
        let standing = sources::look_up(link, &self.config, &mut book).await?;
        let mut ledger = CursorLedger::new(&request.cursors);
        let mut boxes = MessageBoxes::new();
        boxes.set_state(common_state(link, &ledger).await?);
        place_channels(link, &mut boxes, &mut ledger, &book, &standing);
        let pump = Pump::new(Arc::clone(link), inbox, self.config.clone(), boxes, book, ledger);
        Ok((pump, platform_id))
    }
}

impl fmt::Debug for TelegramConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelegramConnector").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl PlatformConnector for TelegramConnector {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        if request.account.kind != AccountKind::TelegramUser {
            let kind = request.account.kind.as_str();
            return Err(ConnectionError::Refused(format!("accounts of kind {kind} cannot be connected yet")));
        }
        let session = self.session(&request.account).await?;
        let (link, inbox) = Link::open(&session, &self.config, &self.runtime);
        let link = Arc::new(link);
        let start = Box::pin(self.start(&link, inbox, &request));
        let error = match tokio::time::timeout(self.config.connect_timeout, start).await {
            Ok(Ok((pump, platform_id))) => {
                return Ok(Connection { source: Some(Box::new(pump)), sender: None, platform_id });
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let waited = self.config.connect_timeout.as_millis();
                ConnectionError::Unreachable(format!("connecting took longer than {waited} ms"))
            }
        };
        if matches!(error, ConnectionError::Unreachable(_)) && link.key_is_unknown().await {
            return Err(ConnectionError::NeedsLogin(
                "the server does not know the account's authorisation key".to_owned(),
            ));
        }
        Err(error)
    }
}

/// Asks the server who is signed in.
async fn own_id(link: &Link, account: &Account) -> Result<i64, ConnectionError> {
    let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
    let users = match link.call(&request).await {
        // Whoever cannot even be told who they are is not signed in, whatever the error is called.
        Err(error) if error.fault() == Fault::Suspect => {
            return Err(ConnectionError::NeedsLogin(ConnectionError::from(error).to_string()));
        }
        answer => answer?,
    };
    link.session().remember(&super::book::peers(&users, &[])).await?;
    let Some(tl::enums::User::User(user)) = users.into_iter().next() else {
        return Err(ConnectionError::NeedsLogin("the server names no user for the session".to_owned()));
    };
    if user.bot {
        return Err(ConnectionError::Refused("the session belongs to a bot, not to a user".to_owned()));
    }
    if user.id != account.platform_id {
        let (found, expected) = (user.id, account.platform_id);
        return Err(ConnectionError::Refused(format!(
            "the session belongs to user {found}, not to user {expected}"
        )));
    }
    Ok(user.id)
}

/// The stored position of the common stream, or the present one for an account that was never read.
async fn common_state(
    link: &Link,
    ledger: &CursorLedger,
) -> Result<tl::types::updates::State, ConnectionError> {
    if let Some((pts, qts, seq, date)) = ledger.common() {
        return Ok(tl::types::updates::State { pts, qts, date, seq, unread_count: 0 });
    }
    let tl::enums::updates::State::State(now) = link.call(&tl::functions::updates::GetState {}).await?;
    Ok(now)
}

/// Puts every source at its stored position, or at the present one if it was never read.
fn place_channels(
    link: &Link,
    boxes: &mut MessageBoxes,
    ledger: &mut CursorLedger,
    book: &Book,
    standing: &Standing,
) {
    for chat in book.sources() {
        let last = standing.last.get(&chat).copied().map(i64::from);
        let Some(channel) = channel_of(chat) else {
            ledger.begin(chat, last.unwrap_or(0));
            continue;
        };
        let stored = ledger.channel(channel);
        let Some(pts) = stored.or_else(|| standing.channels.get(&channel).copied()) else { continue };
        if sources::input_channel(link.session(), channel).is_none() {
            continue;
        }
        boxes.try_set_channel_state(channel, pts);
        ledger.follow(channel);
        if let (None, Some(last)) = (stored, last) {
            ledger.begin(chat, last);
        }
    }
}
