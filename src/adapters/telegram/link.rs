//! One connection to Telegram: the client's runner, requests that always end, and an inbox of updates.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grammers_client::Client;
use grammers_client::client::ClientConfiguration;
use grammers_mtproto::transport;
use grammers_mtsender::{
    ConnectionParams, InvocationError, NoRetries, SenderPool, ServerAddr, connect_with_auth,
};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::model::SendOutcome;
use switchyard_actors::ports::{ConnectionError, StoreError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, error, warn};

use crate::adapters::egress::{self, Names};
use crate::config::TelegramConfig;

use super::errors::{self, Fault, classify, connection_error};
use super::session::{SessionError, StoredSession};

/// Seconds of silence after which the server hangs up, so that a frozen owner's connection is gone before another
/// node may take over its key.
const HANG_UP_AFTER_SECONDS: i32 = 75;

/// Language of the server's own texts, such as those of service notices.
const LANGUAGE: &str = "en";

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The client or the server says so.
    Answer(InvocationError),
    /// Nothing came in time.
    Timeout(&'static str, Duration),
}

impl CallError {
    /// What it means for a request.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Answer(error) => classify(error),
            Self::Timeout(..) => Fault::Lost,
        }
    }

    /// How a send ends with it.
    pub(crate) fn outcome(&self) -> SendOutcome {
        match self {
            Self::Answer(error) => errors::send_outcome(error),
            Self::Timeout(..) => SendOutcome::Unclear { error: self.to_string() },
        }
    }

    /// The client's or server's own error.
    pub(crate) const fn answer(&self) -> Option<&InvocationError> {
        match self {
            Self::Answer(error) => Some(error),
            Self::Timeout(..) => None,
        }
    }

    /// The data centre that has the account, where it is another one (core.telegram.org/api/errors#303-see-other).
    pub(crate) fn other_centre(&self) -> Option<i32> {
        match self {
            Self::Answer(InvocationError::Rpc(rpc)) if rpc.code == 303 => i32::try_from(rpc.value?).ok(),
            _ => None,
        }
    }

    /// Telegram's name of the error.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self, Self::Answer(error) if error.is(name))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => f.write_str(&errors::describe(error)),
            Self::Timeout(what, after) => write!(f, "no answer to {what} within {} ms", after.as_millis()),
        }
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Answer(InvocationError::Session(Box::new(SessionError::Store(error))))
    }
}

impl From<CallError> for ConnectionError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Answer(error) => connection_error(&error),
            CallError::Timeout(..) => Self::Unreachable(error.to_string()),
        }
    }
}

/// A connection. Dropping it ends it.
pub(crate) struct Link {
    client: Client,
    session: Arc<StoredSession>,
    runner: AbortHandle,
    proxy_url: Option<SecretString>,
    timeout: Duration,
}

impl Link {
    /// Starts a runner for the session, by way of its proxy where it has one. The socket is opened by the first request.
    ///
    /// # Errors
    /// [`ConnectionError`] when its proxy cannot be used: then nothing is connected at all.
    pub(crate) async fn open(
        session: &Arc<StoredSession>,
        config: &TelegramConfig,
        runtime: &Handle,
    ) -> Result<(Self, Inbox), ConnectionError> {
        let proxy = match session.proxy() {
            Some(proxy) => Some(egress::pin(proxy, config.private_proxies, config.connect_timeout).await?),
            None => None,
        };
        let proxy_url = proxy.map(|proxy| proxy.url(Names::AtHome));
        // Every field by name: the defaults ask the system for its distribution, by running a program.
        let parameters = ConnectionParams {
            device_model: config.device.clone(),
            system_version: std::env::consts::OS.to_owned(),
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            system_lang_code: LANGUAGE.to_owned(),
            lang_code: LANGUAGE.to_owned(),
            proxy_url: proxy_url.as_ref().map(|url| url.expose_secret().to_owned()),
            use_ipv6: session.uses_ipv6(),
            retry_policy: Box::new(NoRetries),
            updates_channel_capacity: config.updates_capacity,
            __non_exhaustive: (),
        };
        let pool = SenderPool::with_configuration(Arc::clone(session), config.api_id, parameters);
        let running = runtime.spawn(pool.runner.run());
        let runner = running.abort_handle();
        runtime.spawn(async move {
            match running.await {
                Err(end) if end.is_panic() => error!(error = %end, "the telegram client's runner panicked"),
                _ => debug!("the telegram client's runner ended"),
            }
        });
        let inbox = Inbox(pool.updates);
        let configuration = ClientConfiguration { auto_cache_peers: false };
        let client = Client::with_configuration(pool.handle, configuration);
        let timeout = config.request_timeout;
        Ok((Self { client, session: Arc::clone(session), runner, proxy_url, timeout }, inbox))
    }

