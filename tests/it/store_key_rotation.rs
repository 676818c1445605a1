//! Rotations of keys in the store: online, step by step, by several nodes, after a kill; and nothing unreadable meanwhile.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use switchyard::crypto::{KeyId, Keyring};
use switchyard::store::{
    KeyRotation, MasterKeyError, MasterKeyState, ProviderSecret, RotationKind, RotationPace, RotationPhase,
    RotationRefused, Stepped, Store,
};
use switchyard_actors::model::{RouteVerdict, UserId};
use switchyard_actors::ports::{Credentials, Intake, IntakeUnit, Lease, Outbox, Routes};
use uuid::Uuid;

use crate::harness::store::Fixture;
use crate::harness::values::{People, deliver, message, pair, people};

const NEW: &str = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const GRACE: Duration = Duration::from_secs(120);
const PACE: RotationPace = RotationPace { batch: 3, grace: GRACE };

fn id(key: &str) -> KeyId {
    Keyring::parse(key, "a test").unwrap().active_id()
}

/// A node that has both keys and asks the store for every data key anew.
async fn node(world: &Fixture, number: u128) -> Store {
    let store = world.open_asking(number, &format!("{}\n{NEW}", world.key)).await;
    store.renew(Duration::from_secs(3_600)).await.unwrap();
    store.settle_master_key().await.unwrap();
    store.publish_keys().await.unwrap();
    store
}

/// Something sealed in every column: of seven users, and of the system.
async fn seal_something(world: &Fixture, store: &Store) -> Vec<People> {
    let mut everybody = Vec::new();
    for number in 1..=7 {
        let people = people(store, number).await;
        let pair = pair(store, people, number, 100, 900).await;
        let text = format!("words of {number}");
        store
            .set_secret(people.reader, "auth_key", SecretSlice::from(text.clone().into_bytes()))
            .await
            .unwrap();
        store.set_peers(people.reader, &[(5, SecretSlice::from(text.clone().into_bytes()))]).await.unwrap();
        let source = store.assign(people.reader).await.unwrap();
        let target = store.assign(people.writer).await.unwrap();
        let events = (1..=2).map(|id| message(100, id, &text)).collect();
        store.record(source, &IntakeUnit { events, cursors: vec![] }).await.unwrap();
        let routes = store.claim(pair.id, 1).await.unwrap();
        let verdicts: Vec<(_, RouteVerdict)> =
            routes.iter().map(|route| (route.id, deliver(&[text.as_str()]))).collect();
        store.close(target, pair.id, &verdicts).await.unwrap();
        everybody.push(people);
    }
    store.set_provider_secret(ProviderSecret::BotToken, &SecretString::from("4711:bot")).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    everybody
}

/// Everything that [`seal_something`] sealed opens, on this node.
async fn all_readable(store: &Store, everybody: &[People]) {
    for (people, number) in everybody.iter().zip(1_u128..) {
        let text = format!("words of {number}");
        let found = store.secret(people.reader, "auth_key").await.unwrap().unwrap();
        assert_eq!(found.expose_secret(), text.as_bytes());
        let peers = store.peers(people.reader).await.unwrap();
        assert_eq!(peers[0].1.expose_secret(), text.as_bytes());
        let pair = switchyard_actors::model::PairId::from_uuid(Uuid::from_u128(number));
        assert_eq!(store.claim(pair, 5).await.unwrap().len(), 1, "an event opens");
        let lane = store.lane(people.writer, pair, None, 5).await.unwrap();
        assert_eq!(lane.len(), 1, "a delivery opens");
    }
    let bot = store.provider_secret(ProviderSecret::BotToken).await.unwrap().unwrap();
    assert_eq!(bot.expose_secret(), "4711:bot");
}

async fn to_the_end(store: &Store, rotation: &KeyRotation) -> KeyRotation {
    for _ in 0..1_000 {
        match store.step_rotation(rotation.id, PACE).await.unwrap() {
            Stepped::Onward => {}
            Stepped::Waiting => panic!("{:?}", store.rotation(rotation.id).await),
            Stepped::Finished => return store.rotation(rotation.id).await.unwrap().unwrap(),
        }
    }
    panic!("it does not end");
}

