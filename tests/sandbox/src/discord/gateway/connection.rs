//! One websocket: hello, identify or resume, then events one way and heartbeats the other.

use std::collections::VecDeque;
use std::future;
use std::sync::Arc;

use actix_ws::{CloseCode, Closed, Message, MessageStream, ProtocolError};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::compress::ZlibStream;
use super::hub::{Pending, ResumeError, Shard};
use super::intents::{Intents, IntentsError};
use super::protocol::{self, Close, Identify, Received, RequestMembers, Resume};
use crate::config::Limits;
use crate::discord::core::{Core, fault_site};
use crate::discord::events::text;
use crate::discord::world::Bot;
use crate::discord::{json, snowflake};
use crate::faults::FaultKind;
use crate::http::Cut;
use crate::violations::Rule;

/// Payloads that a connection may send in a minute.
const MAX_PAYLOADS: usize = 120;
const PAYLOAD_WINDOW_MS: u64 = 60_000;
/// The largest payload that a client may send, in bytes.
const MAX_PAYLOAD: usize = 4_096;
/// Events handed over at a time.
const BATCH: usize = 256;

/// How a connection ends.
pub(super) enum End {
    /// The client closed it, with this code.
    Client(Option<CloseCode>),
    /// The server closes it.
    Server(Close),
    /// The socket is gone or to be cut without a word.
    Lost,
    /// The sandbox stops.
    Stopped,
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Lost
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Server(close)
    }
}

/// The session that a connection serves.
pub(super) struct Attached {
    pub(super) id: String,
    pub(super) bot: Bot,
    wake: Arc<Notify>,
    /// Number of the last event that was sent.
    sent: u64,
}

pub(super) struct Connection {
    pub(super) core: Arc<Core>,
    socket: actix_ws::Session,
    zlib: Option<ZlibStream>,
    url: String,
    cut: Option<Cut>,
    pub(super) number: u64,
    pub(super) attached: Option<Attached>,
    /// Whether a heartbeat came since the last check.
    alive: bool,
    /// Whether a fault has made it a connection on which nothing comes any more.
    pub(super) silent: bool,
    /// When payloads came, in milliseconds.
    payloads: VecDeque<u64>,
}

impl Connection {
    pub(super) fn new(
        core: Arc<Core>,
        socket: actix_ws::Session,
        zlib: Option<ZlibStream>,
        url: String,
        cut: Option<Cut>,
    ) -> Self {
        let number = core.lock().hub.connect();
        Self {
            core,
            socket,
            zlib,
            url,
            cut,
            number,
            attached: None,
            alive: false,
            silent: false,
            payloads: VecDeque::new(),
        }
    }

    pub(super) async fn serve(mut self, mut stream: MessageStream) {
        let end = match self.talk(&mut stream).await {
            Ok(end) | Err(end) => end,
        };
        let goodbye = matches!(&end, End::Client(Some(CloseCode::Normal | CloseCode::Away)))
            || matches!(&end, End::Server(Close::SessionTimedOut));
        if let Some(session) = &self.attached {
            let now = self.core.shared.clock.now();
            let mut state = self.core.lock();
            if goodbye {
                state.hub.end(&session.id, self.number);
            } else {
                state.hub.lose(&session.id, self.number, now);
            }
        }
        let closed = match end {
            End::Server(close) => self.socket.close(Some(close.reason())).await,
            End::Client(_) => self.socket.close(None).await,
            End::Stopped => self.socket.close(Some(CloseCode::Away.into())).await,
            End::Lost => {
                if let Some(cut) = &self.cut {
                    cut.now();
                }
                Ok(())
            }
        };
        if closed.is_err() {
            tracing::debug!("a gateway connection was gone before it was closed");
        }
    }

    async fn talk(&mut self, stream: &mut MessageStream) -> Result<End, End> {
        if self.is_to_be_dropped() {
            return Err(End::Lost);
        }
        let heartbeat = self.core.config.heartbeat;
        self.send(protocol::hello(u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX))).await?;
        let mut faults = self.core.shared.faults.subscribe();
        let stop = self.core.stop.clone();
        let mut check = tokio::time::interval(heartbeat.saturating_mul(3) / 2);
        check.tick().await;
        loop {
            let wake = self.attached.as_ref().map(|session| Arc::clone(&session.wake));
            let woken = async {
                match &wake {
                    Some(wake) => wake.notified().await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(End::Stopped),
                _ = faults.changed() => self.strike().await?,
                () = woken => self.flush().await?,
                _ = check.tick() => self.check_heartbeat()?,
                message = stream.recv() => self.message(message).await?,
            }
        }
    }

    fn check_heartbeat(&mut self) -> Result<(), End> {
        if std::mem::take(&mut self.alive) {
            return Ok(());
        }
        self.core.shared.violations.count(Rule::DiscordHeartbeatMissed);
        Err(Close::SessionTimedOut.into())
    }

