//! Opening: one daemon per data folder, and a typed answer to everything that can be wrong at start.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{Connection, Executor, SqliteConnection};
use secrecy::SecretString;
use switchyard::crypto::{Keyring, SystemRng, Vault};
use switchyard::store::{
    DataDir, LockError, OpenError, OwnerError, Store, StoreConfig, StoreOwner, StoreParts,
};
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState, IdSource, NodeId};
use switchyard_actors::ports::{Directory, Jobs, Notice, StoreError};
use uuid::Uuid;

use crate::harness::clock::ManualClock;
use crate::harness::postgres;
use crate::harness::values::{account, pair, people};

fn parts() -> StoreParts {
    let clock = Arc::new(ManualClock::new());
    let keyring = Keyring::parse("hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=", "a test").unwrap();
    StoreParts {
        vault: Arc::new(Vault::new(keyring, 10)),
        ids: ids(&clock),
        clock,
        node: NodeId::from_uuid(Uuid::from_u128(1)),
    }
}

fn ids(clock: &Arc<ManualClock>) -> IdSource {
    IdSource::new(clock.clone(), Arc::new(SystemRng))
}

async fn open(folder: &Path, url: &str) -> Result<Store, OpenError> {
    let config = StoreConfig {
        url: SecretString::from(url),
        busy_timeout: Duration::from_millis(50),
        acquire_timeout: Duration::from_secs(5),
        ..StoreConfig::new(folder)
    };
    Store::open(config, parts()).await
}

#[test]
fn a_data_folder_belongs_to_one_daemon_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ids) = (folder.path().join("data"), ids(&Arc::new(ManualClock::new())));
    let first = DataDir::lock(&path, &ids).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let second = DataDir::lock(&path, &ids).unwrap_err();
    assert!(matches!(&second, LockError::Held { pid: Some(pid), .. } if *pid == std::process::id()));
    let said = second.to_string();
    assert!(
        said.contains(&path.display().to_string()) && said.contains(&std::process::id().to_string()),
        "{said}"
    );
    let node = first.node();
    drop(first);
    assert_eq!(DataDir::lock(&path, &ids).unwrap().node(), node, "the node survives restarts");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = DataDir::lock(&file.join("data"), &ids(&Arc::new(ManualClock::new()))).unwrap_err();
    assert!(matches!(refused, LockError::Io { .. }), "{refused}");
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_told_as_locked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchyard.sqlite");
    open(folder.path(), "").await.unwrap().shut_down().await;
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let refused = open(folder.path(), "").await.unwrap_err();
    assert_eq!(refused, OpenError::Locked(file.display().to_string()));
    other.execute("ROLLBACK").await.unwrap();
    open(folder.path(), "").await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("switchyard.sqlite"), "not a database, but long enough to be looked at")
        .unwrap();
    let refused = open(folder.path(), "").await.unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt(_)), "{refused}");
}

#[tokio::test]
async fn wrong_addresses_are_told_as_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let refused = open(folder.path(), "mysql://localhost/x").await.unwrap_err();
    assert!(matches!(refused, OpenError::Config(_)), "{refused}");
    let nowhere = open(folder.path(), "sqlite:/nowhere/at/all.sqlite").await.unwrap_err();
    assert!(matches!(nowhere, OpenError::Access { .. }), "{nowhere}");
    let deaf = format!("postgres://u:hunter2@localhost/x?host={}", folder.path().display());
    let unreachable = open(folder.path(), &deaf).await.unwrap_err();
    assert!(matches!(unreachable, OpenError::Unreachable(_)), "{unreachable}");
    assert!(!unreachable.to_string().contains("hunter2"));
    let Some(url) = postgres::database().await else { return };
    let absent = open(folder.path(), &url.replacen("/t", "/absent", 1)).await.unwrap_err();
    assert!(matches!(absent, OpenError::Config(_)), "{absent}");
}

