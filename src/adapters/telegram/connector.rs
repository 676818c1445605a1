//! Connects Telegram accounts, users and bots: session, key, sign-in, chats, pump and sender.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use grammers_session::updates::MessageBoxes;
use grammers_tl_types as tl;
use switchyard_actors::model::{Account, AccountKind, Platform};
use switchyard_actors::ports::{
    ChatDirectory, ConnectRequest, Connection, ConnectionError, Credentials, MessageSender, PlatformConnector,
};
use tokio::runtime::Handle;
use tracing::warn;

use crate::adapters::egress;
use crate::config::TelegramConfig;

use super::auth_key::AuthKeySource;
use super::book::{Book, channel_of};
use super::chats::TelegramChats;
use super::identity;
use super::ledger::CursorLedger;
use super::link::{Inbox, Link};
use super::pump::Pump;
use super::sender::TelegramSender;
use super::session::StoredSession;
use super::sources::{self, Standing};

/// Names of the errors after which a key is of no use any more.
const KEY_LOST: &[&str] = &["AUTH_KEY_DUPLICATED", "AUTH_KEY_INVALID"];

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
    ) -> Result<Connection, ConnectionError> {
        let account = &request.account;
        link.ping().await?;
        let platform_id = identity::identify(link, &self.config, self.credentials.as_ref(), account).await?;
        link.session().seal();
        let bot = account.kind == AccountKind::TelegramBot;
        let names_max = self.config.names_max;
        let mut book = if bot {
            Book::of_bot(&request.sources, names_max)
        } else {
            Book::new(&request.sources, names_max)
        };
        let mut ledger = CursorLedger::new(&request.cursors);
        let standing = sources::look_up(link, &self.config, &mut book, &request.targets, &ledger).await?;
        let mut boxes = MessageBoxes::new();
        let state = common_state(link, &ledger).await?;
        let since = state.date;
        boxes.set_state(state);
        place_channels(link, &mut boxes, &mut ledger, &book, &standing);
        let sender = TelegramSender::new(Arc::clone(link), self.config.clone(), bot);
        // An account that only sends has a pump too: it keeps the connection alive and tells when it ends.
        let pump = Pump::new(Arc::clone(link), inbox, self.config.clone(), boxes, book, ledger, since);
        let chats: Arc<dyn ChatDirectory> = Arc::new(TelegramChats::new(link, &self.config, bot));
        let sender: Arc<dyn MessageSender> = Arc::new(sender);
        Ok(Connection { source: Some(Box::new(pump)), sender: Some(sender), chats: Some(chats), platform_id })
    }

    /// A bot's token outlives its keys: a key that the server does not take any more is given up for a new one.
    async fn renew_bot(&self, session: &StoredSession, why: &str) -> ConnectionError {
        warn!(account = %session.account(), why, "the bot's authorisation key is lost, making another");
        match session.forget_home_key().await {
            Ok(()) => ConnectionError::Unreachable(format!("{why}: the next connection makes another key")),
            Err(error) => error.into(),
        }
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
        let kind = request.account.kind;
        if kind.platform() != Platform::Telegram {
            let kind = kind.as_str();
            return Err(ConnectionError::Refused(format!("accounts of kind {kind} are not telegram's")));
        }
        let bot = kind == AccountKind::TelegramBot;
        let session = self.session(&request.account).await?;
        let opened = Link::open(&session, &self.config, &self.runtime).await;
        let (link, inbox) = opened.map_err(egress::keeps_login)?;
        let link = Arc::new(link);
        let start = Box::pin(self.start(&link, inbox, &request));
        let error = match tokio::time::timeout(self.config.connect_timeout, start).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => {
                let waited = self.config.connect_timeout.as_millis();
                ConnectionError::Unreachable(format!("connecting took longer than {waited} ms"))
            }
        };
        if matches!(error, ConnectionError::Unreachable(_)) && link.key_is_unknown().await {
            let why = "the server does not know the account's authorisation key";
            return Err(if bot {
                self.renew_bot(&session, why).await
            } else {
                ConnectionError::NeedsLogin(why.to_owned())
            });
        }
        match error {
            ConnectionError::NeedsLogin(why) if bot && KEY_LOST.iter().any(|name| why.contains(name)) => {
                Err(self.renew_bot(&session, &why).await)
            }
            // Ended while it was being made: the token begins another, unless that is what is refused.
            ConnectionError::NeedsLogin(why)
                if bot && identity::SIGNED_OUT.iter().any(|name| why.contains(name)) =>
            {
                Err(ConnectionError::Unreachable(format!(
                    "{why}: the next connection signs the bot in again"
                )))
            }
            error => Err(error),
        }
    }
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
            // A bot cannot know the last message, and cannot read history from there.
            if !book.is_bot() {
                ledger.begin(chat, last.unwrap_or(0));
            }
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
