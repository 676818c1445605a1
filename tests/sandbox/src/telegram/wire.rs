//! What stands inside an encrypted packet: the envelope, containers, compressed objects and RPC results
//! (core.telegram.org/mtproto/service_messages).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use grammers_tl_types::{Cursor, Deserializable, Serializable};

/// `msg_container`
const CONTAINER: u32 = 0x73f1_f8dc;
/// `gzip_packed`
const GZIP_PACKED: u32 = 0x3072_cfa1;
/// `rpc_result`
const RPC_RESULT: u32 = 0xf35c_6d01;

/// The most messages in one container (core.telegram.org/mtproto/service_messages#simple-container).
const MAX_IN_CONTAINER: u32 = 1020;
/// The most bytes that a compressed object may unpack to.
const MAX_UNPACKED: u64 = 1024 * 1024;
/// The most bytes that all compressed objects of one packet may unpack to.
const MAX_UNPACKED_IN_PACKET: u64 = 4 * MAX_UNPACKED;
/// Results from this length in bytes on are compressed if that makes them shorter.
const COMPRESS_FROM: usize = 1024;
/// Padding of MTProto 2.0 in bytes (core.telegram.org/mtproto/description#encrypted-message).
const PADDING: std::ops::RangeInclusive<usize> = 12..=1024;

/// Something in a decrypted packet is not what the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// The packet or a part of it ends too early, or has bytes left over.
    #[error("a part of a packet has an impossible length")]
    Length,
    /// A container holds too many messages, or another container.
    #[error("a container holds what it must not")]
    Container,
    /// A compressed object cannot be unpacked, or unpacks to too much.
    #[error("a compressed object cannot be unpacked")]
    Gzip,
    /// An object does not follow the schema.
    #[error("an object does not follow the schema")]
    Schema,
}

impl From<grammers_tl_types::deserialize::Error> for Malformed {
    fn from(_: grammers_tl_types::deserialize::Error) -> Self {
        Self::Schema
    }
}

/// One message of a client, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) msg_id: i64,
    pub(super) seq_no: i32,
    pub(super) body: Vec<u8>,
}

/// A decrypted packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) salt: i64,
    pub(super) session_id: i64,
    pub(super) outer: Message,
}

impl Envelope {
    /// Reads the decrypted data of a packet and checks its padding.
    pub(super) fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::from_slice(data);
        let salt = i64::deserialize(&mut cursor)?;
        let session_id = i64::deserialize(&mut cursor)?;
        let outer = message(data, &mut cursor)?;
        let padding = data.len().saturating_sub(cursor.pos());
        if !PADDING.contains(&padding) {
            return Err(Malformed::Length);
        }
        Ok(Self { salt, session_id, outer })
    }

    /// Data to encrypt for a client.
    pub(super) fn serialize(salt: i64, session_id: i64, msg_id: i64, seq_no: i32, body: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(body.len().saturating_add(64));
        salt.serialize(&mut data);
        session_id.serialize(&mut data);
        msg_id.serialize(&mut data);
        seq_no.serialize(&mut data);
        u32::try_from(body.len()).unwrap_or(u32::MAX).serialize(&mut data);
        data.extend_from_slice(body);
        data
    }
}

impl Message {
    /// The constructor id in front of the body.
    pub(super) fn constructor(&self) -> Result<u32, Malformed> {
        constructor(&self.body)
    }

    /// Whether this is a container.
    pub(super) fn is_container(&self) -> bool {
        self.constructor() == Ok(CONTAINER)
    }

    /// The messages in a container, in order, each unpacked; for any other message itself, unpacked.
    pub(super) fn into_messages(self) -> Result<Vec<Self>, Malformed> {
        if !self.is_container() {
            return Ok(vec![Self { body: unpack(self.body)?, ..self }]);
        }
        let mut cursor = Cursor::from_slice(&self.body);
        u32::deserialize(&mut cursor)?;
        let count = u32::deserialize(&mut cursor)?;
        if count > MAX_IN_CONTAINER {
            return Err(Malformed::Container);
        }
        let mut messages = Vec::new();
        let mut budget = MAX_UNPACKED_IN_PACKET;
        for _ in 0..count {
            let inner = message(&self.body, &mut cursor)?;
            if inner.is_container() {
                return Err(Malformed::Container);
            }
            messages.push(Self { body: unpack_within(inner.body, &mut budget)?, ..inner });
        }
        if cursor.pos() == self.body.len() { Ok(messages) } else { Err(Malformed::Length) }
    }
}

/// The constructor id in front of an object.
pub(super) fn constructor(body: &[u8]) -> Result<u32, Malformed> {
    body.first_chunk::<4>().map(|id| u32::from_le_bytes(*id)).ok_or(Malformed::Length)
}

/// The object inside a `gzip_packed`, or the object itself.
pub(super) fn unpack(body: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    let mut budget = MAX_UNPACKED;
    unpack_within(body, &mut budget)
}

/// As [`unpack`], and takes what it unpacks from a budget of bytes.
fn unpack_within(body: Vec<u8>, budget: &mut u64) -> Result<Vec<u8>, Malformed> {
    if constructor(&body)? != GZIP_PACKED {
        return Ok(body);
    }
    let mut cursor = Cursor::from_slice(&body);
    u32::deserialize(&mut cursor)?;
    let packed = Vec::<u8>::deserialize(&mut cursor)?;
    let mut unpacked = Vec::new();
    let bound = MAX_UNPACKED.min(*budget);
    GzDecoder::new(packed.as_slice())
        .take(bound.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|_io| Malformed::Gzip)?;
    let length = u64::try_from(unpacked.len()).unwrap_or(u64::MAX);
    *budget = budget.saturating_sub(length);
    // One object is packed once; a packed object inside a packed one is a bomb, not a message.
    let fits = length <= bound;
    if fits && constructor(&unpacked)? != GZIP_PACKED { Ok(unpacked) } else { Err(Malformed::Gzip) }
}

