//! Connects Discord bots: token, identity, gateway session, sender.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::gateway::GatewayIntents;
use switchyard_actors::model::{Account, AccountId, AccountKind};
use switchyard_actors::ports::{
    ChatDirectory, Clock, ConnectRequest, Connection, ConnectionError, Credentials, EventSource, IntakeUnit,
    MessageSender, PlatformConnector, Proxy, SourceLog, Steering,
};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use crate::config::DiscordConfig;

use super::chats::DiscordChats;
use super::gateway::{CONTENT_INTENT_OFF, Gateway, Opening};
use super::inspect::{self, GatewayBot, Me, SessionStartLimit};
use super::rest::{self, Rest};
use super::runtime::GatewayRuntime;
use super::sender::DiscordSender;
use super::source::{Fetcher, Reader, ReaderParts, SameSources, Sources, look_up};
use super::{bot_token, webhook};

/// Name under which a bot's token is kept.
pub const TOKEN: &str = "token";

/// Why a Discord bot has no proxy: half of its traffic would go past it.
pub(super) const NO_PROXY: &str = "a Discord bot cannot have a proxy: its gateway connection cannot be led through one, and \
     nothing of an account goes past its proxy";

/// Name under which the time of a bot's last connection is kept: Unix milliseconds, eight bytes.
const LAST_CONNECT: &str = "last_connect";

/// Connects Discord bots. Every call goes to the configured base, or fails.
pub struct DiscordConnector {
    config: DiscordConfig,
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    client: reqwest12::Client,
    runtime: GatewayRuntime,
    /// What intake knows of the past of sources.
    log: Option<Arc<dyn SourceLog>>,
    /// When each bot last identified.
    identified: Mutex<HashMap<AccountId, Instant>>,
}

/// Why the connector cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// The system gives no thread.
    #[error("the gateway's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ConnectionError),
}

