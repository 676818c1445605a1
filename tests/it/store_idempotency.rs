//! Orders with an idempotency key in the store: one try at a time, the same answer for a day, bounded and sealed.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice};
use switchyard::store::{Attempt, KeyBounds, KeyState, KeyedOrder, Store};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::Jobs;
use uuid::Uuid;

const BOUNDS: KeyBounds =
    KeyBounds { lease: Duration::from_secs(60), keep: Duration::from_secs(86_400), keys_max: 3 };

fn order(owner: &str, key: &str, order: &str) -> KeyedOrder {
    KeyedOrder {
        owner: owner.to_owned(),
        user: None,
        operation: "add_pair".to_owned(),
        key: key.to_owned(),
        order: order.as_bytes().to_vec(),
        by_content: false,
    }
}

async fn begin(store: &Store, order: &KeyedOrder) -> KeyState {
    store.begin_order(order, BOUNDS).await.unwrap()
}

async fn mine(store: &Store, order: &KeyedOrder) -> Attempt {
    match begin(store, order).await {
        KeyState::Yours(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

fn secret(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}

fn answered(state: KeyState) -> String {
    match state {
        KeyState::Answered(answer) => String::from_utf8(answer.expose_secret().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

on_both_databases! {
    async fn one_try_at_a_time_and_then_its_answer(world) {
        let wanted = order("operator", "k", "POST /pairs {}");
        let attempt = mine(&world.store, &wanted).await;
        let KeyState::UnderWay(left) = begin(&world.store, &wanted).await else { panic!("two at once") };
        assert_eq!(left, BOUNDS.lease);
        assert!(matches!(begin(&world.store, &order("operator", "k", "POST /pairs []")).await, KeyState::Other));
        world.store.finish_order(&attempt, &secret("made")).await.unwrap();
        assert_eq!(answered(begin(&world.store, &wanted).await), "made");
        assert!(matches!(begin(&world.store, &order("operator", "k", "POST /pairs []")).await, KeyState::Other));
        // Another caller's key, and another operation's, are others.
        mine(&world.store, &order("admin/1", "k", "POST /pairs {}")).await;
        mine(&world.store, &KeyedOrder { operation: "connect".to_owned(), ..wanted }).await;
    }

    async fn a_key_of_which_nothing_was_done_is_free(world) {
        let wanted = order("operator", "k", "wrong");
        let attempt = mine(&world.store, &wanted).await;
        world.store.release_order(&attempt).await.unwrap();
        let attempt = mine(&world.store, &order("operator", "k", "right")).await;
        world.store.finish_order(&attempt, &secret("made")).await.unwrap();
        world.store.release_order(&attempt).await.unwrap();
        assert_eq!(answered(begin(&world.store, &order("operator", "k", "right")).await), "made", "an answer stays");
    }

    /// The daemon that began it is gone, or is as slow as if it were.
    async fn after_its_lease_an_order_is_taken_over_and_the_late_one_says_nothing(world) {
        let wanted = order("operator", "k", "o");
        let lost = mine(&world.store, &wanted).await;
        let store = world.open_as(1).await;
        world.clock.advance(BOUNDS.lease - Duration::from_millis(1));
        assert!(matches!(begin(&store, &wanted).await, KeyState::UnderWay(_)), "not before the lease ends");
        world.clock.advance(Duration::from_millis(1));
        let attempt = mine(&store, &wanted).await;
        world.store.finish_order(&lost, &secret("late")).await.unwrap();
        world.store.release_order(&lost).await.unwrap();
        assert!(matches!(begin(&store, &wanted).await, KeyState::UnderWay(_)), "the second one's still");
        store.finish_order(&attempt, &secret("second")).await.unwrap();
        assert_eq!(answered(begin(&store, &wanted).await), "second");
    }

    async fn of_many_at_once_one_goes_on(world) {
        let wanted = order("operator", "k", "o");
        let tries = futures_util::future::join_all((0..20).map(|_| begin(&world.store, &wanted))).await;
        assert_eq!(tries.iter().filter(|state| matches!(state, KeyState::Yours(_))).count(), 1);
        assert_eq!(tries.iter().filter(|state| matches!(state, KeyState::UnderWay(_))).count(), 19);
    }

    async fn keys_are_bounded_and_go_after_a_day(world) {
        for key in ["1", "2", "3"] {
            mine(&world.store, &order("operator", key, "o")).await;
        }
        assert!(matches!(begin(&world.store, &order("operator", "4", "o")).await, KeyState::TooMany));
        mine(&world.store, &order("admin/1", "4", "o")).await;
        let epoch = chrono::DateTime::<chrono::Utc>::UNIX_EPOCH;
        assert_eq!(world.store.purge(epoch, 10).await.unwrap(), 0);
        world.clock.advance(BOUNDS.keep + Duration::from_millis(1));
        let again = mine(&world.store, &order("operator", "1", "another")).await;
        world.store.finish_order(&again, &secret("new")).await.unwrap();
        assert_eq!(world.store.purge(epoch, 2).await.unwrap(), 2, "in batches");
        assert_eq!(world.store.purge(epoch, 2).await.unwrap(), 1);
        assert_eq!(answered(begin(&world.store, &order("operator", "1", "another")).await), "new");
    }

    async fn callers_that_cannot_be_told_apart_never_get_each_others_answers(world) {
        let of = |body: &str| KeyedOrder { by_content: true, ..order("address/203.0.113.7", "k", body) };
        let attempt = mine(&world.store, &of("one")).await;
        world.store.finish_order(&attempt, &secret("for one")).await.unwrap();
        mine(&world.store, &of("two")).await;
        assert_eq!(answered(begin(&world.store, &of("one")).await), "for one");
    }

    async fn answers_are_sealed_and_go_with_their_user(world) {
        let user = UserId::from_uuid(Uuid::from_u128(42));
        world.store.create_user(user, "someone").await.unwrap();
        let theirs = KeyedOrder { user: Some(user), ..order(&format!("user/{user}"), "k", "hunter2") };
        for wanted in [&theirs, &order("operator", "k", "hunter2")] {
            let attempt = mine(&world.store, wanted).await;
            world.store.finish_order(&attempt, &secret("sk_shown_once")).await.unwrap();
            assert_eq!(answered(begin(&world.store, wanted).await), "sk_shown_once");
        }
        // Hashes and ciphertexts only: what was ordered and answered is not to be read, nor to be guessed without the keys.
        let hidden = "SELECT count(*) FROM idempotency_keys WHERE length(fingerprint) = 32 AND length(id) = 64";
        assert_eq!(world.numbers(hidden).await, [2]);
        let raw = world.raw().await;
        let rows = sea_orm::ConnectionTrait::query_all_raw(&raw, sea_orm::Statement::from_string(
            sea_orm::ConnectionTrait::get_database_backend(&raw), "SELECT COALESCE(user_answer, system_answer) FROM idempotency_keys",
        )).await.unwrap();
        for row in rows {
            let blob: Vec<u8> = row.try_get_by_index(0).unwrap();
            assert!(!blob.windows(4).any(|window| window == b"show"));
        }
        raw.close().await.unwrap();
        world.execute("DELETE FROM users WHERE name = 'someone'").await;
        assert_eq!(world.numbers("SELECT count(*) FROM idempotency_keys").await, [1]);
    }
}
