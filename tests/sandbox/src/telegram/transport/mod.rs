//! MTProto transports: how packets are framed on a byte stream, told apart by the first bytes a client sends
//! (core.telegram.org/mtproto/mtproto-transports).

mod full;
#[cfg(test)]
mod tests;

use full::Full;

/// First byte of the abridged transport.
const ABRIDGED: u8 = 0xef;
/// First four bytes of the intermediate transport.
const INTERMEDIATE: [u8; 4] = [0xee; 4];
/// First four bytes of the padded intermediate transport.
const PADDED: [u8; 4] = [0xdd; 4];
/// The length byte from which an abridged header has three more bytes.
const ABRIDGED_LONG: u8 = 0x7f;

/// What is wrong with the bytes of a stream. None of these can be repaired: the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// The first bytes belong to no transport that is served here.
    #[error("the first bytes belong to no known transport")]
    UnknownTransport,
    /// A packet is longer than the bound.
    #[error("a packet of {length} bytes is over the bound")]
    TooLong {
        /// The announced length in bytes.
        length: usize,
    },
    /// A length that no packet can have.
    #[error("a packet length is not possible")]
    BadLength,
    /// The packet counter of the full transport did not continue.
    #[error("the packet counter does not continue")]
    BadCounter,
    /// The checksum of the full transport does not match.
    #[error("the checksum does not match")]
    BadChecksum,
}

/// One direction-less framing; the counters of the full transport are kept for both directions.
#[derive(Debug)]
enum Framing {
    Full(Full),
    Abridged,
    Intermediate,
    Padded,
}

/// The receiving and sending half of one connection's transport.
#[derive(Debug)]
pub(super) struct Transport {
    framing: Option<Framing>,
    buffer: Vec<u8>,
    start: usize,
    max_packet: usize,
}

impl Transport {
    /// A transport whose kind is decided by the first bytes; no packet may be longer than `max_packet` bytes.
    pub(super) const fn new(max_packet: usize) -> Self {
        Self { framing: None, buffer: Vec::new(), start: 0, max_packet }
    }

    /// Adds bytes that arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole packet, if it is there.
    ///
    /// # Errors
    /// Any [`FrameError`]; the stream is of no use afterwards.
    pub(super) fn next_packet(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let max_packet = self.max_packet;
        let unread = self.buffer.get(self.start..).unwrap_or_default();
        if self.framing.is_none() {
            let Some((framing, used)) = detect(unread, max_packet)? else { return Ok(None) };
            self.framing = Some(framing);
            self.start = self.start.saturating_add(used);
        }
        let unread = self.buffer.get(self.start..).unwrap_or_default();
        let Some(framing) = &mut self.framing else { return Ok(None) };
        let taken = match framing {
            Framing::Full(full) => full.take(unread, max_packet)?,
            Framing::Abridged => take_abridged(unread, max_packet)?,
            Framing::Intermediate | Framing::Padded => take_intermediate(unread, max_packet)?,
        };
        let Some((packet, used)) = taken else { return Ok(None) };
        self.start = self.start.saturating_add(used);
        Ok(Some(packet))
    }

    /// Frames a packet (a multiple of four bytes) for the client and appends it to `out`.
    pub(super) fn pack(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        match &mut self.framing {
            Some(Framing::Full(full)) => full.pack(packet, out),
            Some(Framing::Abridged) => {
                pack_abridged(packet, out);
            }
            Some(Framing::Intermediate | Framing::Padded) => {
                out.extend(length_u32(packet.len()).to_le_bytes());
                out.extend_from_slice(packet);
            }
            None => {}
        }
    }

    /// Appends a transport error such as -404, "auth key not found", in the form in which Telegram sends it: the bare
    /// code as a packet; with the full transport length, counter and body are all the code (LonamiWebs/Telethon#4042).
    pub(super) fn pack_error(&mut self, code: i32, out: &mut Vec<u8>) {
        match &self.framing {
            Some(Framing::Full(_)) => {
                for _ in 0..3 {
                    out.extend(code.to_le_bytes());
                }
            }
            _ => self.pack(&code.to_le_bytes(), out),
        }
    }
}

/// Tells the transport from the first bytes: the framing and the bytes that only announced it.
fn detect(bytes: &[u8], max_packet: usize) -> Result<Option<(Framing, usize)>, FrameError> {
    if bytes.first() == Some(&ABRIDGED) {
        return Ok(Some((Framing::Abridged, 1)));
    }
    let Some(first) = bytes.first_chunk::<4>() else { return Ok(None) };
    match *first {
        INTERMEDIATE => Ok(Some((Framing::Intermediate, 4))),
        PADDED => Ok(Some((Framing::Padded, 4))),
        other => {
            // The full transport has no tag: the first packet's length must be a possible one and its counter zero.
            let length = usize::try_from(u32::from_le_bytes(other)).unwrap_or(usize::MAX);
            if !full::is_possible(length) || length > max_packet {
                return Err(FrameError::UnknownTransport);
            }
            Ok(Some((Framing::Full(Full::default()), 0)))
        }
    }
}

fn take_abridged(bytes: &[u8], max_packet: usize) -> Result<Option<(Vec<u8>, usize)>, FrameError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let (words, header) = if first < ABRIDGED_LONG {
        (u32::from(first), 1)
    } else if first == ABRIDGED_LONG {
        let Some(&[a, b, c]) = rest.first_chunk::<3>() else { return Ok(None) };
        (u32::from_le_bytes([a, b, c, 0]), 4)
    } else {
        // The high bit asks for a quick acknowledgement, which none of the served clients does.
        return Err(FrameError::BadLength);
    };
    let length = usize::try_from(words).unwrap_or(usize::MAX).saturating_mul(4);
    slice_packet(bytes, header, length, max_packet)
}

fn take_intermediate(bytes: &[u8], max_packet: usize) -> Result<Option<(Vec<u8>, usize)>, FrameError> {
    let Some(header) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
    slice_packet(bytes, 4, length, max_packet)
}

fn slice_packet(
    bytes: &[u8],
    header: usize,
    length: usize,
    max_packet: usize,
) -> Result<Option<(Vec<u8>, usize)>, FrameError> {
    if length > max_packet {
        return Err(FrameError::TooLong { length });
    }
    if length < 4 {
        return Err(FrameError::BadLength);
    }
    let end = header.saturating_add(length);
    Ok(bytes.get(header..end).map(|packet| (packet.to_vec(), end)))
}

fn pack_abridged(packet: &[u8], out: &mut Vec<u8>) {
    let words = packet.len() / 4;
    match u8::try_from(words) {
        Ok(short) if short < ABRIDGED_LONG => out.push(short),
        _ => {
            let [a, b, c, _] = length_u32(words).to_le_bytes();
            out.extend([ABRIDGED_LONG, a, b, c]);
        }
    }
    out.extend_from_slice(packet);
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
