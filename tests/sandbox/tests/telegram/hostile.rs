//! Bytes that no client sends: random streams, and packets that decrypt to anything. Nothing of it does harm.

use std::net::SocketAddr;

use grammers_crypto::{AuthKey, DequeBuffer, decrypt_data_v2, encrypt_data_v2};
use grammers_tl_types::{Identifiable as _, Serializable as _, functions, types};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::harness::{USER, key, sandbox, signed_in, source_chat, text, within};

/// Connections of each kind.
const ROUNDS: usize = 400;
/// `msg_container`, `gzip_packed`
const CONTAINER: u32 = 0x73f1_f8dc;
const GZIP_PACKED: u32 = 0x3072_cfa1;

/// A small generator with a fixed start: a failure is the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// Sends bytes, says that no more come, and reads until the server has closed.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // The server may close, with a reset, before it has read everything.
    if stream.write_all(bytes).await.is_ok() {
        drop(stream.shutdown().await);
        drop(within(stream.read_to_end(&mut answer)).await);
    }
    answer
}

fn stream_of(random: &mut Random) -> Vec<u8> {
    let length = random.below(600);
    let tail = random.bytes(length);
    let claimed = u32::try_from(random.below(700)).unwrap().to_le_bytes();
    let head: &[u8] = match random.below(6) {
        0 => &[0xef],
        1 => &[0xee; 4],
        2 => &[0xdd; 4],
        3 => &[0xef, 0x7f],
        _ => &[],
    };
    if random.below(2) == 0 { [head, &tail].concat() } else { [head, &claimed, &tail].concat() }
}

/// A packet of the intermediate transport, rightly encrypted.
fn packet(key: &AuthKey, salt: i64, message: &[u8]) -> Vec<u8> {
    let mut buffer = DequeBuffer::with_capacity(message.len() + 64, 64);
    buffer.extend(salt.to_le_bytes());
    buffer.extend(77_i64.to_le_bytes());
    buffer.extend(message.iter().copied());
    encrypt_data_v2(&mut buffer, key);
    let length = u32::try_from(buffer.len()).unwrap();
    [&[0xee; 4], length.to_le_bytes().as_slice(), &buffer[..]].concat()
}

/// A message with a length that is right, most of the time.
fn message(random: &mut Random, msg_id: i64, body: &[u8]) -> Vec<u8> {
    let seq_no = i32::try_from(random.below(4)).unwrap();
    let length = if random.below(12) == 0 { random.below(5000) } else { body.len() };
    let length = u32::try_from(length).unwrap();
    let head = [msg_id.to_le_bytes().as_slice(), &seq_no.to_le_bytes(), &length.to_le_bytes()].concat();
    [head, body.to_vec()].concat()
}

fn object(random: &mut Random) -> Vec<u8> {
    let known = [
        functions::Ping::CONSTRUCTOR_ID,
        functions::PingDelayDisconnect::CONSTRUCTOR_ID,
        functions::GetFutureSalts::CONSTRUCTOR_ID,
        functions::RpcDropAnswer::CONSTRUCTOR_ID,
        functions::DestroySession::CONSTRUCTOR_ID,
        types::MsgsStateReq::CONSTRUCTOR_ID,
        types::MsgResendReq::CONSTRUCTOR_ID,
        types::MsgsAck::CONSTRUCTOR_ID,
        functions::messages::SendMessage::CONSTRUCTOR_ID,
        functions::updates::GetDifference::CONSTRUCTOR_ID,
        functions::InvokeWithLayer::<functions::Ping>::CONSTRUCTOR_ID,
        functions::InvokeAfterMsgs::<functions::Ping>::CONSTRUCTOR_ID,
        GZIP_PACKED,
        CONTAINER,
    ];
    let id = match random.below(8) {
        0 => u32::try_from(random.next() >> 32).unwrap(),
        _ => known[random.below(known.len())],
    };
    let mut bytes = id.to_bytes();
    // A vector, most of the time, of a length that nobody has memory for, some of the time.
    if random.below(2) == 0 {
        0x1cb5_c415_u32.serialize(&mut bytes);
        [3, u32::MAX, 0x7fff_ffff][random.below(3)].serialize(&mut bytes);
    }
    let words = random.below(40);
    bytes.extend(random.bytes(words * 4));
    bytes
}

/// What stands in the packet: one message, or a container of some.
fn content(random: &mut Random, now: i64) -> Vec<u8> {
    let id = |step: usize| (now << 32) + i64::try_from(step * 4).unwrap();
    if random.below(3) > 0 {
        let body = object(random);
        return message(random, id(1), &body);
    }
    let count = random.below(6);
    let mut body = CONTAINER.to_bytes();
    u32::try_from(count).unwrap().serialize(&mut body);
    for step in 0..count {
        let inner = object(random);
        body.extend(message(random, id(step + 1), &inner));
    }
    message(random, id(9), &body)
}

#[tokio::test]
async fn random_bytes_end_their_connection_and_nothing_else() {
    let sandbox = sandbox().await;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..ROUNDS {
        exchange(sandbox.telegram_address(), &stream_of(&mut random)).await;
    }
    signed_in(&sandbox, 1, USER).await.state().await;
}

#[tokio::test]
async fn packets_that_decrypt_to_anything_are_answered_or_refused() {
    let sandbox = sandbox().await;
    let address = sandbox.telegram_address();
    let peer = signed_in(&sandbox, 1, USER).await;
    let auth_key = AuthKey::from_bytes(key(1));
    let now = chrono::DateTime::timestamp(&sandbox.shared().clock.real());
    // A ping under no salt is answered with the right one.
    let ping = functions::Ping { ping_id: 1 }.to_bytes();
    let head = [(now << 32).to_le_bytes().as_slice(), &1_i32.to_le_bytes(), &12_u32.to_le_bytes()].concat();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&packet(&auth_key, 0, &[head, ping].concat())).await.unwrap();
    let length = within(stream.read_u32_le()).await.unwrap();
    let mut told = vec![0; usize::try_from(length).unwrap()];
    within(stream.read_exact(&mut told)).await.unwrap();
    let plain = decrypt_data_v2(&mut told, &auth_key).unwrap();
    let salt = i64::from_le_bytes(*plain.first_chunk().unwrap());

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut answered = 0;
    for _ in 0..ROUNDS {
        let content = content(&mut random, now);
        let answer = exchange(address, &packet(&auth_key, salt, &content)).await;
        answered += usize::from(!answer.is_empty());
    }
    let malformed = sandbox.shared().violations.snapshot().get("telegram.malformed").copied().unwrap_or(0);
    // An answer may be overtaken by the end of the connection.
    assert!(answered > 10 && malformed > 20, "{answered} were answered, {malformed} were malformed");
    // The client that was there all along still is, and is told what happens.
    let mut peer = peer;
    sandbox.telegram().post_message(&source_chat(&sandbox), &text("still here")).unwrap();
    assert!(!peer.pushed().await.updates.is_empty());
}
