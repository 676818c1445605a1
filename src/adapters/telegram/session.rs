//! The client's session over our own store: authorisation keys and access hashes, cached in memory and written through.
//!
//! Update state is not kept here: it lives in the store's `cursors` alone, behind the events that it stands for. The
//! client only ever reads the seeds that a connection was started with.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use grammers_session::types::{DcOption, PeerId, PeerInfo, UpdateState, UpdatesState};
use grammers_session::{BoxFuture, Session, SessionData};
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::AccountId;
use switchyard_actors::ports::{Credentials, Proxy, StoreError};
use thiserror::Error;

use super::record;

/// Name under which the number of the account's data centre is kept.
pub(crate) const HOME_DC: &str = "home_dc";
/// Name under which the one address of an account is kept that was connected by an address of its own.
pub(crate) const OWN_ADDRESS: &str = "address";
/// Data centres that Telegram documents (core.telegram.org/api/datacenter).
pub(crate) const DATA_CENTRES: std::ops::RangeInclusive<i32> = 1..=5;

/// Why the session refuses something to the client.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    /// The server made the client exchange a new key although the account is signed in with another.
    #[error("the server no longer knows the account's authorisation key")]
    KeyChanged,
    /// The connection was lost; a new one is made only by connecting anew, after the account's lease was looked at.
    #[error("the connection was closed")]
    Closed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Default)]
struct Memory {
    home_dc: i32,
    options: BTreeMap<i32, DcOption>,
    peers: HashMap<PeerId, PeerInfo>,
    own: Option<PeerId>,
    seeds: UpdatesState,
    signed_in: bool,
    sealed: bool,
}

/// An account's session. One connection uses it, once.
pub(crate) struct StoredSession {
    account: AccountId,
    credentials: Arc<dyn Credentials>,
    address: Option<SocketAddr>,
    proxy: Option<Proxy>,
    memory: RwLock<Memory>,
}

impl StoredSession {
    /// Reads keys and peers of an account. With an address, every data centre is at that address, unless the account
    /// keeps one of its own.
    ///
    /// # Errors
    /// [`StoreError`]; records that cannot be read are [`StoreError::Corrupt`].
    pub(crate) async fn load(
        credentials: Arc<dyn Credentials>,
        account: AccountId,
        address: Option<SocketAddr>,
    ) -> Result<Self, StoreError> {
        let own = credentials.secret(account, OWN_ADDRESS).await?;
        let own =
            own.map(|own| own_address(&own).ok_or_else(|| corrupt(account, OWN_ADDRESS))).transpose()?;
        let address = own.or(address);
        let proxy = credentials.secret(account, Proxy::SECRET).await?;
        // A proxy that cannot be read is none to go past.
        let proxy = proxy
            .map(|kept| Proxy::decode(&kept).ok_or_else(|| corrupt(account, Proxy::SECRET)))
            .transpose()?;
        let defaults = SessionData::default();
        let mut memory = Memory { home_dc: defaults.home_dc, ..Memory::default() };
        if let Some(home) = credentials.secret(account, HOME_DC).await? {
            memory.home_dc = home_dc(&home).ok_or_else(|| corrupt(account, HOME_DC))?;
        }
        memory.options.extend(defaults.dc_options);
        for id in DATA_CENTRES {
            let name = secret_name(id);
            if let Some(record) = credentials.secret(account, &name).await? {
                let option = record::decode_dc(id, &record).ok_or_else(|| corrupt(account, &name))?;
                memory.options.insert(id, option);
            }
        }
        if let Some(address) = address {
            memory.options.values_mut().for_each(|option| set_address(option, address));
        }
        let home = memory.options.get(&memory.home_dc);
        memory.signed_in = home.is_some_and(|option| option.auth_key.is_some());
        for (dialog, stored) in credentials.peers(account).await? {
            let peer = record::decode_peer(dialog, &stored).ok_or_else(|| corrupt(account, "peers"))?;
            memory.remember(peer);
        }
        Ok(Self { account, credentials, address, proxy, memory: RwLock::new(memory) })
    }

