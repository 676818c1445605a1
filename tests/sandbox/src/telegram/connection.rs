//! One client connection: packets in, messages out, service messages answered, calls handed to the data centre.

use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{Cursor, Deserializable, Identifiable, RawVec, Serializable, functions, types};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::crypto::AuthKey;
use super::dc::{Call, Cut, Dc};
use super::hub::{Outgoing, Seat};
use super::salts::unix_i32;
use super::session::{Relevance, Session, Verdict};
use super::transport::Transport;
use super::wire::{self, Envelope, Malformed, Message};
use crate::violations::Rule;

/// "Auth key not found" (core.telegram.org/mtproto/mtproto-transports#transport-errors).
const UNKNOWN_KEY: i32 = -404;
/// The most messages that are written at once.
const WRITE_BATCH: usize = 64;
/// Bytes read at once.
const READ_BUFFER: usize = 16 * 1024;
/// The longest wait that `ping_delay_disconnect` may ask for.
const MAX_DISCONNECT_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a packet leads to.
enum Flow {
    Go,
    End,
    /// The key is not known any more, and the client is told so.
    EndUnknown,
}

/// What is known once a packet with a known key has come.
struct Client {
    key: AuthKey,
    seat: Seat,
    session: Session,
}

/// A connection.
struct Connection {
    dc: Arc<Dc>,
    transport: Transport,
    client: Option<Client>,
    /// When the connection ends unless something is heard from the client.
    deadline: Option<Instant>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(dc: Arc<Dc>, mut stream: TcpStream, stop: CancellationToken) {
    let mut connection = Connection {
        transport: Transport::new(dc.config.max_packet),
        client: None,
        deadline: Instant::now().checked_add(dc.config.first_packet),
        dc,
    };
    connection.run(&mut stream, &stop).await;
    if let Some(client) = connection.client {
        connection.dc.leave(client.seat.id);
    }
}

impl Connection {
    async fn run(&mut self, stream: &mut TcpStream, stop: &CancellationToken) {
        let mut faults = self.dc.shared.faults.subscribe();
        let mut buffer = vec![0; READ_BUFFER];
        let mut batch = Vec::new();
        loop {
            let cut = self.client.as_ref().map(|client| client.seat.cut.clone());
            tokio::select! {
                () = stop.cancelled() => return,
                () = ended(cut.as_ref()) => return,
                () = reached(self.deadline) => return,
                changed = faults.changed() => {
                    if changed.is_err() || self.is_struck() {
                        return;
                    }
                }
                queued = next_batch(&mut self.client, &mut batch) => {
                    if queued == 0 {
                        return;
                    }
                    let bytes = self.encode(&mut batch);
                    if !write(stream, &bytes, cut.as_ref(), stop).await {
                        return;
                    }
                }
                read = stream.read(&mut buffer) => {
                    let Ok(length @ 1..) = read else { return };
                    let read = buffer.get(..length).unwrap_or_default();
                    self.transport.push(read);
                    let mut answer = Vec::new();
                    let flow = self.packets(&mut answer);
                    if !write(stream, &answer, cut.as_ref(), stop).await || matches!(flow, Flow::End) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether a fault that was just asked for cuts this connection although nothing is called on it.
    fn is_struck(&self) -> bool {
        let key = self.client.as_ref().map(|client| client.key.id());
        key.is_some_and(|key| self.dc.is_struck(key) || self.dc.is_ending(key))
    }

    /// Handles every whole packet that has come. Only what is not encrypted goes to `answer`.
    fn packets(&mut self, answer: &mut Vec<u8>) -> Flow {
        loop {
            match self.transport.next_packet() {
                Ok(None) => return Flow::Go,
                Ok(Some(packet)) => {
                    if let Flow::End = self.packet(&packet, answer) {
                        return Flow::End;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a Telegram client broke the transport");
                    self.dc.violation(Rule::TelegramTransport);
                    return Flow::End;
                }
            }
        }
    }

    fn packet(&mut self, packet: &[u8], answer: &mut Vec<u8>) -> Flow {
        let Some((id, encrypted)) = packet.split_first_chunk::<8>() else {
            self.dc.violation(Rule::TelegramTransport);
            return Flow::End;
        };
        let key_id = i64::from_le_bytes(*id);
        if key_id == 0 {
            tracing::warn!("a Telegram client asked for a key exchange, which only Telegram itself can do");
            self.dc.violation(Rule::TelegramPlaintext);
            return Flow::End;
        }
        let known = self.client.as_ref().filter(|client| client.key.id() == key_id);
        let Some(key) = known.map(|client| client.key.clone()).or_else(|| self.dc.key(key_id)) else {
            tracing::info!("a Telegram client came with an unknown authorization key");
            self.transport.pack_error(UNKNOWN_KEY, answer);
            return Flow::End;
        };
        let envelope = match key.decrypt(encrypted) {
            Ok(data) => Envelope::parse(&data),
            Err(error) => {
                tracing::warn!(%error, "a packet of a Telegram client cannot be decrypted");
                self.dc.violation(Rule::TelegramMalformed);
                return Flow::End;
            }
        };
        match envelope.and_then(|envelope| self.envelope(key, envelope)) {
            Ok(Flow::EndUnknown) => {
                self.transport.pack_error(UNKNOWN_KEY, answer);
                Flow::End
            }
            Ok(flow) => flow,
            Err(error) => {
                tracing::warn!(%error, "a packet of a Telegram client is malformed");
                self.dc.violation(Rule::TelegramMalformed);
                Flow::End
            }
        }
    }

    fn envelope(&mut self, key: AuthKey, envelope: Envelope) -> Result<Flow, Malformed> {
        let Envelope { salt, session_id, outer } = envelope;
        let now = self.dc.wall_seconds();
        let key_id = key.id();
        if self.client.as_ref().is_none_or(|client| client.key.id() != key_id) {
            // The first packet, or another key on the same connection.
            if let Some(old) = self.client.take() {
                self.dc.leave(old.seat.id);
            }
            if self.dc.is_struck(key_id) {
                return Ok(Flow::End);
            }
            let seat = self.dc.join(key_id);
            self.deadline = None;
            self.client = Some(Client { key, seat, session: Session::new(session_id) });
        }
        let Some(client) = &mut self.client else { return Ok(Flow::End) };
        if client.session.id() != session_id {
            client.session = Session::new(session_id);
        }
        if !self.dc.salts.accepts(key_id, salt, now) {
            let new_server_salt = self.dc.salts.current(key_id, now);
            let bad = types::BadServerSalt {
                bad_msg_id: outer.msg_id,
                bad_msg_seqno: outer.seq_no,
                error_code: 48,
                new_server_salt,
            };
            return Ok(self.send(object(&bad), false, true));
        }
        self.messages(outer, now)
    }

    /// Judges and handles the messages of a packet in order.
    fn messages(&mut self, outer: Message, now: i64) -> Result<Flow, Malformed> {
        let shell = outer.is_container().then(|| Message { body: Vec::new(), ..outer.clone() });
        let messages = outer.into_messages()?;
        let first = messages.iter().map(|message| message.msg_id).min();
        for message in messages {
            let relevance = relevance(message.constructor()?);
            match self.judge(&message, relevance, now) {
                Verdict::Fresh => {
                    self.announce(first.unwrap_or(message.msg_id), now);
                    match self.message(&message)? {
                        Flow::Go => {}
                        ended => return Ok(ended),
                    }
                }
                Verdict::Repeat => {
                    self.send(object(&types::MsgsAck { msg_ids: vec![message.msg_id] }), false, true);
                }
                Verdict::Bad(code) => self.refuse(&message, code),
            }
        }
        if let Some(shell) = shell
            && let Verdict::Bad(code) = self.judge(&shell, Relevance::Service, now)
        {
            self.refuse(&shell, code);
        }
        Ok(Flow::Go)
    }

    fn judge(&mut self, message: &Message, relevance: Relevance, now: i64) -> Verdict {
        self.client.as_mut().map_or(Verdict::Repeat, |client| client.session.judge(message, relevance, now))
    }

    fn refuse(&mut self, message: &Message, error_code: i32) {
        // A clock that is wrong is no fault of the client's code, and it is told the right time by this very answer.
        if !matches!(error_code, 16 | 17) {
            self.dc.violation(Rule::TelegramBadMessage);
        }
        let bad = types::BadMsgNotification {
            bad_msg_id: message.msg_id,
            bad_msg_seqno: message.seq_no,
            error_code,
        };
        self.send(object(&bad), false, true);
    }

    /// Tells a new session that it is one.
    fn announce(&mut self, first_msg_id: i64, now: i64) {
        let Some(client) = self.client.as_mut().filter(|client| !client.session.announced) else { return };
        client.session.announced = true;
        let created = types::NewSessionCreated {
            first_msg_id,
            unique_id: client.session.id(),
            server_salt: self.dc.salts.current(client.key.id(), now),
        };
        self.send(object(&created), true, false);
    }

    /// Handles one message: service messages here, everything else as a call.
    fn message(&mut self, message: &Message) -> Result<Flow, Malformed> {
        let msg_id = message.msg_id;
        let mut cursor = Cursor::from_slice(&message.body);
        Ok(match u32::deserialize(&mut cursor)? {
            types::MsgsAck::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
            | types::HttpWait::CONSTRUCTOR_ID => Flow::Go,
            functions::Ping::CONSTRUCTOR_ID => {
                let ping_id = functions::Ping::deserialize(&mut cursor)?.ping_id;
                self.send(object(&types::Pong { msg_id, ping_id }), false, true)
            }
            functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
                let ping = functions::PingDelayDisconnect::deserialize(&mut cursor)?;
                let delay = u64::try_from(ping.disconnect_delay).unwrap_or(0);
                let delay = Duration::from_secs(delay).min(MAX_DISCONNECT_DELAY);
                self.deadline = Instant::now().checked_add(delay);
                self.send(object(&types::Pong { msg_id, ping_id: ping.ping_id }), false, true)
            }
            functions::GetFutureSalts::CONSTRUCTOR_ID => {
                let num = functions::GetFutureSalts::deserialize(&mut cursor)?.num;
                self.future_salts(msg_id, num)
            }
            functions::RpcDropAnswer::CONSTRUCTOR_ID => {
                // Calls are answered at once, so there is never an answer left to drop.
                functions::RpcDropAnswer::deserialize(&mut cursor)?;
                self.send(wire::rpc_result(msg_id, &object(&types::RpcAnswerUnknown {})), true, true)
            }
            functions::DestroySession::CONSTRUCTOR_ID => {
                // Sessions end with their connection; only the current one exists, and it cannot destroy itself.
                let session_id = functions::DestroySession::deserialize(&mut cursor)?.session_id;
                self.send(object(&types::DestroySessionNone { session_id }), false, true)
            }
            types::MsgsStateReq::CONSTRUCTOR_ID | types::MsgResendReq::CONSTRUCTOR_ID => {
                let asked = types::MsgsStateReq::deserialize(&mut cursor)?.msg_ids;
                // 4: received (core.telegram.org/mtproto/service_messages_about_messages).
                let info = types::MsgsStateInfo { req_msg_id: msg_id, info: vec![4; asked.len()] };
                self.send(object(&info), false, true)
            }
            _ => return self.call(msg_id, &message.body),
        })
    }

    fn future_salts(&mut self, req_msg_id: i64, num: i32) -> Flow {
        let now = self.dc.wall_seconds();
        let Some(client) = &self.client else { return Flow::End };
        let salts = self.dc.salts.future(client.key.id(), now, num);
        let salts = types::FutureSalts { req_msg_id, now: unix_i32(now), salts: RawVec(salts) };
        self.send(object(&salts), false, true)
    }

    fn call(&mut self, msg_id: i64, body: &[u8]) -> Result<Flow, Malformed> {
        let Some(client) = &self.client else { return Ok(Flow::End) };
        let call = Call { connection: client.seat.id, key: client.key.id(), msg_id };
        match self.dc.call(call, body) {
            Ok(()) => Ok(Flow::Go),
            Err(Cut::Malformed(error)) => Err(error),
            Err(Cut::Fault) => Ok(Flow::End),
            Err(Cut::UnknownKey) => Ok(Flow::EndUnknown),
        }
    }

    /// Queues a message for this client behind everything that already waits.
    fn send(&mut self, body: Vec<u8>, content: bool, answers: bool) -> Flow {
        let Some(client) = &self.client else { return Flow::End };
        if self.dc.send(client.seat.id, Outgoing { body, content, answers }) { Flow::Go } else { Flow::End }
    }

    /// Numbers, encrypts and frames queued messages.
    fn encode(&mut self, batch: &mut Vec<Outgoing>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let now_ms = self.dc.wall_ms();
        let now = self.dc.wall_seconds();
        let Some(client) = &mut self.client else { return bytes };
        let salt = self.dc.salts.current(client.key.id(), now);
        for message in batch.drain(..) {
            let (msg_id, seq_no) = client.session.number(now_ms, message.answers, message.content);
            let data = Envelope::serialize(salt, client.session.id(), msg_id, seq_no, &message.body);
            match client.key.encrypt(data) {
                Ok(packet) => self.transport.pack(&packet, &mut bytes),
                Err(error) => tracing::error!(%error, "a message to a Telegram client cannot be encrypted"),
            }
        }
        bytes
    }
}

/// Whether the protocol wants a message of this kind acknowledged.
const fn relevance(constructor: u32) -> Relevance {
    match constructor {
        types::MsgsAck::CONSTRUCTOR_ID | types::HttpWait::CONSTRUCTOR_ID => Relevance::Service,
        types::MsgsStateInfo::CONSTRUCTOR_ID
        | types::MsgsAllInfo::CONSTRUCTOR_ID
        | types::MsgsStateReq::CONSTRUCTOR_ID
        | types::MsgResendReq::CONSTRUCTOR_ID
        | functions::Ping::CONSTRUCTOR_ID
        | functions::PingDelayDisconnect::CONSTRUCTOR_ID => Relevance::Either,
        _ => Relevance::Content,
    }
}

/// A bare object with its constructor id in front.
fn object<T: Identifiable + Serializable>(object: &T) -> Vec<u8> {
    let mut bytes = T::CONSTRUCTOR_ID.to_bytes();
    object.serialize(&mut bytes);
    bytes
}

async fn next_batch(client: &mut Option<Client>, batch: &mut Vec<Outgoing>) -> usize {
    match client {
        Some(client) => client.seat.queue.recv_many(batch, WRITE_BATCH).await,
        None => std::future::pending().await,
    }
}

async fn ended(cut: Option<&CancellationToken>) {
    match cut {
        Some(cut) => cut.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Writes unless the connection is to end meanwhile; tells whether it goes on.
async fn write(
    stream: &mut TcpStream,
    bytes: &[u8],
    cut: Option<&CancellationToken>,
    stop: &CancellationToken,
) -> bool {
    if bytes.is_empty() {
        return true;
    }
    tokio::select! {
        written = stream.write_all(bytes) => written.is_ok(),
        () = ended(cut) => false,
        () = stop.cancelled() => false,
    }
}
