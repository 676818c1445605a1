//! Every transport carries packets both ways in pieces, and refuses what it must.

use super::{FrameError, Transport};

const MAX: usize = 1024;

fn packet(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// Bytes as a client of this transport sends them, made by our own packing after the tag.
fn client_bytes(tag: &[u8], packets: &[Vec<u8>]) -> Vec<u8> {
    let mut client = Transport::new(MAX);
    // A full transport is recognised by its first packet, so let the client side see one of its own.
    let mut bytes = tag.to_vec();
    if tag.is_empty() {
        let mut full = super::full::Full::default();
        for packet in packets {
            full.pack(packet, &mut bytes);
        }
        return bytes;
    }
    client.push(tag);
    assert_eq!(client.next_packet(), Ok(None));
    for packet in packets {
        client.pack(packet, &mut bytes);
    }
    bytes
}

#[test]
fn every_transport_is_recognised_and_carries_packets_byte_by_byte() {
    let packets = [packet(24), packet(4), packet(1024), packet(508), packet(512)];
    for tag in [&[][..], &[0xef][..], &[0xee; 4][..], &[0xdd; 4][..]] {
        let bytes = client_bytes(tag, &packets);
        let mut server = Transport::new(MAX);
        let mut got = Vec::new();
        for byte in &bytes {
            server.push(&[*byte]);
            while let Some(packet) = server.next_packet().unwrap() {
                got.push(packet);
            }
        }
        assert_eq!(got, packets, "transport with the tag {tag:02x?}");
    }
}

#[test]
fn what_is_packed_for_a_client_is_what_its_own_side_unpacks() {
    for tag in [&[][..], &[0xef][..], &[0xee; 4][..]] {
        let mut server = Transport::new(MAX);
        server.push(&client_bytes(tag, &[packet(24)]));
        assert!(server.next_packet().unwrap().is_some());
        let mut bytes = tag.to_vec();
        server.pack(&packet(40), &mut bytes);
        server.pack(&packet(1000), &mut bytes);
        let mut client = Transport::new(MAX);
        client.push(&bytes);
        assert_eq!(client.next_packet().unwrap(), Some(packet(40)));
        assert_eq!(client.next_packet().unwrap(), Some(packet(1000)));
        assert_eq!(client.next_packet().unwrap(), None);
    }
}

#[test]
fn a_stream_that_is_no_transport_is_refused() {
    let mut server = Transport::new(MAX);
    server.push(b"GET / HTTP/1.1\r\n");
    assert_eq!(server.next_packet(), Err(FrameError::UnknownTransport));
}

#[test]
fn long_packets_are_refused_by_their_header() {
    for header in [&[0xef, 0x7f, 0xff, 0xff, 0x00][..], &[0xee, 0xee, 0xee, 0xee, 0, 0, 1, 0][..]] {
        let mut server = Transport::new(MAX);
        server.push(header);
        assert!(matches!(server.next_packet(), Err(FrameError::TooLong { .. })), "{header:02x?}");
    }
}

#[test]
fn a_full_packet_with_a_wrong_checksum_or_counter_is_refused() {
    let mut bytes = client_bytes(&[], &[packet(24)]);
    *bytes.last_mut().unwrap() ^= 1;
    let mut server = Transport::new(MAX);
    server.push(&bytes);
    assert_eq!(server.next_packet(), Err(FrameError::BadChecksum));

    let bytes = client_bytes(&[], &[packet(24)]);
    let mut server = Transport::new(MAX);
    server.push(&bytes);
    server.push(&bytes);
    assert!(server.next_packet().unwrap().is_some());
    assert_eq!(server.next_packet(), Err(FrameError::BadCounter));
}

#[test]
fn a_transport_error_is_the_bare_code() {
    let mut server = Transport::new(MAX);
    server.push(&client_bytes(&[0xee; 4], &[packet(24)]));
    assert!(server.next_packet().unwrap().is_some());
    let mut bytes = Vec::new();
    server.pack_error(-404, &mut bytes);
    assert_eq!(bytes, [[4, 0, 0, 0], (-404_i32).to_le_bytes()].concat());
}
