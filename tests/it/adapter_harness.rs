//! What the tests of the adapters share: a sandbox, a vault in memory, and a reader that stands for intake.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretSlice};
use switchyard::clock::SystemClock;
use switchyard::config::{Config, DiscordConfig, Sources, TelegramConfig};
use switchyard::crypto::install_ring_provider;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, AccountState, Cursor, CursorKey, CursorValue, Epoch, Fence, NodeId,
    Place, SourceEvent, UserId,
};
use switchyard_actors::ports::{
    Clock, ConnectRequest, Connection, ConnectionError, Credentials, EventSource, IntakeUnit, StoreError,
};
use switchyard_sandbox::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use switchyard_sandbox::messages::NewMessage;
use switchyard_sandbox::{Sandbox, SandboxConfig};
use uuid::Uuid;

/// No condition of these tests takes longer unless something is broken.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for a condition under the one deadline.
pub(crate) async fn within<T>(condition: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, condition).await.unwrap_or_else(|_| panic!("nothing within {DEADLINE:?}"))
}

/// A sandbox that runs, after the process's TLS provider is set.
pub(crate) async fn sandbox(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    install_ring_provider();
    let mut config = SandboxConfig::default();
    change(&mut config);
    Sandbox::start(config).await.unwrap()
}

/// Lets the next calls go wrong.
pub(crate) fn fault(sandbox: &Sandbox, target: FaultTarget, kind: FaultKind, count: u64, wait: Duration) {
    sandbox.shared().faults.add(FaultSpec { target, kind, span: FaultSpan::Count(count), wait });
}

/// A plain message that a person writes.
pub(crate) fn says(text: &str) -> NewMessage {
    NewMessage { from: None, text: text.to_owned(), entities: Vec::new(), reply_to: None }
}

/// The section `telegram` as it is compiled in, pointed at a server, with times for tests.
pub(crate) fn telegram_config(sandbox: &Sandbox) -> TelegramConfig {
    let mut config = Config::load(&Sources::default()).unwrap().telegram;
    config.address = Some(sandbox.telegram_address());
    config.api_id = sandbox.seed().telegram.api_id;
    config.history_interval = Duration::from_millis(1);
    config.cursor_interval = Duration::from_millis(1);
    config
}

/// The section `discord` as it is compiled in, pointed at a server, with times for tests.
pub(crate) fn discord_config(base: &str) -> DiscordConfig {
    let mut config = Config::load(&Sources::default()).unwrap().discord;
    config.api_base = base.to_owned();
    config.identify_gap = Duration::from_millis(1);
    config
}

/// An account of the sandbox as the store would have it.
pub(crate) fn account(id: Uuid, kind: AccountKind, platform_id: i64) -> Account {
    Account {
        id: AccountId::from_uuid(id),
        user: UserId::from_uuid(Uuid::from_u128(1)),
        kind,
        platform_id,
        name: "test".to_owned(),
        profile: "sandbox".to_owned(),
        state: AccountState::Active,
    }
}

/// A wish to connect.
pub(crate) fn request(account: &Account, sources: &[Place], cursors: Vec<Cursor>) -> ConnectRequest {
    let fence =
        Fence { account: account.id, node: NodeId::from_uuid(Uuid::from_u128(2)), epoch: Epoch::new(1) };
    let targets = Vec::new();
    ConnectRequest { account: account.clone(), fence, sources: sources.to_vec(), targets, cursors }
}

/// Credentials in memory.
#[derive(Default)]
pub(crate) struct MemoryCredentials {
    secrets: Mutex<HashMap<(AccountId, String), Vec<u8>>>,
    peers: Mutex<HashMap<AccountId, BTreeMap<i64, Vec<u8>>>>,
    writes: AtomicUsize,
}

impl MemoryCredentials {
    /// How often anything was written.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Loses a secret.
    pub(crate) fn forget_secret(&self, account: AccountId, name: &str) {
        self.secrets.lock().unwrap().remove(&(account, name.to_owned()));
    }