on_both_databases! {
    async fn every_key_is_wrapped_anew_and_the_old_master_key_can_go(world) {
        let store = node(&world, 1).await;
        let everybody = seal_something(&world, &store).await;
        store.derive("tokens").await.unwrap();
        assert_eq!(store.retire_master_key(id(&world.key)).await, Err(MasterKeyError::Seals(id(&world.key))));
        let rotation = store.begin_rotation(RotationKind::Wrap, id(NEW)).await.unwrap();
        assert_eq!((rotation.total, rotation.done), (9, 0), "seven users' keys, two of the system");
        let wraps = 9;
        let refused = store.retire_master_key(id(&world.key)).await;
        assert_eq!(refused, Err(MasterKeyError::InUse { id: id(&world.key), wraps }));
        let again = store.begin_rotation(RotationKind::Wrap, id(NEW)).await;
        assert_eq!(again, Err(RotationRefused::Running(rotation.id)));
        // Who comes meanwhile is under the new key at once.
        store.create_user(UserId::from_uuid(Uuid::from_u128(99)), "Eve").await.unwrap();
        loop {
            all_readable(&store, &everybody).await;
            if store.step_rotation(rotation.id, PACE).await.unwrap() == Stepped::Finished {
                break;
            }
        }
        let ended = store.rotation(rotation.id).await.unwrap().unwrap();
        assert_eq!((ended.phase, ended.done, ended.total), (RotationPhase::Finished, 9, 9));
        store.retire_master_key(id(&world.key)).await.unwrap();
        let back = store.begin_rotation(RotationKind::Wrap, id(&world.key)).await;
        assert_eq!(back, Err(RotationRefused::Retired(id(&world.key))));
        let without = world.open_asking(1, NEW).await;
        without.settle_master_key().await.unwrap();
        all_readable(&without, &everybody).await;
        assert!(without.has_user(UserId::from_uuid(Uuid::from_u128(99))).await.unwrap());
        let left = world.open_asking(1, &world.key).await.settle_master_key().await;
        assert_eq!(left, Err(MasterKeyError::Lacks(id(NEW))), "a node without the new key does not start");
        let views = without.master_keys().await.unwrap();
        let view = |key: &str| views.iter().find(|view| view.id == id(key)).unwrap().clone();
        assert_eq!((view(NEW).state, view(NEW).wraps, view(NEW).here), (MasterKeyState::Sealing, 10, true));
        let old = view(&world.key);
        assert_eq!((old.state, old.wraps, old.here), (MasterKeyState::Retired, 0, false));
    }

    async fn a_node_that_lacks_the_key_holds_the_rotation_off(world) {
        let store = node(&world, 1).await;
        let other = world.open_asking(2, &world.key).await;
        other.renew(Duration::from_secs(60)).await.unwrap();
        other.publish_keys().await.unwrap();
        let refused = store.begin_rotation(RotationKind::Wrap, id(NEW)).await;
        assert!(matches!(refused, Err(RotationRefused::NodeLacks { .. })), "{refused:?}");
        assert!(store.running_rotation().await.unwrap().is_none());
        let unknown = KeyId::from_bytes([7; 8]);
        let refused = store.begin_rotation(RotationKind::Wrap, unknown).await;
        assert_eq!(refused, Err(RotationRefused::Unknown(unknown)));
        // It is gone: its lease has ended.
        world.clock.advance(Duration::from_secs(61));
        store.renew(Duration::from_secs(60)).await.unwrap();
        store.begin_rotation(RotationKind::Wrap, id(NEW)).await.unwrap();
    }

    async fn a_rotation_ends_when_every_node_seals_with_the_new_key(world) {
        let (store, other) = (node(&world, 1).await, node(&world, 2).await);
        seal_something(&world, &store).await;
        let rotation = store.begin_rotation(RotationKind::Wrap, id(NEW)).await.unwrap();
        while store.step_rotation(rotation.id, PACE).await.unwrap() == Stepped::Onward {}
        let held = store.rotation(rotation.id).await.unwrap().unwrap();
        assert_eq!(held.phase, RotationPhase::Confirming);
        assert!(held.error.unwrap().contains("does not seal"), "and says why");
        // Meanwhile the other node makes a user, under the key that it knows.
        other.create_user(UserId::from_uuid(Uuid::from_u128(99)), "Eve").await.unwrap();
        other.settle_master_key().await.unwrap();
        other.publish_keys().await.unwrap();
        let ended = to_the_end(&other, &rotation).await;
        assert_eq!((ended.done, ended.total, ended.error), (9, 9, None), "hers too");
    }

    async fn steps_that_several_nodes_take_at_once_are_taken_once(world) {
        let nodes = [node(&world, 1).await, node(&world, 2).await, node(&world, 3).await];
        let everybody = seal_something(&world, &nodes[0]).await;
        let rotation = nodes[0].begin_rotation(RotationKind::Wrap, id(NEW)).await.unwrap();
        for node in &nodes {
            node.settle_master_key().await.unwrap();
            node.publish_keys().await.unwrap();
        }
        let pace = RotationPace { batch: 1, grace: GRACE };
        let run = |store: Store| async move {
            while store.step_rotation(rotation.id, pace).await.unwrap() != Stepped::Finished {}
        };
        let [a, b, c] = nodes.clone().map(run);
        tokio::join!(a, b, c);
        let ended = nodes[0].rotation(rotation.id).await.unwrap().unwrap();
        assert_eq!((ended.phase, ended.done, ended.total), (RotationPhase::Finished, 8, 8));
        all_readable(&nodes[1], &everybody).await;
    }

    async fn a_deep_rotation_seals_every_row_anew_and_nothing_is_unreadable_on_the_way(world) {
        let (store, other) = (node(&world, 1).await, node(&world, 2).await);
        let everybody = seal_something(&world, &store).await;
        let tokens = store.derive("tokens").await.unwrap();
        let before = blobs(&world).await;
        let rotation = store.begin_rotation(RotationKind::Deep, id(&world.key)).await.unwrap();
        let mut late = 0;
        loop {
            all_readable(&store, &everybody).await;
            all_readable(&other, &everybody).await;
            // Rows that come meanwhile, through both nodes.
            late += 1;
            let (writer, people) = if late % 2 == 0 { (&store, everybody[1]) } else { (&other, everybody[2]) };
            let name = format!("late {late}");
            writer.set_secret(people.reader, &name, SecretSlice::from(name.clone().into_bytes())).await.unwrap();
            match store.step_rotation(rotation.id, PACE).await.unwrap() {
                Stepped::Onward => {}
                Stepped::Waiting => world.clock.advance(GRACE),
                Stepped::Finished => break,
            }
        }
        let fresh = world.open_asking(3, &world.key).await;
        all_readable(&fresh, &everybody).await;
        for number in 1..=late {
            let people = if number % 2 == 0 { everybody[1] } else { everybody[2] };
            let found = fresh.secret(people.reader, &format!("late {number}")).await.unwrap();
            assert_eq!(found.unwrap().expose_secret(), format!("late {number}").as_bytes());
        }
        let after = blobs(&world).await;
        assert!(before.iter().all(|blob| !after.contains(blob)), "every row was sealed anew");
        assert_eq!(world.numbers("SELECT count(*) FROM spare_data_keys").await, [0], "the old keys are gone");
        assert_eq!(world.numbers("SELECT count(*) FROM spare_system_keys").await, [0]);
        assert_eq!(store.derive("tokens").await.unwrap(), tokens, "derived keys stay");
        let ended = store.rotation(rotation.id).await.unwrap().unwrap();
        assert!(ended.done == ended.total && ended.total > 7, "{ended:?}");
    }

    async fn an_owner_who_is_erased_midway_takes_all_keys_along(world) {
        let store = node(&world, 1).await;
        seal_something(&world, &store).await;
        let rotation = store.begin_rotation(RotationKind::Deep, id(&world.key)).await.unwrap();
        let mut left = 7_i64;
        while store.step_rotation(rotation.id, PACE).await.map(|stepped| stepped != Stepped::Finished).unwrap() {
            // In every phase somebody goes, as long as there is anybody.
            if left > 1 {
                left -= 1;
                let gone = Uuid::from_u128(u128::try_from(left + 1).unwrap() << 8 | 1);
                world.execute(&format!("DELETE FROM users WHERE {}", same_id(&world, gone))).await;
            }
            world.clock.advance(GRACE);
        }
        assert_eq!(world.numbers("SELECT count(*) FROM users").await, [1]);
        assert_eq!(world.numbers("SELECT count(*) FROM spare_data_keys").await, [0]);
        assert_eq!(store.running_rotation().await, Ok(None));
    }
}