    async fn message(&mut self, message: Option<Result<Message, ProtocolError>>) -> Result<(), End> {
        match message {
            None | Some(Err(ProtocolError::Io(_))) => Err(End::Lost),
            Some(Err(_)) => Err(self.violation(Rule::DiscordGatewayMalformed, Close::DecodeError)),
            Some(Ok(Message::Text(text))) => self.payload(&text).await,
            Some(Ok(Message::Binary(bytes))) => match std::str::from_utf8(&bytes) {
                Ok(text) => self.payload(text).await,
                Err(_) => Err(self.violation(Rule::DiscordGatewayMalformed, Close::DecodeError)),
            },
            Some(Ok(Message::Ping(bytes))) => Ok(self.socket.pong(&bytes).await?),
            Some(Ok(Message::Pong(_) | Message::Nop)) => Ok(()),
            Some(Ok(Message::Close(reason))) => Err(End::Client(reason.map(|reason| reason.code))),
            Some(Ok(Message::Continuation(_))) => {
                Err(self.violation(Rule::DiscordGatewayMalformed, Close::DecodeError))
            }
        }
    }

    fn violation(&self, rule: Rule, close: Close) -> End {
        self.core.shared.violations.count(rule);
        End::Server(close)
    }

    async fn payload(&mut self, text: &str) -> Result<(), End> {
        self.count_payload()?;
        if text.len() > MAX_PAYLOAD {
            return Err(self.violation(Rule::DiscordGatewayMalformed, Close::DecodeError));
        }
        let received =
            Received::parse(text).map_err(|close| self.violation(Rule::DiscordGatewayMalformed, close))?;
        match (received, self.attached.is_some()) {
            (Received::Heartbeat, _) => {
                self.alive = true;
                self.become_zombie_if_asked();
                self.send(protocol::heartbeat_ack()).await
            }
            (Received::Identify(_) | Received::Resume(_), true) => {
                Err(self.violation(Rule::DiscordGatewayOrder, Close::AlreadyAuthenticated))
            }
            (Received::Identify(identify), false) => self.identify(identify).await,
            (Received::Resume(resume), false) => self.resume(resume).await,
            (_, false) => Err(self.violation(Rule::DiscordGatewayOrder, Close::NotAuthenticated)),
            (Received::Ignored, true) => Ok(()),
            (Received::RequestMembers(request), true) => self.members(&request).await,
        }
    }

    fn count_payload(&mut self) -> Result<(), End> {
        if self.core.shared.limits == Limits::None {
            return Ok(());
        }
        let now_ms = self.core.shared.clock.now_ms();
        while self.payloads.front().is_some_and(|at| now_ms.saturating_sub(*at) >= PAYLOAD_WINDOW_MS) {
            self.payloads.pop_front();
        }
        self.payloads.push_back(now_ms);
        if self.payloads.len() > MAX_PAYLOADS {
            return Err(self.violation(Rule::DiscordGatewayRateLimit, Close::RateLimited));
        }
        Ok(())
    }

    /// The bot of a token, which the gateway takes with or without `Bot ` in front of it.
    fn authenticate(&self, token: &str) -> Result<Bot, End> {
        let bot = self.core.bot(token.strip_prefix("Bot ").unwrap_or(token));
        let bot = bot.ok_or(Close::AuthenticationFailed)?;
        let kinds = [FaultKind::DropConnection, FaultKind::Unauthorized];
        match self.core.shared.faults.take(fault_site(Some(&bot)), &kinds).map(|fault| fault.kind) {
            Some(FaultKind::DropConnection) => Err(End::Lost),
            Some(_) => Err(Close::AuthenticationFailed.into()),
            None => Ok(bot),
        }
    }

    async fn identify(&mut self, identify: Identify) -> Result<(), End> {
        let bot = self.authenticate(&identify.token)?;
        let intents = Intents::parse(identify.intents, bot.rights.intents).map_err(|error| match error {
            IntentsError::Unknown => Close::InvalidIntents,
            IntentsError::Disallowed => Close::DisallowedIntents,
        })?;
        let shard = match identify.shard {
            None => Shard::ONLY,
            Some((id, count)) if id < count => Shard { id, count },
            Some(_) => return Err(Close::InvalidShard.into()),
        };
        let now = self.core.shared.clock.now();
        let taken = self.core.lock().identifies.take(bot.id, now);
        if let Err(rule) = taken {
            self.core.shared.violations.count(rule);
            return self.send(protocol::invalid_session(false)).await;
        }
        if let Some(resumable) = self.invalidates(&bot) {
            return self.send(protocol::invalid_session(resumable)).await;
        }
        let id = format!("{:016x}{:016x}", self.core.shared.clock.now_ms(), self.number);
        let session = self.open(&id, &bot, intents, shard);
        self.attached = Some(Attached { id, bot, wake: session, sent: 0 });
        self.flush().await
    }

