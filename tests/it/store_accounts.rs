//! Accounts as they are connected, connected anew and removed.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use secrecy::{ExposeSecret, SecretSlice};
use switchyard::store::{Connected, Store};
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState, RouteVerdict, UserId};
use switchyard_actors::ports::{Credentials, Directory, Intake, Outbox, Routes, StoreError, TryResult};
use uuid::Uuid;

use crate::harness::values::{account, deliver, message_id, pair, people, unit};

fn secrets(values: &[(&str, &str)]) -> Vec<(String, SecretSlice<u8>)> {
    let secret =
        |(name, value): &(&str, &str)| ((*name).to_owned(), SecretSlice::from(value.as_bytes().to_vec()));
    values.iter().map(secret).collect()
}

async fn read(store: &Store, account: AccountId, name: &str) -> Option<String> {
    let found = store.secret(account, name).await.unwrap();
    found.map(|value| String::from_utf8(value.expose_secret().to_vec()).unwrap())
}

fn id(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(number))
}

/// What connects the reader of these people again under a new id, as the platform names it now.
fn again(reader: &Account, number: u128) -> Account {
    Account { id: id(number), name: "a new name".to_owned(), profile: "fast".to_owned(), ..reader.clone() }
}

on_both_databases! {
    async fn an_account_comes_with_its_secrets_or_not_at_all(world) {
        let people = people(&world.store, 1).await;
        let new = account(id(7_000), people.user, AccountKind::TelegramBot);
        let token = secrets(&[("token", "one"), ("home_dc", "2")]);
        let connected = world.store.connect_account(&new, &token).await.unwrap();
        assert_eq!(connected, Connected { account: new.clone(), renewed: false });
        assert_eq!(world.store.account(new.id).await.unwrap(), new);
        assert_eq!(read(&world.store, new.id, "token").await.as_deref(), Some("one"));

        let nobody = UserId::from_uuid(Uuid::from_u128(99));
        let stranger = account(id(7_001), nobody, AccountKind::TelegramBot);
        let refused = world.store.connect_account(&stranger, &token).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
        let twice = secrets(&[("token", "one"), ("token", "two")]);
        let broken = account(id(7_002), people.user, AccountKind::TelegramBot);
        assert!(world.store.connect_account(&broken, &twice).await.is_err());
        let absent = world.store.account(broken.id).await;
        assert!(matches!(absent, Err(StoreError::NotFound(_))), "{absent:?}");
    }

    async fn a_renewed_login_keeps_the_account_and_replaces_its_secrets(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=1, 5)).await.unwrap();
        let reader = world.store.account(people.reader).await.unwrap();
        for (name, value) in secrets(&[("home_dc", "4"), ("dc.4", "old"), ("dc.2", "older")]) {
            world.store.set_secret(people.reader, &name, value).await.unwrap();
        }
        world.store.set_account_state(people.reader, AccountState::NeedsLogin).await.unwrap();
        let new = secrets(&[("home_dc", "4"), ("dc.4", "new")]);
        let connected = world.store.connect_account(&again(&reader, 7_000), &new).await.unwrap();
        let kept = Account { name: "a new name".to_owned(), ..reader };
        assert_eq!(connected, Connected { account: kept.clone(), renewed: true });
        assert_eq!(world.store.account(people.reader).await.unwrap(), kept);
        assert_eq!(read(&world.store, people.reader, "dc.4").await.as_deref(), Some("new"));
        assert_eq!(read(&world.store, people.reader, "dc.2").await, None, "keys of the older session are gone");
        assert_eq!(world.store.pairs().await.unwrap(), [pair]);
        assert_eq!(world.store.cursors(people.reader).await.unwrap().len(), 1);
        assert_eq!(world.store.accounts().await.unwrap().len(), 2);
    }

    async fn signing_in_anew_lifts_no_quarantine(world) {
        let people = people(&world.store, 1).await;
        let reader = world.store.account(people.reader).await.unwrap();
        world.store.set_account_state(people.reader, AccountState::Quarantined).await.unwrap();
        let connected = world.store.connect_account(&again(&reader, 7_000), &[]).await.unwrap();
        assert_eq!((connected.account.state, connected.renewed), (AccountState::Quarantined, true));
        let stored = world.store.account(people.reader).await.unwrap();
        assert_eq!(stored.state, AccountState::Quarantined);
    }

    async fn nobody_takes_the_account_of_another_user(world) {
        let (ada, bob) = (people(&world.store, 1).await, people(&world.store, 2).await);
        world.store.set_secret(ada.reader, "dc.2", SecretSlice::from(b"hers".to_vec())).await.unwrap();
        let hers = world.store.account(ada.reader).await.unwrap();
        let his = Account { user: bob.user, ..again(&hers, 7_000) };
        let refused = world.store.connect_account(&his, &secrets(&[("dc.2", "his")])).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(world.store.account(ada.reader).await.unwrap(), hers);
        assert_eq!(read(&world.store, ada.reader, "dc.2").await.as_deref(), Some("hers"));
    }

    async fn connecting_one_account_many_times_at_once_makes_one(world) {
        let people = people(&world.store, 1).await;
        let one = account(id(7_000), people.user, AccountKind::TelegramUser);
        let tries = (0..8_u128).map(|number| {
            let (store, account) = (world.store.clone(), Account { id: id(8_000 + number), ..one.clone() });
            async move {
                let token = secrets(&[("token", &number.to_string())]);
                store.connect_account(&account, &token).await.unwrap()
            }
        });
        let all = futures_util::future::join_all(tries).await;
        assert_eq!(all.iter().filter(|connected| !connected.renewed).count(), 1);
        let ids: std::collections::HashSet<_> = all.iter().map(|connected| connected.account.id).collect();
        assert_eq!(ids.len(), 1, "every caller is told the same account");
        assert_eq!(world.store.accounts().await.unwrap().len(), 3);
    }

    async fn removing_an_account_takes_all_but_the_counts(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        world.store.set_secret(people.reader, "dc.2", SecretSlice::from(vec![1])).await.unwrap();
        world.store.set_peers(people.reader, &[(5, SecretSlice::from(vec![1]))]).await.unwrap();
        let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
        world.store.record(source, &unit(100, 1..=2, 5)).await.unwrap();
        let routes = world.store.claim(pair.id, 2).await.unwrap();
        let verdicts: Vec<(_, RouteVerdict)> =
            routes.iter().map(|route| (route.id, deliver(&["text"]))).collect();
        world.store.close(target, pair.id, &verdicts).await.unwrap();
        let sent = world.store.lane(people.writer, pair.id, None, 1).await.unwrap().remove(0);
        world.store.begin(target, sent.id, 0).await.unwrap();
        let result = TryResult::Sent { part: 0, message: Some(message_id(1)) };
        world.store.finish(target, sent.id, &result).await.unwrap();
        let tables = [
            "account_secrets", "peers", "cursors", "assignments", "events", "routes", "pairs", "deliveries",
            "delivery_parts", "message_map",
        ];
        // The other account keeps its own assignment.
        let rows = |table: &str| match table {
            "assignments" => {
                let readers = "SELECT id FROM accounts WHERE kind = 'telegram_user'";
                format!("SELECT COUNT(*) FROM assignments WHERE account_id IN ({readers})")
            }
            _ => format!("SELECT COUNT(*) FROM {table}"),
        };
        for table in tables {
            assert!(world.numbers(&rows(table)).await.iter().all(|count| *count > 0), "{table} is looked at");
        }
        world.store.remove_account(people.reader).await.unwrap();
        for table in tables {
            assert_eq!(world.numbers(&rows(table)).await, [0], "{table}");
        }
        assert_eq!(world.numbers("SELECT messages FROM delivery_counts").await, [1]);
        assert_eq!(world.store.accounts().await.unwrap().len(), 1, "the other account stays");
        let again = world.store.remove_account(people.reader).await;
        assert!(matches!(again, Err(StoreError::NotFound(_))), "{again:?}");
        let fenced = world.store.record(source, &unit(100, 3..=3, 6)).await;
        assert!(fenced.is_err(), "nothing is written for an account that is gone");
    }
}
