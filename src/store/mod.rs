//! The store: SQLite or PostgreSQL behind the domain's ports. One repository file per aggregate.
//!
//! Rules of the room: every write is one transaction; times are Unix milliseconds of the injected clock; whatever a
//! platform said or a user wrote is sealed under the user's data key before it comes near a statement.

mod account_settings;
mod accounts;
mod admin_networks;
mod admin_sessions;
mod admins;
mod announcements;
mod audience;
mod audit;
mod bot_chats;
mod claims;
mod config;
mod credentials;
mod data_dir;
mod delivery_lists;
mod domain_events;
mod entity;
mod error;
mod fence;
mod group_commit;
mod idempotency;
pub mod identity;
mod inspect;
mod intake;
mod jobs;
mod key_rotations;
mod lease;
mod ledger;
mod master_keys;
mod message_map;
mod meta;
mod new_data_keys;
mod notice_box;
mod notice_claims;
mod notices;
mod outbox;
mod pair_changes;
mod pair_records;
mod pairs;
mod pools;
mod provider_secrets;
mod queues;
mod rates;
mod reseal;
mod rewrap;
mod rows;
mod sealed_columns;
mod sealing;
mod source_log;
mod standings;
mod system_seal;
mod throttles;
mod usage;
mod user_activity;
mod user_lists;
mod users;
mod work_jobs;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use switchyard_actors::model::{IdSource, NodeId};
use switchyard_actors::ports::{Clock, StoreError};
use switchyard_migrations::{Migrator, MigratorTrait};
use tokio::time::timeout;

use crate::crypto::Vault;

pub use account_settings::{AccountSettings, SettingsChange};
pub use accounts::{Admitted, Connected};
pub use admin_networks::{AdminNetworks, StoredNetwork};
pub use admin_sessions::{NewAdminSession, Refreshed};
pub use admins::{AdminChange, AdminRow, NewAdmin};
pub use announcements::{
    Announcement, AnnouncementKind, AnnouncementState, Audience, NewAnnouncement, Progress, escape_html,
};
pub use audience::OfferedPlans;
pub use audit::{AuditActor, AuditFilter, AuditPhase, AuditRecord, AuditRow};
pub use bot_chats::{BotActed, BotAction, LinkedChat, NotificationSettings, Reply};
pub use config::{SQLITE_FILE, StoreConfig, StoreTarget};
pub use data_dir::{DataDir, LOCK_FILE, LockError};
pub use delivery_lists::{LedgerCursor, LedgerEntry, LedgerFilter, Replayed};
pub use domain_events::{EventBounds, EventQuery};
pub use error::OpenError;
pub use group_commit::GroupStats;
pub use idempotency::{Attempt, KeyBounds, KeyState, KeyedOrder};
pub use inspect::{Inspection, KeyCheck};
pub use key_rotations::{KeyRotation, RotationKind, RotationPace, RotationPhase, RotationRefused};
pub use lease::TELEGRAM_TAKEOVER;
pub use master_keys::{MasterKeyError, MasterKeyState, MasterKeyView};
pub use message_map::MessageOrigin;
pub use meta::{OwnerError, StoreOwner};
pub use pair_changes::Added;
pub use pair_records::{ChangedPair, PairChange, PairRecord};
pub use provider_secrets::{ProviderSecret, ProviderSecretView};
pub use rates::{ApiLimit, Asked, RateLimits, RateLimitsConfig, Standing, Taken};
pub use rewrap::Stepped;
pub use standings::{Suspension, UserPlan};
pub use user_lists::{ListedUser, UserListFilter, UserSearch};

pub use queues::{LedgerDepth, QueueDepth};
pub use work_jobs::{JobProgress, JobState, WorkJob};

pub use notice_claims::AnnouncingRules;

use group_commit::GroupCommit;
use writer::{Writer, too_long};

/// What a store needs from outside.
#[derive(Clone)]
pub struct StoreParts {
    /// Seals and opens what is secret.
    pub vault: Arc<Vault>,
    /// The system's one clock.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: IdSource,
    /// This daemon's node, from its [`DataDir`].
    pub node: NodeId,
}