    /// Opens a session whose first events are READY and the bot's guild, before anything that happens later.
    fn open(&self, id: &str, bot: &Bot, intents: Intents, shard: Shard) -> Arc<Notify> {
        let mut state = self.core.lock();
        let state = &mut *state;
        let now = self.core.shared.clock.now();
        let wake = state.hub.open(id, bot.clone(), intents, shard, self.number, now);
        let guild = state.world.guilds.get(&bot.guild).filter(|guild| shard.has(guild.id));
        let unavailable: Vec<Value> =
            guild.iter().map(|guild| json!({"id": guild.id.to_string(), "unavailable": true})).collect();
        let ready = json!({
            "v": 10,
            "user_settings": {},
            "user": state.world.users.get(&bot.id).map(json::current_user),
            "session_type": "normal",
            "session_id": id,
            "resume_gateway_url": self.url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": unavailable,
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "shard": [shard.id, shard.count],
            "application": {"id": bot.id.to_string(), "flags": json::application_flags(bot)},
            "_trace": [],
        });
        state.hub.push(id, "READY", text(&ready));
        if let Some(guild) = guild.filter(|_| intents.guilds()) {
            let guild = text(&json::gateway_guild(&state.world, guild));
            state.hub.push(id, "GUILD_CREATE", guild);
        }
        wake
    }

    async fn resume(&mut self, resume: Resume) -> Result<(), End> {
        let bot = self.authenticate(&resume.token)?;
        if let Some(resumable) = self.invalidates(&bot) {
            if !resumable {
                self.core.lock().hub.forget(&resume.session_id, bot.id);
            }
            return self.send(protocol::invalid_session(resumable)).await;
        }
        let now = self.core.shared.clock.now();
        let resumed = {
            let mut state = self.core.lock();
            let resumed = state.hub.resume(&resume.session_id, bot.id, resume.seq, self.number, now);
            if resumed.is_ok() {
                state.hub.push_resumed(&resume.session_id, text(&json!({"_trace": []})));
            }
            resumed
        };
        match resumed {
            Ok(wake) => {
                self.attached = Some(Attached { id: resume.session_id, bot, wake, sent: resume.seq });
                self.flush().await
            }
            Err(ResumeError::Invalid) => self.send(protocol::invalid_session(false)).await,
            Err(ResumeError::FutureSeq) => Err(Close::InvalidSeq.into()),
        }
    }

    /// Members by name or all, as one chunk: seeded guilds are small.
    async fn members(&mut self, request: &RequestMembers) -> Result<(), End> {
        let Some(session) = &self.attached else { return Ok(()) };
        {
            let mut state = self.core.lock();
            let state = &mut *state;
            let guild = snowflake::parse(&request.guild_id).filter(|id| *id == session.bot.guild);
            let Some(guild) = guild.and_then(|id| state.world.guilds.get(&id)) else { return Ok(()) };
            let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
            let prefix = request.query.as_deref().unwrap_or_default();
            let members: Vec<Value> = guild
                .members
                .iter()
                .filter_map(|id| state.world.users.get(id))
                .filter(|user| user.name.starts_with(prefix))
                .take(limit)
                .map(|user| json::member(&state.world, user))
                .collect();
            let chunk = text(&json!({
                "guild_id": request.guild_id,
                "members": members,
                "chunk_index": 0,
                "chunk_count": 1,
                "nonce": request.nonce,
            }));
            state.hub.push(&session.id, "GUILD_MEMBERS_CHUNK", chunk);
        }
        self.flush().await
    }

    /// Sends what the session was told and this connection has not sent.
    async fn flush(&mut self) -> Result<(), End> {
        loop {
            if self.attached.as_ref().is_some_and(|session| session.sent > 0) {
                self.become_zombie_if_asked();
            }
            let Some(session) = &self.attached else { return Ok(()) };
            let pending = self.core.lock().hub.pending(&session.id, self.number, session.sent, BATCH);
            let Pending::Events(events) = pending else { return Err(Close::UnknownError.into()) };
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                self.send(protocol::dispatch(&event)).await?;
                if let Some(session) = &mut self.attached {
                    session.sent = event.seq;
                }
            }
        }
    }

    pub(super) async fn send(&mut self, payload: String) -> Result<(), End> {
        if self.silent {
            return Ok(());
        }
        let sent = async {
            match &mut self.zlib {
                None => self.socket.text(payload).await,
                Some(zlib) => match zlib.payload(&payload) {
                    Some(bytes) => self.socket.binary(bytes).await,
                    None => Err(Closed),
                },
            }
        };
        match tokio::time::timeout(self.core.config.send_timeout, sent).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(End::Lost),
        }
    }
}