    /// The session under the connection.
    pub(crate) fn session(&self) -> &StoredSession {
        &self.session
    }

    /// Calls a method of the API.
    ///
    /// # Errors
    /// [`CallError`], at the latest after the configured time.
    pub(crate) async fn call<R>(&self, request: &R) -> Result<R::Return, CallError>
    where
        R: tl::RemoteCall + tl::Identifiable + Sync,
    {
        match tokio::time::timeout(self.timeout, self.client.invoke(request)).await {
            Ok(answer) => answer.map_err(CallError::Answer),
            Err(_) => Err(CallError::Timeout(tl::name_for_id(R::CONSTRUCTOR_ID), self.timeout)),
        }
    }

    /// Tells the server to hang up unless it hears from us again in time, and proves that it answers.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn ping(&self) -> Result<(), CallError> {
        let ping = tl::functions::PingDelayDisconnect { ping_id: 1, disconnect_delay: HANG_UP_AFTER_SECONDS };
        self.call(&ping).await.map(drop)
    }

    /// Asks the server by a connection of its own whether it still knows the account's key: the client itself would
    /// answer an unknown key with an exchange of a new one, which may never end.
    pub(crate) async fn key_is_unknown(&self) -> bool {
        let (Some(address), Some(key)) = (self.session.home_address(), self.session.home_key()) else {
            return false;
        };
        let probe = async {
            let address = match &self.proxy_url {
                Some(url) => ServerAddr::Proxied { address, proxy: url.expose_secret().to_owned() },
                None => ServerAddr::Tcp { address },
            };
            let mut sender = connect_with_auth(transport::Full::new(), address, key).await?;
            sender.invoke(&tl::functions::Ping { ping_id: 1 }).await
        };
        match tokio::time::timeout(self.timeout, probe).await {
            Ok(Err(InvocationError::Transport(transport::Error::BadStatus { status: 404 }))) => true,
            Ok(_) | Err(_) => false,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

/// What the inbox holds next.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Updates as the server pushed them.
    Updates(Box<UpdatesLike>),
    /// Some were dropped for want of room: everything must be asked for again.
    Dropped,
    /// The runner ended.
    Closed,
}

/// Updates between the client, which never waits, and the pump, which does. When there is no room the client drops
/// them without a word, so a queue that was full counts as one that lost something.
pub(crate) struct Inbox(mpsc::Receiver<UpdatesLike>);

impl Inbox {
    /// The next arrival; waits for one. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Arrival {
        if self.clear_if_full() {
            return Arrival::Dropped;
        }
        let next = self.0.recv().await;
        if self.clear_if_full() {
            return Arrival::Dropped;
        }
        next.map_or(Arrival::Closed, |updates| Arrival::Updates(Box::new(updates)))
    }

    /// Updates that are already here.
    pub(crate) fn ready(&mut self) -> Option<Box<UpdatesLike>> {
        if self.was_full() { None } else { self.0.try_recv().ok().map(Box::new) }
    }

    /// Whether the queue was full since it was last looked at: nobody else takes from it, and one at most was taken
    /// since.
    fn was_full(&self) -> bool {
        self.0.len().saturating_add(1) >= self.0.max_capacity()
    }

    /// After a loss, what is queued is older or newer than what is missing: differences tell all of it again.
    fn clear_if_full(&mut self) -> bool {
        let full = self.was_full();
        if full {
            warn!("telegram updates arrive faster than they are recorded, asking for them again");
            while self.0.try_recv().is_ok() {}
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> UpdatesLike {
        UpdatesLike::Updates(tl::enums::Updates::TooLong)
    }

    #[tokio::test]
    async fn what_the_client_drops_is_noticed_wherever_the_reader_stands() {
        for taken in 0..3 {
            let (client, updates) = mpsc::channel(8);
            let mut inbox = Inbox(updates);
            for _ in 0..3 {
                client.try_send(some()).unwrap();
            }
            for _ in 0..taken {
                assert!(matches!(inbox.next().await, Arrival::Updates(_)));
            }
            while client.try_send(some()).is_ok() {}
            assert!(inbox.ready().is_none(), "nothing more is taken as if it were whole");
            assert!(matches!(inbox.next().await, Arrival::Dropped));
            client.try_send(some()).unwrap();
            assert!(matches!(inbox.next().await, Arrival::Updates(_)), "and it goes on");
            drop(client);
            assert!(matches!(inbox.next().await, Arrival::Closed));
        }
    }

    #[tokio::test]
    async fn what_is_dropped_while_the_reader_waits_is_noticed() {
        let (client, updates) = mpsc::channel(8);
        let mut inbox = Inbox(updates);
        let waiting = tokio::spawn(async move { inbox.next().await });
        tokio::task::yield_now().await;
        while client.try_send(some()).is_ok() {}
        assert!(matches!(waiting.await.unwrap(), Arrival::Dropped));
    }
}