impl DiscordConnector {
    /// A connector with a thread of its own for gateway sessions.
    ///
    /// # Errors
    /// [`DiscordError`].
    pub fn new(
        config: DiscordConfig,
        credentials: Arc<dyn Credentials>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DiscordError> {
        let client = rest::client(&config)?;
        let runtime = GatewayRuntime::start()?;
        Ok(Self { config, credentials, clock, client, runtime, log: None, identified: Mutex::default() })
    }

    /// With what intake knows of the past: then deletions are seen too that were made while no connection stood.
    #[must_use]
    pub fn with_source_log(self, log: Arc<dyn SourceLog>) -> Self {
        Self { log: Some(log), ..self }
    }

    async fn token(&self, account: &Account) -> Result<Zeroizing<String>, ConnectionError> {
        let missing = || ConnectionError::NeedsLogin("no bot token is stored".to_owned());
        let secret = self.credentials.secret(account.id, TOKEN).await?.ok_or_else(missing)?;
        let text = std::str::from_utf8(secret.expose_secret()).map_err(|_| missing())?;
        let token = bot_token::parse(text).map_err(|error| ConnectionError::Refused(error.to_string()))?;
        Ok(Zeroizing::new(token.expose_secret().to_owned()))
    }

    async fn start(&self, request: &ConnectRequest) -> Result<Connection, ConnectionError> {
        if self.credentials.secret(request.account.id, Proxy::SECRET).await?.is_some() {
            return Err(ConnectionError::Refused(NO_PROXY.to_owned()));
        }
        let token = self.token(&request.account).await?;
        let rest = Arc::new(Rest::new(self.client.clone(), &self.config, &token));
        let account = &request.account;
        self.check_identity(&rest, account).await?;
        let own_id = account.platform_id;
        let (fetcher, sources) = self.sources(&rest, request).await?;
        self.wait_to_identify(account.id).await?;
        let url = self.gateway_url(&rest).await?;
        let opening = Opening {
            url,
            token: token.to_string(),
            intents: sources.as_ref().map_or_else(GatewayIntents::empty, |sources| sources.intents),
            interest: sources.as_ref().map(|sources| sources.interest.clone()).unwrap_or_default(),
            api_base: self.config.api_base.clone(),
            intent_retry: self.config.intent_retry,
            capacity: self.config.events_capacity.get(),
        };
        let timeout = self.config.connect_timeout;
        let (gateway, user) = Gateway::open(opening, timeout, self.runtime.handle()).await?;
        if user != own_id {
            return Err(ConnectionError::Unreachable(
                "the gateway and the API name different bots".to_owned(),
            ));
        }
        let clock = Arc::clone(&self.clock);
        let source: Box<dyn EventSource> = match sources {
            None => Box::new(Presence { gateway }),
            Some(sources) => {
                let log = self.log.clone();
                let account = account.id;
                Box::new(Reader::new(ReaderParts { gateway, fetcher, sources, account, own_id, clock, log }))
            }
        };
        let chats = DiscordChats::new(Arc::clone(&rest), self.config.clone(), own_id);
        let chats: Arc<dyn ChatDirectory> = Arc::new(chats);
        let sender = DiscordSender::new(rest, self.config.clone(), Arc::clone(&self.clock), own_id, token);
        let sender: Arc<dyn MessageSender> = Arc::new(sender);
        Ok(Connection { source: Some(source), sender: Some(sender), chats: Some(chats), platform_id: own_id })
    }

    /// The channels that are to be read; `None` for a bot that only sends.
    async fn sources(
        &self,
        rest: &Arc<Rest>,
        request: &ConnectRequest,
    ) -> Result<(Fetcher, Option<Sources>), ConnectionError> {
        let fetcher = Fetcher { rest: Arc::clone(rest), config: self.config.clone() };
        if request.sources.is_empty() {
            return Ok((fetcher, None));
        }
        // Asked first: a gateway that refuses the intent has counted the identification.
        if !inspect::may_read(rest, &self.config).await? {
            let (wait, reason) = (self.config.intent_retry, CONTENT_INTENT_OFF.to_owned());
            return Err(ConnectionError::ContentIntentOff { wait, reason });
        }
        let sources = look_up(&fetcher, &self.credentials, request).await?;
        Ok((fetcher, Some(sources)))
    }

    /// Who the token belongs to: the bot that the account says, and a bot at all.
    async fn check_identity(&self, rest: &Rest, account: &Account) -> Result<(), ConnectionError> {
        let me: Me = rest.get(Request::new(Route::UserMe, LightMethod::Get), &self.config).await?;
        if !me.bot {
            return Err(ConnectionError::Refused(
                "user tokens are refused: the account is no bot".to_owned(),
            ));
        }
        let expected = account.platform_id;
        match me.id.parse::<i64>() {
            Ok(id) if id == expected => Ok(()),
            _ => Err(ConnectionError::Refused(format!(
                "the token belongs to bot {}, not to bot {expected}",
                me.id
            ))),
        }
    }

    /// Where the configured API says its gateway is, unless the day's identifications are used up.
    async fn gateway_url(&self, rest: &Rest) -> Result<String, ConnectionError> {
        let request = Request::new(Route::GatewayBot, LightMethod::Get);
        let gateway: GatewayBot = rest.get(request, &self.config).await?;
        let SessionStartLimit { remaining, reset_after } = gateway.session_start_limit;
        if remaining <= self.config.identify_reserve {
            let wait = Duration::from_millis(reset_after).max(self.config.identify_gap);
            let reason = format!("{remaining} identifications are left for today");
            return Err(ConnectionError::Wait { wait, reason });
        }
        if !gateway.url.starts_with("wss://") && !gateway.url.starts_with("ws://") {
            return Err(ConnectionError::Unreachable("the API names no gateway address".to_owned()));
        }
        Ok(gateway.url)
    }

    /// Keeps the distance between two connections of one bot, each of which identifies: across connections, and across
    /// restarts of the process, for the platform counts on.
    async fn wait_to_identify(&self, account: AccountId) -> Result<(), ConnectionError> {
        let kept = self.credentials.secret(account, LAST_CONNECT).await?;
        let last = kept.and_then(|kept| Some(i64::from_be_bytes(kept.expose_secret().try_into().ok()?)));
        let passed = last.map(|last| self.clock.now().timestamp_millis().saturating_sub(last));
        // A clock that was set back says nothing: then the whole distance is kept.
        let passed = passed.map(|passed| Duration::from_millis(u64::try_from(passed).unwrap_or(0)));
        let wait = passed.map_or(Duration::ZERO, |passed| self.config.identify_gap.saturating_sub(passed));
        sleep_until(Instant::now() + wait).await;
        let at = {
            let mut identified = self.identified.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            identified.retain(|_, last| *last + self.config.identify_gap > now);
            let at = identified.get(&account).map_or(now, |last| *last + self.config.identify_gap);
            identified.insert(account, at);
            at
        };
        sleep_until(at).await;
        let now = self.clock.now().timestamp_millis().to_be_bytes();
        self.credentials.set_secret(account, LAST_CONNECT, now.to_vec().into()).await?;
        Ok(())
    }
}

impl fmt::Debug for DiscordConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscordConnector").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl PlatformConnector for DiscordConnector {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        if request.account.kind == AccountKind::DiscordWebhook {
            let client = self.client.clone();
            return webhook::connect(client, &self.config, &self.credentials, &request.account).await;
        }
        if request.account.kind != AccountKind::DiscordBot {
            let kind = request.account.kind.as_str();
            return Err(ConnectionError::Refused(format!("accounts of kind {kind} cannot be connected yet")));
        }
        // Identification may have to wait for its turn, beside the time that connecting takes.
        let limit = self.config.connect_timeout.saturating_add(self.config.identify_gap);
        match tokio::time::timeout(limit, Box::pin(self.start(&request))).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectionError::Unreachable(format!(
                "connecting took longer than {} ms",
                limit.as_millis()
            ))),
        }
    }
}

/// The session of a bot that only sends: it has nothing to tell but its end.
struct Presence {
    gateway: Gateway,
}

#[async_trait]
impl EventSource for Presence {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        loop {
            self.gateway.event().await?;
        }
    }

    fn steering(&self) -> Option<Arc<dyn Steering>> {
        Some(Arc::new(SameSources(BTreeSet::new())))
    }
}