/// An open store. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    readers: DatabaseConnection,
    writer: Writer,
    parts: StoreParts,
    target: StoreTarget,
    intake_chunk: usize,
    announcing: Arc<AnnouncingRules>,
    /// PostgreSQL: how long a read may take in all.
    read_limit: Option<Duration>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("target", &self.target)
            .field("node", &self.parts.node)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database; SQLite's file is made when it is not there. The schema is left as it is: see
    /// [`Self::pending_migrations`] and [`Self::migrate`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: StoreConfig, parts: StoreParts) -> Result<Self, OpenError> {
        let target = config.target()?;
        let place = target.to_string();
        let failed = |failure: DbErr| error::opening(&failure, &place);
        let intake_chunk = config.intake_chunk.max(1);
        let (readers, writer, read_limit) = match &target {
            StoreTarget::Sqlite(file) => {
                let connection = pools::sqlite_writer(&config, file).await.map_err(failed)?;
                let readers = pools::sqlite_readers(&config, file).await.map_err(failed)?;
                let (waiting, group) = (config.write_queue, config.write_batch);
                let file = file.clone();
                let reconnect: group_commit::Reconnect = Box::new(move || {
                    let (config, file) = (config.clone(), file.clone());
                    Box::pin(async move { pools::sqlite_writer(&config, &file).await })
                });
                let group = GroupCommit::start(connection, reconnect, waiting, group);
                (readers, Writer::Grouped(Arc::new(group)), None)
            }
            StoreTarget::Postgres => {
                let pool = pools::postgres(&config).await.map_err(failed)?;
                let limit = config.statement_timeout;
                (pool.clone(), Writer::Direct { pool, limit }, Some(limit))
            }
        };
        let announcing = Arc::default();
        Ok(Self { readers, writer, parts, target, intake_chunk, announcing, read_limit })
    }

    /// Whether other nodes may work with the same database.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.target, StoreTarget::Postgres)
    }

    /// Names of the schema changes that the store still lacks, in order. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError::NewerSchema`] when it holds changes that this version does not know.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, OpenError> {
        let pending = Migrator::get_pending_migrations_read_only(&self.readers);
        let pending = pending.await.map_err(|failure| self.schema_error(&failure))?;
        Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
    }

    /// Applies the pending schema changes, all or none. Several nodes may try at once: one does it, the others wait.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn migrate(&self) -> Result<(), OpenError> {
        if self.pending_migrations().await?.is_empty() {
            return Ok(());
        }
        let place = self.target.to_string();
        let apply = self.writer.run_unbounded(|transaction| {
            Box::pin(async move {
                if transaction.get_database_backend() == DbBackend::Postgres {
                    // Held until the commit; the number only has to be ours ("swyard" in ASCII).
                    let lock =
                        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(126918165426788)";
                    transaction
                        .execute_unprepared(lock)
                        .await
                        .map_err(|failure| error::run_time(&failure))?;
                }
                Migrator::up(transaction, None).await.map_err(|failure| error::run_time(&failure))
            })
        });
        apply.await.map_err(|failure| error::opening_from_store(failure, &place))
    }

    /// The same store, whose announcements keep to these rules.
    #[must_use]
    pub fn announcing(mut self, rules: AnnouncingRules) -> Self {
        self.announcing = Arc::new(rules);
        self
    }

    /// A round trip to the database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(self.readers.ping()).await
    }

    /// How many write operations shared how many transactions; `None` on PostgreSQL, which groups commits itself.
    #[must_use]
    pub fn group_stats(&self) -> Option<GroupStats> {
        self.writer.stats()
    }

    /// Ends the store: what was accepted is written, then the connections close. Later calls fail as unavailable.
    pub async fn shut_down(&self) {
        self.writer.close().await;
        if let Err(error) = self.readers.close_by_ref().await {
            tracing::warn!(%error, "database connections were not closed cleanly");
        }
    }

    /// What time it is for the store, Unix milliseconds.
    #[must_use]
    pub fn current_time(&self) -> i64 {
        self.now()
    }

    /// Now, Unix milliseconds.
    fn now(&self) -> i64 {
        self.parts.clock.now().timestamp_millis()
    }

    /// Runs a query, in bounded time, and tells its failure in the store's terms.
    async fn read<T>(&self, query: impl Future<Output = Result<T, DbErr>> + Send) -> Result<T, StoreError> {
        let answer = match self.read_limit {
            Some(limit) => timeout(limit, query).await.map_err(|_| too_long(limit))?,
            None => query.await,
        };
        answer.map_err(|failure| error::run_time(&failure))
    }

    fn schema_error(&self, failure: &DbErr) -> OpenError {
        match failure {
            // The migrator's only text of its own: "Migration file of version '…' is missing, …has been applied".
            DbErr::Custom(text) => OpenError::NewerSchema(text.clone()),
            other => error::opening(other, &self.target.to_string()),
        }
    }
}

/// Unix milliseconds as a time; times that no calendar knows become the epoch.
fn time_of(millis: i64) -> chrono::DateTime<Utc> {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default()
}