/// `rpc_result` for a request; long results are compressed.
pub(super) fn rpc_result(request: i64, result: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(result.len().saturating_add(12));
    RPC_RESULT.serialize(&mut body);
    request.serialize(&mut body);
    match compress(result) {
        Some(packed) => {
            GZIP_PACKED.serialize(&mut body);
            packed.serialize(&mut body);
        }
        None => body.extend_from_slice(result),
    }
    body
}

fn compress(result: &[u8]) -> Option<Vec<u8>> {
    if result.len() < COMPRESS_FROM {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(result).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < result.len()).then_some(packed)
}

fn message(data: &[u8], cursor: &mut Cursor<'_>) -> Result<Message, Malformed> {
    let msg_id = i64::deserialize(cursor)?;
    let seq_no = i32::deserialize(cursor)?;
    let length = usize::try_from(u32::deserialize(cursor)?).map_err(|_out_of_range| Malformed::Length)?;
    if length < 4 || !length.is_multiple_of(4) || length > data.len().saturating_sub(cursor.pos()) {
        return Err(Malformed::Length);
    }
    let mut body = vec![0; length];
    cursor.read_exact(&mut body)?;
    Ok(Message { msg_id, seq_no, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(words: u32) -> Vec<u8> {
        (0..words).flat_map(u32::to_le_bytes).collect()
    }

    fn container(messages: &[Message]) -> Message {
        let mut bytes = CONTAINER.to_bytes();
        u32::try_from(messages.len()).unwrap().serialize(&mut bytes);
        for message in messages {
            message.msg_id.serialize(&mut bytes);
            message.seq_no.serialize(&mut bytes);
            u32::try_from(message.body.len()).unwrap().serialize(&mut bytes);
            bytes.extend_from_slice(&message.body);
        }
        Message { msg_id: 100, seq_no: 2, body: bytes }
    }

    fn packed(object: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(object).unwrap();
        let mut bytes = GZIP_PACKED.to_bytes();
        encoder.finish().unwrap().serialize(&mut bytes);
        bytes
    }

    #[test]
    fn an_envelope_survives_the_way_there_and_back_and_needs_its_padding() {
        let mut data = Envelope::serialize(1, 2, 4, 3, &body(3));
        assert_eq!(Envelope::parse(&data), Err(Malformed::Length), "no padding");
        data.extend([0; 12]);
        let outer = Message { msg_id: 4, seq_no: 3, body: body(3) };
        assert_eq!(Envelope::parse(&data), Ok(Envelope { salt: 1, session_id: 2, outer }));
        data.extend([0; 1013]);
        assert_eq!(Envelope::parse(&data), Err(Malformed::Length), "too much padding");
    }

    #[test]
    fn containers_are_opened_one_level_deep_and_packed_messages_unpacked() {
        let plain = Message { msg_id: 4, seq_no: 1, body: body(2) };
        let zipped = Message { msg_id: 8, seq_no: 3, body: packed(&body(500)) };
        let outer = container(&[plain.clone(), zipped]);
        let messages = outer.clone().into_messages().unwrap();
        assert_eq!(messages, [plain, Message { msg_id: 8, seq_no: 3, body: body(500) }]);
        assert_eq!(container(&[outer]).into_messages(), Err(Malformed::Container));
    }

    #[test]
    fn a_container_that_lies_about_its_content_is_refused() {
        let mut outer = container(&[Message { msg_id: 4, seq_no: 1, body: body(2) }]);
        outer.body.extend([0; 4]);
        assert_eq!(outer.into_messages(), Err(Malformed::Length));
        let mut many = CONTAINER.to_bytes();
        u32::MAX.serialize(&mut many);
        let many = Message { msg_id: 4, seq_no: 0, body: many };
        assert_eq!(many.into_messages(), Err(Malformed::Container));
    }

    #[test]
    fn a_gzip_bomb_is_refused() {
        let bomb = packed(&vec![0; 2 * 1024 * 1024]);
        assert!(bomb.len() < 4096);
        assert_eq!(unpack(bomb), Err(Malformed::Gzip));
        assert_eq!(unpack(packed(&packed(&body(1)))), Err(Malformed::Gzip));
        let half = |step: i64| Message { msg_id: 4 * step, seq_no: 1, body: packed(&vec![7; 512 * 1024]) };
        let many = |count| container(&(1..=count).map(half).collect::<Vec<_>>());
        assert!(many(8).into_messages().is_ok());
        assert_eq!(many(9).into_messages(), Err(Malformed::Gzip), "many small ones are one large one");
        let mut broken = packed(&body(100));
        *broken.get_mut(30).unwrap() ^= 0xff;
        assert_eq!(unpack(broken), Err(Malformed::Gzip));
    }

    #[test]
    fn long_results_are_compressed_and_short_ones_are_not() {
        assert_eq!(rpc_result(7, &body(2)).len(), 12 + 8);
        let long = rpc_result(7, &vec![5; 4096]);
        assert!(long.len() < 200);
        assert_eq!(unpack(long.split_at(12).1.to_vec()), Ok(vec![5; 4096]));
    }
}
