//! A store on either database, with a clock to be set; and the macro that runs a test on both.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use secrecy::{ExposeSecret, SecretString};
use switchyard::crypto::{Keyring, SystemRng, Vault};
use switchyard::store::{Store, StoreConfig, StoreParts, StoreTarget};
use switchyard_actors::model::{AccountId, Fence, IdSource, NodeId};
use switchyard_actors::ports::Lease;
use tempfile::TempDir;
use uuid::Uuid;

use super::clock::ManualClock;
use super::postgres;

/// Runs each test body on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[doc = $doc:literal])* async fn $name:ident($fixture:ident) $body:block)+) => {$(
        $(#[doc = $doc])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "not every body needs every import")]
            #[allow(unused_imports, reason = "not every body needs every import")]
            use super::*;

            async fn body($fixture: crate::harness::store::Fixture) $body

            #[tokio::test]
            async fn sqlite() {
                body(crate::harness::store::Fixture::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(fixture) = crate::harness::store::Fixture::postgres().await {
                    body(fixture).await;
                }
            }
        }
    )+};
}

/// How long a test's node lease lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

/// A migrated store, the node that works in it, and what is needed to open it again.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: StoreConfig,
    pub(crate) ids: IdSource,
    pub(crate) key: String,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::new(String::new()).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::new(postgres::database().await?).await)
    }

    async fn new(url: String) -> Self {
        switchyard::crypto::install_ring_provider();
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            url: SecretString::from(url),
            read_connections: 2,
            postgres_connections: 6,
            ..StoreConfig::new(folder.path())
        };
        let clock = Arc::new(ManualClock::new());
        let ids = IdSource::new(clock.clone(), Arc::new(SystemRng));
        let key = "hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=".to_owned();
        let node = NodeId::from_uuid(Uuid::from_u128(1));
        let store = Store::open(config.clone(), parts(&key, &clock, &ids, node)).await.unwrap();
        store.migrate().await.unwrap();
        store.renew(LEASE).await.unwrap();
        Self { store, clock, config, ids, key, folder }
    }

    /// The same database, opened once more by a node with this number (the first one's is 1).
    pub(crate) async fn open_as(&self, node: u128) -> Store {
        self.open_with(node, &self.key).await
    }

    /// As [`Self::open_as`], with other master keys.
    pub(crate) async fn open_with(&self, node: u128, key: &str) -> Store {
        let node = NodeId::from_uuid(Uuid::from_u128(node));
        let parts = parts(key, &self.clock, &self.ids, node);
        Store::open(self.config.clone(), parts).await.unwrap()
    }

    /// As [`Self::open_with`], by a node that keeps no data key in memory.
    pub(crate) async fn open_asking(&self, node: u128, key: &str) -> Store {
        let mut parts = parts(key, &self.clock, &self.ids, NodeId::from_uuid(Uuid::from_u128(node)));
        let vault = Vault::new(Keyring::parse(key, "a test").unwrap(), 100);
        parts.vault = Arc::new(vault.with_data_key_ttl(Duration::ZERO));
        Store::open(self.config.clone(), parts).await.unwrap()
    }

    /// So many users with a data key each, written at once.
    pub(crate) async fn users(&self, many: u128) {
        let raw = self.raw().await;
        super::many::users(&raw, &self.key, many).await;
        raw.close().await.unwrap();
    }

    /// The same database with other settings, for the same node.
    pub(crate) async fn open_config(&self, config: StoreConfig) -> Store {
        let node = NodeId::from_uuid(Uuid::from_u128(1));
        Store::open(config, parts(&self.key, &self.clock, &self.ids, node)).await.unwrap()
    }

    /// The same database without the store's rules, for what a test must break or look up.
    pub(crate) async fn raw(&self) -> sea_orm::DatabaseConnection {
        let url = match self.config.target().unwrap() {
            StoreTarget::Sqlite(file) => format!("sqlite://{}", file.display()),
            StoreTarget::Postgres => self.config.url.expose_secret().to_owned(),
        };
        sea_orm::Database::connect(url).await.unwrap()
    }

    /// Runs a statement on [`Self::raw`].
    pub(crate) async fn execute(&self, sql: &str) {
        let raw = self.raw().await;
        raw.execute_unprepared(sql).await.unwrap();
        raw.close().await.unwrap();
    }

    /// The first column of a query on [`Self::raw`], whole numbers of 64 bits.
    pub(crate) async fn numbers(&self, sql: &str) -> Vec<i64> {
        let raw = self.raw().await;
        let query = Statement::from_string(raw.get_database_backend(), sql);
        let rows = raw.query_all_raw(query).await.unwrap();
        raw.close().await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// A fence of the store's own node.
    pub(crate) async fn assign(&self, account: AccountId) -> Fence {
        self.store.assign(account).await.unwrap()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }
}

fn parts(key: &str, clock: &Arc<ManualClock>, ids: &IdSource, node: NodeId) -> StoreParts {
    let vault = Arc::new(Vault::new(Keyring::parse(key, "a test").unwrap(), 100));
    StoreParts { vault, clock: clock.clone(), ids: ids.clone(), node }
}
