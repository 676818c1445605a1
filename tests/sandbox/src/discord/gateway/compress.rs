//! Transport compression `zlib-stream`: one zlib stream per connection, flushed after every payload.

use flate2::{Compress, Compression, FlushCompress, Status};

/// The stream of one connection.
pub(super) struct ZlibStream {
    stream: Compress,
}

impl ZlibStream {
    pub(super) fn new() -> Self {
        Self { stream: Compress::new(Compression::fast(), true) }
    }

    /// The next bytes of the stream, ending in the flush marker `00 00 FF FF`.
    pub(super) fn payload(&mut self, text: &str) -> Option<Vec<u8>> {
        let mut input = text.as_bytes();
        let mut output = Vec::with_capacity(text.len().saturating_add(64));
        loop {
            let before = self.stream.total_in();
            let status = self.stream.compress_vec(input, &mut output, FlushCompress::Sync).ok()?;
            let taken = usize::try_from(self.stream.total_in().saturating_sub(before)).ok()?;
            input = input.get(taken..)?;
            let flushed = output.len() < output.capacity();
            if input.is_empty() && flushed && status == Status::Ok {
                return Some(output);
            }
            output.reserve(output.capacity().max(64));
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    #[test]
    fn a_client_reads_every_payload_as_it_comes() {
        let mut server = ZlibStream::new();
        let mut client = Decompress::new(true);
        let long: String = (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
        for text in ["{\"op\":10}", "", long.as_str(), "{\"op\":11}"] {
            let bytes = server.payload(text).unwrap();
            assert_eq!(&bytes[bytes.len() - 4..], [0, 0, 0xff, 0xff]);
            let mut read = Vec::with_capacity(text.len() + 1);
            client.decompress_vec(&bytes, &mut read, FlushDecompress::Sync).unwrap();
            assert_eq!(read, text.as_bytes());
        }
    }
}