    /// Whose session it is.
    pub(crate) const fn account(&self) -> AccountId {
        self.account
    }

    /// The proxy that everything of it goes through.
    pub(crate) const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Every peer that the account has met.
    pub(crate) fn peers(&self) -> Vec<PeerInfo> {
        self.read().peers.values().cloned().collect()
    }

    /// The key of the account's own data centre.
    pub(crate) fn home_key(&self) -> Option<[u8; 256]> {
        let memory = self.read();
        memory.options.get(&memory.home_dc)?.auth_key
    }

    /// Where the account's own data centre is.
    pub(crate) fn home_address(&self) -> Option<SocketAddr> {
        let memory = self.read();
        let option = memory.options.get(&memory.home_dc)?;
        Some(if self.uses_ipv6() { option.ipv6.into() } else { option.ipv4.into() })
    }

    /// Whether connections go to IPv6 addresses: the account's own data centre is known by no other.
    pub(crate) fn uses_ipv6(&self) -> bool {
        let memory = self.read();
        let home = memory.options.get(&memory.home_dc);
        home.is_some_and(|option| option.ipv4.ip().is_unspecified())
    }

    /// Keeps the key that the account is signed in with.
    ///
    /// # Errors
    /// [`StoreError`]; then the key must not be used.
    pub(crate) async fn set_home_key(&self, key: [u8; 256]) -> Result<(), StoreError> {
        let option = {
            let memory = self.read();
            memory.options.get(&memory.home_dc).cloned()
        };
        if let Some(option) = option {
            self.write_option(DcOption { auth_key: Some(key), ..option }).await?;
            self.write().signed_in = true;
        }
        Ok(())
    }

    /// Gives the key of the account's data centre up: the next connection gets another one.
    ///
    /// # Errors
    /// [`StoreError`]; the key stays.
    pub(crate) async fn forget_home_key(&self) -> Result<(), StoreError> {
        let option = {
            let memory = self.read();
            memory.options.get(&memory.home_dc).cloned()
        };
        let Some(option) = option else { return Ok(()) };
        let keyless = DcOption { auth_key: None, ..option };
        let record = record::encode_dc(&keyless);
        self.credentials.set_secret(self.account, &secret_name(keyless.id), record).await?;
        let mut memory = self.write();
        memory.options.insert(keyless.id, keyless);
        memory.signed_in = false;
        Ok(())
    }

    /// Makes another data centre the account's own.
    ///
    /// # Errors
    /// [`StoreError`]; it stays where it is.
    pub(crate) async fn move_home(&self, dc_id: i32) -> Result<(), StoreError> {
        if self.read().home_dc != dc_id {
            let value = SecretSlice::from(dc_id.to_string().into_bytes());
            self.credentials.set_secret(self.account, HOME_DC, value).await?;
            self.write().home_dc = dc_id;
        }
        Ok(())
    }

    /// From now on the client gets no further connection to the account's data centre: the next one is made by
    /// connecting anew, so that no two nodes ever use one key.
    pub(crate) fn seal(&self) {
        self.write().sealed = true;
    }

    /// What is known of a peer.
    pub(crate) fn known(&self, peer: PeerId) -> Option<PeerInfo> {
        self.read().peers.get(&peer).cloned()
    }

