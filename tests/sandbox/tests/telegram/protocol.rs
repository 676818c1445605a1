//! The wire itself: unknown keys, plain text, garbage, pings.

use std::net::SocketAddr;

use grammers_tl_types::functions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{USER, connect, key, sandbox, sandbox_with, signed_in, within};

/// Everything that the server sends until it closes the connection.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as a close.
    drop(within(stream.read_to_end(&mut answer)).await);
    answer
}

/// A packet of the intermediate transport.
fn intermediate(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).unwrap();
    [&[0xee; 4], length.to_le_bytes().as_slice(), packet].concat()
}

#[tokio::test]
async fn an_unknown_key_is_told_so_and_no_key_can_be_exchanged() {
    let sandbox = sandbox().await;
    let packet = [7_u8; 64];
    let expected = [&4_u32.to_le_bytes()[..], &(-404_i32).to_le_bytes()].concat();
    assert_eq!(answer_to(sandbox.telegram_address(), &intermediate(&packet)).await, expected);
    let abridged = [&[0xef, 16][..], &packet].concat();
    let expected = [&[1][..], &(-404_i32).to_le_bytes()].concat();
    assert_eq!(answer_to(sandbox.telegram_address(), &abridged).await, expected);
    assert!(sandbox.shared().violations.snapshot().is_empty());

    // grammers then tries to exchange a key, which ends at once.
    let peer = connect(sandbox.telegram_address(), key(9));
    assert!(within(peer.client.is_authorized()).await.is_err());
    assert_eq!(sandbox.shared().violations.snapshot().get("telegram.plaintext"), Some(&1));
}

#[tokio::test]
async fn garbage_ends_its_connection_and_is_counted() {
    let sandbox = sandbox().await;
    let address = sandbox.telegram_address();
    sandbox.telegram().register_auth_key(&key(1), Some(USER)).unwrap();
    // The id of a known key, then nothing that decrypts.
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &key(1));
    let id = *hash.as_ref().last_chunk::<8>().unwrap();
    for (bytes, rule) in [
        (b"GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n".to_vec(), "telegram.transport"),
        (vec![0xef, 0x7f, 0xff, 0xff, 0xff], "telegram.transport"),
        (intermediate(&[&id[..], &[1; 56]].concat()), "telegram.malformed"),
        (intermediate(&[&id[..], &[1; 17]].concat()), "telegram.malformed"),
        (intermediate(&[0; 40]), "telegram.plaintext"),
    ] {
        let before = sandbox.shared().violations.snapshot().get(rule).copied().unwrap_or(0);
        assert!(answer_to(address, &bytes).await.is_empty(), "{rule}");
        assert_eq!(sandbox.shared().violations.snapshot().get(rule), Some(&(before + 1)), "{bytes:02x?}");
    }
    signed_in(&sandbox, 1, USER).await;
}

#[tokio::test]
async fn connections_over_the_bound_are_turned_away() {
    let sandbox = sandbox_with(|config| config.telegram.max_connections = 1).await;
    let _first = signed_in(&sandbox, 1, USER).await;
    assert!(answer_to(sandbox.telegram_address(), &[]).await.is_empty());
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let sandbox =
        sandbox_with(|config| config.telegram.first_packet = std::time::Duration::from_millis(50)).await;
    assert!(answer_to(sandbox.telegram_address(), &[0xef]).await.is_empty());
}

#[tokio::test]
async fn pings_are_answered_and_a_client_that_stops_pinging_is_cut() {
    let sandbox = sandbox().await;
    let mut peer = signed_in(&sandbox, 1, USER).await;
    let pong = peer.call(&functions::Ping { ping_id: 5 }).await.unwrap();
    let grammers_tl_types::enums::Pong::Pong(pong) = pong;
    assert_eq!(pong.ping_id, 5);
    peer.call(&functions::PingDelayDisconnect { ping_id: 6, disconnect_delay: 1 }).await.unwrap();
    let closed = within(peer.updates.recv()).await;
    assert!(matches!(closed, Some(grammers_session::updates::UpdatesLike::ConnectionClosed)), "{closed:?}");
    peer.state().await;
}

#[tokio::test]
async fn every_data_centre_is_this_one_and_clients_keep_no_other_address() {
    let sandbox = sandbox().await;
    let peer = signed_in(&sandbox, 1, USER).await;
    use grammers_session::Session as _;
    for id in 1..=5 {
        let option = peer.session.dc_option(id).unwrap().unwrap();
        assert_eq!(SocketAddr::V4(option.ipv4), sandbox.telegram_address());
    }
    let enums_config = peer.call(&functions::help::GetConfig {}).await.unwrap();
    let grammers_tl_types::enums::Config::Config(config) = enums_config;
    assert_eq!(config.dc_options.len(), 5);
    peer.call(&functions::help::GetNearestDc {}).await.unwrap();
    peer.call(&functions::help::GetAppConfig { hash: 0 }).await.unwrap();
}
