//! Secrets at rest: nothing in plain text, nothing moved or changed unnoticed, older master keys still open.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;

use base64::Engine;
use secrecy::{ExposeSecret, SecretSlice};
use switchyard::store::Store;
use switchyard_actors::model::{AccountId, RouteVerdict};
use switchyard_actors::ports::{Credentials, Intake, IntakeUnit, Outbox, Routes, StoreError, TryResult};

use crate::harness::store::Fixture;
use crate::harness::values::{deliver, message, message_id, pair, people};

const PLANTED: &str = "planted-7f3a-secret-9c1e-words";

fn secret(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}

async fn read(store: &Store, account: AccountId, name: &str) -> Result<Option<String>, StoreError> {
    let found = store.secret(account, name).await?;
    Ok(found.map(|value| String::from_utf8(value.expose_secret().to_vec()).unwrap()))
}

/// The planted text in the forms in which it could lie in a file.
fn forms() -> Vec<Vec<u8>> {
    let utf16 = |bytes: fn(u16) -> [u8; 2]| PLANTED.encode_utf16().flat_map(bytes).collect();
    vec![
        PLANTED.as_bytes().to_vec(),
        hex::encode(PLANTED).into_bytes(),
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(PLANTED).into_bytes(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
    ]
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Sends the planted text through every column that could hold it.
async fn plant(world: &Fixture) {
    let people = people(&world.store, 1).await;
    let pair = pair(&world.store, people, 1, 100, 900).await;
    world.store.set_secret(people.reader, "auth_key", secret(PLANTED)).await.unwrap();
    world.store.set_peers(people.reader, &[(5, secret(PLANTED))]).await.unwrap();
    let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
    let events = (1..=3).map(|id| message(100, id, PLANTED)).collect();
    world.store.record(source, &IntakeUnit { events, cursors: vec![] }).await.unwrap();
    let routes = world.store.claim(pair.id, 2).await.unwrap();
    let verdicts: Vec<(_, RouteVerdict)> =
        routes.iter().map(|route| (route.id, deliver(&[PLANTED]))).collect();
    world.store.close(target, pair.id, &verdicts).await.unwrap();
    let sent = world.store.lane(people.writer, pair.id, None, 1).await.unwrap().remove(0);
    world.store.begin(target, sent.id, 0).await.unwrap();
    let result = TryResult::Sent { part: 0, message: Some(message_id(1)) };
    world.store.finish(target, sent.id, &result).await.unwrap();
}

on_both_databases! {
    async fn credentials_come_back_and_are_replaced(world) {
        let people = people(&world.store, 1).await;
        assert_eq!(read(&world.store, people.reader, "token").await, Ok(None));
        for value in ["one", "two"] {
            world.store.set_secret(people.reader, "token", secret(value)).await.unwrap();
            assert_eq!(read(&world.store, people.reader, "token").await, Ok(Some(value.to_owned())));
        }
        assert_eq!(read(&world.store, people.writer, "token").await, Ok(None));
        let some: Vec<_> = (1..=1500).map(|id| (id, secret(&format!("hash {id}")))).collect();
        world.store.set_peers(people.reader, &some).await.unwrap();
        world.store.set_peers(people.reader, &[(7, secret("old")), (7, secret("new"))]).await.unwrap();
        let mut found = world.store.peers(people.reader).await.unwrap();
        found.sort_by_key(|(id, _)| *id);
        assert_eq!(found.len(), 1500);
        let text = |at: usize| found.get(at).map(|(id, record)| (*id, record.expose_secret().to_vec()));
        assert_eq!(text(6), Some((7, b"new".to_vec())));
        assert_eq!(text(1499), Some((1500, b"hash 1500".to_vec())));
        assert_eq!(world.store.peers(people.writer).await.unwrap().len(), 0);
    }

    async fn a_secret_that_was_moved_or_changed_is_refused(world) {
        let people = people(&world.store, 1).await;
        world.store.set_secret(people.reader, "token", secret("a")).await.unwrap();
        world.store.set_secret(people.reader, "other", secret("b")).await.unwrap();
        world
            .execute(
                "UPDATE account_secrets SET value = (SELECT value FROM account_secrets WHERE name = 'other') \
                 WHERE name = 'token'",
            )
            .await;
        let moved = read(&world.store, people.reader, "token").await;
        assert!(matches!(moved, Err(StoreError::Corrupt(_))), "{moved:?}");
        assert_eq!(read(&world.store, people.reader, "other").await, Ok(Some("b".to_owned())));
    }

    async fn an_older_master_key_opens_and_a_missing_one_is_named(world) {
        let people = people(&world.store, 1).await;
        world.store.set_secret(people.reader, "token", secret("a")).await.unwrap();
        let new = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let both = world.open_with(1, &format!("{new}\n{}", world.key)).await;
        assert_eq!(read(&both, people.reader, "token").await, Ok(Some("a".to_owned())));
        let without = world.open_with(1, new).await;
        let said = read(&without, people.reader, "token").await.unwrap_err().to_string();
        let old = switchyard::crypto::Keyring::parse(&world.key, "a test").unwrap().active_id();
        assert!(said.contains("cannot be read") && said.contains(&old.to_string()), "{said}");
    }

    async fn a_user_made_twice_keeps_the_first_key(world) {
        let people = people(&world.store, 1).await;
        world.store.set_secret(people.reader, "token", secret("a")).await.unwrap();
        world.store.create_user(people.user, "Somebody else").await.unwrap();
        let fresh = world.open_as(1).await;
        assert_eq!(read(&fresh, people.reader, "token").await, Ok(Some("a".to_owned())));
    }
}

#[tokio::test]
async fn a_planted_secret_is_in_no_file_of_the_data_folder() {
    let world = Fixture::sqlite().await;
    plant(&world).await;
    let look = |when: &str| {
        let found = files(world.data_dir());
        assert!(!found.is_empty());
        for file in found {
            let bytes = fs::read(&file).unwrap();
            for form in forms() {
                assert!(!holds(&bytes, &form), "{when}: {} holds the planted secret", file.display());
            }
        }
    };
    let plain = files(world.data_dir()).iter().any(|file| holds(&fs::read(file).unwrap(), b"telegram_user"));
    assert!(plain, "the look finds what is there");
    let log = world.data_dir().join("switchyard.sqlite-wal");
    assert!(fs::metadata(log).unwrap().len() > 0, "the write-ahead log is looked at too");
    look("while open");
    world.store.shut_down().await;
    look("after closing");
}

#[tokio::test]
async fn a_planted_secret_is_in_no_column_of_postgres() {
    let Some(world) = Fixture::postgres().await else { return };
    plant(&world).await;
    for (table, column) in
        [("events", "payload"), ("delivery_parts", "body"), ("account_secrets", "value"), ("peers", "record")]
    {
        let filled = world.numbers(&format!("SELECT COUNT(*) FROM {table} WHERE {column} IS NOT NULL")).await;
        assert!(filled.iter().all(|count| *count > 0), "{table} is looked at");
    }
    // A row as text shows bytes in hexadecimal.
    let found = |table: &str, form: &[u8]| {
        let (plain, hex) = (String::from_utf8_lossy(form).replace('\0', "_"), hex::encode(form));
        format!("SELECT COUNT(*) FROM {table} t WHERE t::text LIKE '%{plain}%' OR t::text LIKE '%{hex}%'")
    };
    assert_eq!(world.numbers(&found("accounts", b"sandbox")).await, [2], "the look finds what is there");
    for table in ["events", "routes", "deliveries", "delivery_parts", "account_secrets", "peers", "cursors"] {
        for form in forms() {
            assert_eq!(world.numbers(&found(table, &form)).await, [0], "{table}");
        }
    }
}