fn same_id(world: &Fixture, id: Uuid) -> String {
    match world.config.target().unwrap() {
        switchyard::store::StoreTarget::Sqlite(_) => format!("id = x'{}'", id.simple()),
        switchyard::store::StoreTarget::Postgres => format!("id = '{id}'"),
    }
}

/// Every sealed blob that stands in a table of users' secrets, events or parts.
async fn blobs(world: &Fixture) -> Vec<Vec<u8>> {
    use sea_orm::{ConnectionTrait, Statement};
    let raw = world.raw().await;
    let mut found = Vec::new();
    for (table, column) in
        [("account_secrets", "value"), ("peers", "record"), ("events", "payload"), ("delivery_parts", "body")]
    {
        let sql = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap();
        found.extend(rows.iter().map(|row| row.try_get_by_index::<Vec<u8>>(0).unwrap()));
    }
    assert!(found.len() > 20, "there is something to look at");
    found
}

/// The bound of the mission: a rotation of very many keys while messages flow. `SWITCHYARD_KEYS=100000` for the whole
/// measure; by default few enough for every run.
#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_rotated_while_messages_flow() {
    let many: u128 =
        std::env::var("SWITCHYARD_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let world = Fixture::sqlite().await;
    let store = Arc::new(node(&world, 1).await);
    world.users(many).await;
    let people = people(&store, 1).await;
    pair(&store, people, 1, 100, 900).await;
    let source = store.assign(people.reader).await.unwrap();
    let rotation = store.begin_rotation(RotationKind::Wrap, id(NEW)).await.unwrap();
    let pace = RotationPace { batch: 200, grace: GRACE };
    let began = now();
    let (mut messages, mut slowest) = (0_i64, Duration::ZERO);
    let rotate = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            while store.step_rotation(rotation.id, pace).await.unwrap() != Stepped::Finished {}
        })
    };
    while !rotate.is_finished() {
        messages += 1;
        let sent = now();
        let unit = IntakeUnit { events: vec![message(100, messages, "flows")], cursors: vec![] };
        store.record(source, &unit).await.unwrap();
        assert_eq!(
            store
                .claim(switchyard_actors::model::PairId::from_uuid(Uuid::from_u128(1)), 1)
                .await
                .unwrap()
                .len(),
            1
        );
        slowest = slowest.max(sent.elapsed());
    }
    rotate.await.unwrap();
    let ended = store.rotation(rotation.id).await.unwrap().unwrap();
    assert_eq!(ended.done, u64::try_from(many).unwrap() + 1);
    println!(
        "{many} keys in {:.1} s, {messages} messages meanwhile, the slowest {} ms",
        began.elapsed().as_secs_f64(),
        slowest.as_millis()
    );
    assert!(messages > 0 && slowest < Duration::from_secs(5), "messages flow: {messages}, {slowest:?}");
}

#[expect(clippy::disallowed_methods, reason = "a measurement is made with the real clock")]
fn now() -> Instant {
    Instant::now()
}