    /// Keeps peers, writing only what is new or changed, in one go.
    ///
    /// # Errors
    /// [`StoreError`]; memory keeps what it had.
    pub(crate) async fn remember(&self, peers: &[PeerInfo]) -> Result<(), StoreError> {
        let changed: Vec<PeerInfo> = {
            let memory = self.read();
            peers.iter().filter_map(|peer| memory.merged(peer)).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let rows = changed.iter().filter_map(|peer| {
            let dialog = peer.id().bot_api_dialog_id()?;
            Some((dialog, record::encode_peer(peer)))
        });
        let rows: Vec<_> = rows.collect();
        self.credentials.set_peers(self.account, &rows).await?;
        let mut memory = self.write();
        for peer in changed {
            memory.remember(peer);
        }
        Ok(())
    }

    async fn write_option(&self, option: DcOption) -> Result<(), StoreError> {
        if option.auth_key.is_some() {
            let record = record::encode_dc(&option);
            self.credentials.set_secret(self.account, &secret_name(option.id), record).await?;
        }
        self.write().options.insert(option.id, option);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// The peer with everything known of it, if that is more than before.
    fn merged(&self, peer: &PeerInfo) -> Option<PeerInfo> {
        let Some(known) = self.peers.get(&peer.id()) else { return Some(peer.clone()) };
        let mut merged = known.clone();
        merged.extend_info(peer);
        (merged != *known).then_some(merged)
    }

    fn remember(&mut self, peer: PeerInfo) {
        if matches!(peer, PeerInfo::User { is_self: Some(true), .. }) {
            self.own = Some(peer.id());
        }
        self.peers.insert(peer.id(), peer);
    }
}

impl Session for StoredSession {
    type Error = SessionError;

    fn home_dc_id(&self) -> Result<i32, SessionError> {
        Ok(self.read().home_dc)
    }

    fn set_home_dc_id(&self, dc_id: i32) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { Ok(self.move_home(dc_id).await?) })
    }

    fn dc_option(&self, dc_id: i32) -> Result<Option<DcOption>, SessionError> {
        let memory = self.read();
        if memory.sealed && dc_id == memory.home_dc {
            return Err(SessionError::Closed);
        }
        Ok(memory.options.get(&dc_id).cloned())
    }

    fn set_dc_option(&self, dc_option: &DcOption) -> BoxFuture<'_, Result<(), SessionError>> {
        let mut option = dc_option.clone();
        Box::pin(async move {
            if let Some(address) = self.address {
                set_address(&mut option, address);
            }
            let (known, home, signed_in) = {
                let memory = self.read();
                (memory.options.get(&option.id).cloned(), memory.home_dc, memory.signed_in)
            };
            let known_key = known.as_ref().and_then(|known| known.auth_key);
            let changes = option.auth_key.is_some() && known_key.is_some() && option.auth_key != known_key;
            if changes && signed_in && option.id == home {
                return Err(SessionError::KeyChanged);
            }
            option.auth_key = option.auth_key.or(known_key);
            if known.as_ref() != Some(&option) {
                self.write_option(option).await?;
            }
            Ok(())
        })
    }

    fn peer(&self, peer: PeerId) -> BoxFuture<'_, Result<Option<PeerInfo>, SessionError>> {
        Box::pin(async move {
            let memory = self.read();
            let id = if peer == PeerId::self_user() { memory.own } else { Some(peer) };
            Ok(id.and_then(|id| memory.peers.get(&id).cloned()))
        })
    }

    fn cache_peer(&self, peer: PeerInfo) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { Ok(self.remember(std::slice::from_ref(&peer)).await?) })
    }

    fn cache_peers(&self, peers: Vec<PeerInfo>) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move { Ok(self.remember(&peers).await?) })
    }

    fn updates_state(&self) -> BoxFuture<'_, Result<UpdatesState, SessionError>> {
        Box::pin(async move { Ok(self.read().seeds.clone()) })
    }

    fn set_update_state(&self, update: UpdateState) -> BoxFuture<'_, Result<(), SessionError>> {
        Box::pin(async move {
            if let UpdateState::All(seeds) = update {
                self.write().seeds = seeds;
            }
            Ok(())
        })
    }
}

/// Name under which address and key of a data centre are kept.
pub(crate) fn secret_name(dc_id: i32) -> String {
    format!("dc.{dc_id}")
}

fn home_dc(secret: &SecretSlice<u8>) -> Option<i32> {
    std::str::from_utf8(secret.expose_secret()).ok()?.parse().ok()
}

fn own_address(secret: &SecretSlice<u8>) -> Option<SocketAddr> {
    std::str::from_utf8(secret.expose_secret()).ok()?.parse().ok()
}

fn corrupt(account: AccountId, what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} of account {account}"))
}

fn set_address(option: &mut DcOption, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            option.ipv4 = v4;
            option.ipv6 = SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0);
        }
        SocketAddr::V6(v6) => {
            option.ipv4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, v6.port());
            option.ipv6 = v6;
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
