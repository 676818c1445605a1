//! The full transport: length, packet counter, payload and CRC-32
//! (core.telegram.org/mtproto/mtproto-transports#full).

use super::{FrameError, length_u32};

/// Length, counter and checksum around the payload, in bytes.
const OVERHEAD: usize = 12;

/// The counters of both directions.
#[derive(Debug, Default)]
pub(super) struct Full {
    received: u32,
    sent: u32,
}

/// Whether a full packet can have this total length in bytes.
pub(super) const fn is_possible(length: usize) -> bool {
    length >= OVERHEAD + 4 && length.is_multiple_of(4)
}

impl Full {
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        max_packet: usize,
    ) -> Result<Option<(Vec<u8>, usize)>, FrameError> {
        let Some(header) = bytes.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > max_packet.saturating_add(OVERHEAD) {
            return Err(FrameError::TooLong { length });
        }
        if !is_possible(length) {
            return Err(FrameError::BadLength);
        }
        let Some(counter) = bytes.get(4..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        if u32::from_le_bytes(*counter) != self.received {
            return Err(FrameError::BadCounter);
        }
        let Some((covered, checksum)) = bytes.get(..length).and_then(|packet| packet.split_last_chunk::<4>())
        else {
            return Ok(None);
        };
        if crc32fast::hash(covered) != u32::from_le_bytes(*checksum) {
            return Err(FrameError::BadChecksum);
        }
        self.received = self.received.wrapping_add(1);
        Ok(covered.get(8..).map(|payload| (payload.to_vec(), length)))
    }

    pub(super) fn pack(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend(length_u32(packet.len().saturating_add(OVERHEAD)).to_le_bytes());
        out.extend(self.sent.to_le_bytes());
        out.extend_from_slice(packet);
        let checksum = crc32fast::hash(out.get(begin..).unwrap_or_default());
        out.extend(checksum.to_le_bytes());
        self.sent = self.sent.wrapping_add(1);
    }
}
