//! The session against a vault in memory: what it lets the client do, and what it writes.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use grammers_session::types::PeerAuth;
use uuid::Uuid;

use super::*;

#[derive(Default)]
struct Vault {
    secrets: Mutex<HashMap<String, Vec<u8>>>,
    peers: Mutex<Vec<Vec<i64>>>,
}

#[async_trait]
impl Credentials for Vault {
    async fn secret(&self, _: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        Ok(self.secrets.lock().unwrap().get(name).cloned().map(SecretSlice::from))
    }

    async fn set_secret(&self, _: AccountId, name: &str, value: SecretSlice<u8>) -> Result<(), StoreError> {
        self.secrets.lock().unwrap().insert(name.to_owned(), value.expose_secret().to_vec());
        Ok(())
    }

    async fn peers(&self, _: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_peers(&self, _: AccountId, peers: &[(i64, SecretSlice<u8>)]) -> Result<(), StoreError> {
        self.peers.lock().unwrap().push(peers.iter().map(|(id, _)| *id).collect());
        Ok(())
    }
}

const KEY: [u8; 256] = [1; 256];
const OTHER_KEY: [u8; 256] = [2; 256];

async fn session(vault: &Arc<Vault>, address: Option<&str>) -> StoredSession {
    let account = AccountId::from_uuid(Uuid::from_u128(1));
    let address = address.map(|address| address.parse().unwrap());
    StoredSession::load(vault.clone(), account, address).await.unwrap()
}

#[tokio::test]
async fn a_signed_in_account_never_gets_another_key() {
    let vault = Arc::new(Vault::default());
    let fresh = session(&vault, None).await;
    let mut option = fresh.dc_option(2).unwrap().unwrap();
    option.auth_key = Some(KEY);
    fresh.set_dc_option(&option).await.unwrap();
    option.auth_key = Some(OTHER_KEY);
    fresh.set_dc_option(&option).await.unwrap();
    assert_eq!(fresh.home_key(), Some(OTHER_KEY), "before a sign-in the client may exchange as it likes");

    let signed_in = session(&vault, None).await;
    option.auth_key = Some(KEY);
    let refused = signed_in.set_dc_option(&option).await;
    assert!(matches!(refused, Err(SessionError::KeyChanged)), "{refused:?}");
    assert_eq!(session(&vault, None).await.home_key(), Some(OTHER_KEY), "the store keeps the good one");
    option.id = 4;
    signed_in.set_dc_option(&option).await.unwrap();
}

#[tokio::test]
async fn a_sealed_session_gives_no_second_connection() {
    let session = session(&Arc::default(), None).await;
    assert!(session.dc_option(2).unwrap().is_some());
    session.seal();
    assert!(matches!(session.dc_option(2), Err(SessionError::Closed)));
    assert!(session.dc_option(4).unwrap().is_some(), "other data centres hold files");
}

#[tokio::test]
async fn a_configured_address_stands_for_every_data_centre() {
    let vault = Arc::new(Vault::default());
    let session = session(&vault, Some("127.0.0.1:4430")).await;
    session.set_home_key(KEY).await.unwrap();
    for id in DATA_CENTRES {
        // What the server says of its addresses leads out, and is not followed.
        let mut option = session.dc_option(id).unwrap().unwrap();
        option.ipv4 = "149.154.167.41:443".parse().unwrap();
        session.set_dc_option(&option).await.unwrap();
        assert_eq!(session.dc_option(id).unwrap().unwrap().ipv4, "127.0.0.1:4430".parse().unwrap());
    }
    let names: Vec<_> = vault.secrets.lock().unwrap().keys().cloned().collect();
    assert_eq!(names, ["dc.2"], "only a data centre with a key is worth a secret");
}

#[tokio::test]
async fn the_home_data_centre_survives() {
    let vault = Arc::new(Vault::default());
    session(&vault, None).await.set_home_dc_id(4).await.unwrap();
    assert_eq!(session(&vault, None).await.home_dc_id().unwrap(), 4);
}

#[tokio::test]
async fn peers_are_written_when_they_change_and_in_one_go() {
    let vault = Arc::new(Vault::default());
    let session = session(&vault, None).await;
    let channel =
        |id, hash: Option<i64>| PeerInfo::Channel { id, auth: hash.map(PeerAuth::from_hash), kind: None };
    session.remember(&[channel(1, Some(5)), channel(2, Some(6))]).await.unwrap();
    session.remember(&[channel(1, Some(5)), channel(2, None)]).await.unwrap();
    session.cache_peers(vec![channel(1, Some(5)), channel(2, Some(7))]).await.unwrap();
    let written = vault.peers.lock().unwrap().clone();
    assert_eq!(written, [vec![-1_000_000_000_001, -1_000_000_000_002], vec![-1_000_000_000_002]]);
    let known = session.known(PeerId::channel(2).unwrap()).and_then(|peer| peer.auth());
    assert_eq!(known, Some(PeerAuth::from_hash(7)));
}
