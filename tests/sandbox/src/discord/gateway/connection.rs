//! One websocket: hello, identify or resume, then events one way and heartbeats the other.

use std::collections::VecDeque;
use std::future;
use std::sync::Arc;

use actix_ws::{CloseCode, Closed, Message, MessageStream, ProtocolError};
use tokio::sync::Notify;

use super::compress::ZlibStream;
use super::hub::Pending;
use super::protocol::{self, Close, Received};
use crate::config::Limits;
use crate::discord::core::Core;
use crate::discord::world::Bot;
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
    pub(super) wake: Arc<Notify>,
    /// Number of the last event that was sent.
    pub(super) sent: u64,
}

pub(super) struct Connection {
    pub(super) core: Arc<Core>,
    socket: actix_ws::Session,
    zlib: Option<ZlibStream>,
    /// The gateway's address, for who comes back.
    pub(super) url: String,
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

    /// Sends what the session was told and this connection has not sent.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
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