on_both_databases! {
    async fn schema_changes_are_applied_once_and_a_newer_schema_is_refused(world) {
        assert_eq!(world.store.pending_migrations().await, Ok(vec![]));
        world.store.migrate().await.unwrap();
        world.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2999_far_ahead', 0)").await;
        let refused = world.store.migrate().await.unwrap_err();
        assert!(matches!(&refused, OpenError::NewerSchema(said) if said.contains("m2999_far_ahead")), "{refused}");
    }

    async fn a_store_is_the_sandboxes_or_real(world) {
        world.store.claim_owner(StoreOwner::Sandbox).await.unwrap();
        world.store.claim_owner(StoreOwner::Sandbox).await.unwrap();
        let refused = world.store.claim_owner(StoreOwner::Real).await;
        let other = OwnerError::Other { found: StoreOwner::Sandbox, wanted: StoreOwner::Real };
        assert_eq!(refused, Err(other));
    }

    async fn a_store_with_users_and_no_owner_counts_as_real(world) {
        assert!(world.store.is_empty().await.unwrap());
        people(&world.store, 1).await;
        assert!(!world.store.is_empty().await.unwrap());
        assert!(world.store.claim_owner(StoreOwner::Sandbox).await.is_err());
        world.store.claim_owner(StoreOwner::Real).await.unwrap();
    }

    async fn seeding_twice_changes_nothing_and_a_platform_account_is_connected_once(world) {
        let people = people(&world.store, 1).await;
        let made = pair(&world.store, people, 1, 100, 900).await;
        crate::harness::values::people(&world.store, 1).await;
        pair(&world.store, people, 1, 555, 666).await;
        assert_eq!(world.store.pairs().await.unwrap(), [made]);
        assert_eq!(world.store.accounts().await.unwrap().len(), 2);
        let id = AccountId::from_uuid(Uuid::from_u128(77));
        let reader = world.store.account(people.reader).await.unwrap();
        let twice = world.store.create_account(&Account { id, ..reader }).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
        world.store.create_account(&account(id, people.user, AccountKind::DiscordWebhook)).await.unwrap();
    }

    async fn an_accounts_state_is_kept(world) {
        let people = people(&world.store, 1).await;
        world.store.set_account_state(people.reader, AccountState::NeedsLogin).await.unwrap();
        assert_eq!(world.store.account(people.reader).await.unwrap().state, AccountState::NeedsLogin);
        assert_eq!(world.store.account(people.writer).await.unwrap().state, AccountState::Active);
        let nobody = world.store.set_account_state(AccountId::from_uuid(Uuid::from_u128(404)), AccountState::Active);
        assert!(matches!(nobody.await, Err(StoreError::NotFound(_))));
    }

    async fn jobs_and_alerts_are_kept(world) {
        use switchyard_actors::model::{Alert, AlertId, AlertSeverity};
        use switchyard_actors::ports::Clock;
        assert_eq!(world.store.last_run("purge").await, Ok(None));
        let at = world.clock.now();
        world.store.ran("purge", at).await.unwrap();
        world.store.ran("purge", at + Duration::from_secs(60)).await.unwrap();
        assert_eq!(world.store.last_run("purge").await, Ok(Some(at + Duration::from_secs(60))));
        let alert = Alert {
            id: AlertId::from_uuid(Uuid::from_u128(1)),
            at,
            severity: AlertSeverity::Critical,
            kind: "actor.parked".to_owned(),
            subject: "pairs/1".to_owned(),
            user: None,
            text: "the pair failed too often".to_owned(),
        };
        world.store.raise(&alert).await.unwrap();
        world.store.raise(&alert).await.unwrap();
        assert_eq!(world.numbers("SELECT at FROM alerts WHERE severity = 'critical'").await, [at.timestamp_millis()]);
        // The alert, and what streams were told of it.
        assert_eq!(world.store.purge(at + Duration::from_secs(1), 10).await, Ok(2));
    }

    async fn what_a_throttle_remembers_is_kept_per_account(world) {
        use switchyard_actors::ports::ThrottleMemory;
        let people = people(&world.store, 1).await;
        assert_eq!(world.store.throttle_state(&people.writer.to_string()).await, Ok(None));
        let (identity, old) = (people.writer.to_string(), world.assign(people.writer).await);
        let fence = world.assign(people.writer).await;
        for state in ["one", "two"] {
            world.store.set_throttle_state(&identity, Some(fence), state).await.unwrap();
        }
        let refused = world.store.set_throttle_state(&identity, Some(old), "of the owner before").await;
        assert_eq!(refused, Err(StoreError::Fenced(old)));
        world.store.set_throttle_state("egress/direct", None, "nobody's account").await.unwrap();
        assert_eq!(world.store.throttle_state("egress/direct").await, Ok(Some("nobody's account".to_owned())));
        assert_eq!(world.store.throttle_state(&people.writer.to_string()).await, Ok(Some("two".to_owned())));
        assert_eq!(world.store.throttle_state(&people.reader.to_string()).await, Ok(None));
    }

    async fn a_closed_store_says_so(world) {
        let people = people(&world.store, 1).await;
        world.store.ping().await.unwrap();
        world.store.shut_down().await;
        let read = world.store.account(people.reader).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        let written = world.store.set_account_state(people.reader, AccountState::Active).await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    }
}

#[tokio::test]
async fn nodes_that_start_together_apply_the_schema_once() {
    let Some(url) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path(), &url).await.unwrap(), open(folder.path(), &url).await.unwrap());
    assert!(!one.pending_migrations().await.unwrap().is_empty());
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first.unwrap();
    second.unwrap();
    assert_eq!(two.pending_migrations().await, Ok(vec![]));
}