    /// Makes the access hash of a peer one that does not hold: its last byte is another.
    pub(crate) fn spoil_peer(&self, account: AccountId, dialog: i64) {
        let mut peers = self.peers.lock().unwrap();
        let record = peers.get_mut(&account).unwrap().get_mut(&dialog).unwrap();
        *record.last_mut().unwrap() ^= 1;
    }

    /// Dialog ids of the peers kept for an account.
    pub(crate) fn kept_peers(&self, account: AccountId) -> Vec<i64> {
        let peers = self.peers.lock().unwrap();
        peers.get(&account).map(|peers| peers.keys().copied().collect()).unwrap_or_default()
    }
}

#[async_trait]
impl Credentials for MemoryCredentials {
    async fn secret(&self, account: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        let secrets = self.secrets.lock().unwrap();
        Ok(secrets.get(&(account, name.to_owned())).cloned().map(SecretSlice::from))
    }

    async fn set_secret(
        &self,
        account: AccountId,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let value = value.expose_secret().to_vec();
        self.secrets.lock().unwrap().insert((account, name.to_owned()), value);
        Ok(())
    }

    async fn peers(&self, account: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        let peers = self.peers.lock().unwrap();
        let known = peers.get(&account).into_iter().flatten();
        Ok(known.map(|(id, record)| (*id, SecretSlice::from(record.clone()))).collect())
    }

    async fn set_peers(
        &self,
        account: AccountId,
        peers: &[(i64, SecretSlice<u8>)],
    ) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut all = self.peers.lock().unwrap();
        let known = all.entry(account).or_default();
        known.extend(peers.iter().map(|(id, record)| (*id, record.expose_secret().to_vec())));
        Ok(())
    }
}

/// A clock that a test sets off from the real one.
#[derive(Default)]
pub(crate) struct ShiftedClock(Mutex<chrono::TimeDelta>);

impl ShiftedClock {
    /// Moves the clock on.
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += chrono::TimeDelta::from_std(by).unwrap();
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        SystemClock.now() + *self.0.lock().unwrap()
    }
}

/// Stands for intake: takes units one after the other and keeps their cursors.
pub(crate) struct Reader {
    source: Box<dyn EventSource>,
    /// Where the streams stand after the last unit.
    pub(crate) cursors: BTreeMap<CursorKey, CursorValue>,
}

impl Reader {
    /// Takes over the source of a connection.
    pub(crate) fn new(connection: Connection, cursors: &[Cursor]) -> Self {
        let source = connection.source.unwrap();
        Self { source, cursors: cursors.iter().map(|cursor| (cursor.key, cursor.value)).collect() }
    }

    /// The next unit, recorded. One without anything in it only tells that what was missed is read.
    pub(crate) async fn unit(&mut self) -> Result<IntakeUnit, ConnectionError> {
        loop {
            let unit = within(self.source.next()).await?;
            self.cursors.extend(unit.cursors.iter().map(|cursor| (cursor.key, cursor.value)));
            if !unit.events.is_empty() || !unit.cursors.is_empty() {
                return Ok(unit);
            }
            assert!(!self.source.catching_up(), "nothing was read, and more is said to follow");
        }
    }

    /// Units until so many events came.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<SourceEvent> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.unit().await.unwrap().events);
        }
        events
    }

    /// The texts of the next so many new messages.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        self.events(count).await.iter().map(text).collect()
    }

    /// What the source cannot read just now.
    pub(crate) fn troubles(&self) -> Vec<(Place, String)> {
        self.source.troubles()
    }

    /// How the connection ends.
    pub(crate) async fn end(&mut self) -> ConnectionError {
        loop {
            if let Err(error) = self.unit().await {
                return error;
            }
        }
    }

    /// The cursors as a store would hand them out.
    pub(crate) fn stored(&self) -> Vec<Cursor> {
        self.cursors.iter().map(|(key, value)| Cursor { key: *key, value: *value }).collect()
    }
}

/// The text of a new message.
pub(crate) fn text(event: &SourceEvent) -> String {
    match event {
        SourceEvent::New(message) => message.text.text().to_owned(),
        other => panic!("not a new message: {other:?}"),
    }
}
