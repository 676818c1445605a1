//! Users in the store as the staff list them, the end of a plan, room for accounts, and who hears of announcements.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use secrecy::SecretString;
use switchyard::crypto::{LookupKey, Tag};
use switchyard::services::identity::EmailAddress;
use switchyard::store::identity::{NewPerson, Profile, UserState};
use switchyard::store::{Admitted, ListedUser, OfferedPlans, Store, UserListFilter, UserSearch};
use switchyard_actors::model::{AccountId, AccountKind, Day, PauseCause, UserId};
use switchyard_actors::ports::{Clock as _, Directory as _, Routes as _, Standings as _, StoreError};
use uuid::Uuid;

use crate::harness::store::Fixture;
use crate::harness::values::{account, pair, people};

fn user(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(number))
}

fn tag(email: &str) -> Tag {
    EmailAddress::parse(email).unwrap().tag(&LookupKey::new(&[3; 32]))
}

/// Somebody who registers, with this number.
async fn registered(store: &Store, number: u128, email: &str) -> UserId {
    let profile =
        Profile { email: email.to_owned(), name: Some("Ann".to_owned()), locale: None, time_zone: None };
    let password = SecretString::from("$argon2id$".to_owned());
    let new = NewPerson { id: user(number), email_tag: tag(email), profile, password };
    assert!(store.register_person(new).await.unwrap());
    user(number)
}

fn offered() -> OfferedPlans {
    let names = ["free", "pro", "business"].map(str::to_owned).into();
    OfferedPlans { default: "free".to_owned(), names }
}

fn today(world: &Fixture) -> Day {
    Day::of(world.clock.now().timestamp_millis())
}

async fn list(world: &Fixture, filter: &UserListFilter) -> Vec<ListedUser> {
    world.store.list_users(filter, &offered(), None, (100, today(world))).await.unwrap()
}

async fn ids(world: &Fixture, filter: UserListFilter) -> Vec<u128> {
    list(world, &filter).await.iter().map(|user| user.id.as_uuid().as_u128()).collect()
}

fn search(search: UserSearch) -> UserListFilter {
    UserListFilter { search: Some(search), ..UserListFilter::default() }
}

on_both_databases! {
    async fn users_are_found_by_whole_address_by_id_and_by_label(world) {
        registered(&world.store, 0x10, "ann@example.org").await;
        registered(&world.store, 0x20, "ben@example.org").await;
        world.store.create_user(user(0x30), "Acme 100% (Süd)").await.unwrap();
        world.store.create_user(user(0x40), "acme_north").await.unwrap();
        let email = |email: &str| search(UserSearch { email: Some(tag(email)), ..UserSearch::default() });
        assert_eq!(ids(&world, email("ANN@example.org")).await, [0x10]);
        assert_eq!(ids(&world, email("an@example.org")).await, [0; 0]);
        let id = |from: u128, to: u128| {
            let ids = Some((Uuid::from_u128(from), Uuid::from_u128(to)));
            search(UserSearch { ids, ..UserSearch::default() })
        };
        assert_eq!(ids(&world, id(0x20, 0x20)).await, [0x20]);
        assert_eq!(ids(&world, id(0x10, 0x3f)).await, [0x10, 0x20, 0x30]);
        let label = |text: &str| search(UserSearch { label: Some(text.to_owned()), ..UserSearch::default() });
        assert_eq!(ids(&world, label("ACME")).await, [0x30, 0x40]);
        assert_eq!(ids(&world, label("0%")).await, [0x30], "a sign means itself");
        assert_eq!(ids(&world, label("_")).await, [0x40]);
        assert_eq!(ids(&world, label("Süd")).await, [0x30]);
        assert_eq!(ids(&world, label("ann")).await, [0; 0], "what users say of themselves is sealed");
        assert_eq!(ids(&world, search(UserSearch::default())).await, [0; 0], "nothing in particular");
        let either = UserSearch { email: Some(tag("ben@example.org")), label: Some("north".to_owned()), ids: None };
        assert_eq!(ids(&world, search(either)).await, [0x20, 0x40]);
    }

    async fn a_list_goes_page_by_page_and_leaves_out_who_is_being_erased(world) {
        for number in 1..=7 {
            registered(&world.store, number, &format!("u{number}@example.org")).await;
        }
        world.store.begin_erasure(user(4)).await.unwrap();
        assert!(world.store.suspend_user(user(2), Some("spam".to_owned())).await.unwrap());
        let (mut seen, mut after) = (Vec::new(), None);
        for newest_first in [false, true] {
            let filter = UserListFilter { newest_first, ..UserListFilter::default() };
            loop {
                let page = world.store.list_users(&filter, &offered(), after, (2, today(&world))).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                seen.extend(page.iter().map(|user| user.id.as_uuid().as_u128()));
            }
            after = None;
        }
        assert_eq!(seen, [1, 2, 3, 5, 6, 7, 7, 6, 5, 3, 2, 1]);
        let in_state = |state| UserListFilter { state: Some(state), ..UserListFilter::default() };
        assert_eq!(ids(&world, in_state(UserState::Suspended)).await, [2]);
        assert_eq!(ids(&world, in_state(UserState::Deleting)).await, [4]);
        let dying = world.store.listed_user(user(4), today(&world)).await.unwrap();
        assert!(dying.profile.is_none(), "not even the staff read it any more");
        world.store.erase_data_key(user(4)).await.unwrap();
        world.store.listed_user(user(4), today(&world)).await.unwrap();
        world.store.erase_user(user(4)).await.unwrap();
        let gone = world.store.listed_user(user(4), today(&world)).await;
        assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    }

    async fn a_listed_user_has_what_is_theirs_and_nobody_elses(world) {
        let (ada, bob) = (people(&world.store, 1).await, people(&world.store, 2).await);
        pair(&world.store, ada, 1, 100, 900).await;
        pair(&world.store, ada, 2, 101, 900).await;
        let ann = registered(&world.store, 0x9000, "ann@example.org").await;
        let of = async |id: UserId| world.store.listed_user(id, today(&world)).await.unwrap();
        let (a, b, n) = (of(ada.user).await, of(bob.user).await, of(ann).await);
        assert_eq!((a.accounts, a.pairs, b.accounts, b.pairs), (2, 2, 2, 0));
        assert_eq!((n.accounts, n.pairs, n.delivered), (0, 0, 0));
        assert_eq!(n.profile.unwrap().email, "ann@example.org");
        assert_eq!((a.label.as_str(), n.label.as_str()), ("Ada", ""));
        let version = a.version;
        assert!(world.store.label_user(ada.user, Some(version), "Acme".to_owned()).await.unwrap());
        assert!(!world.store.label_user(ada.user, Some(version), "late".to_owned()).await.unwrap());
        let relabelled = of(ada.user).await;
        assert_eq!((relabelled.label.as_str(), relabelled.version), ("Acme", version + 1));
        world.store.set_user_plan(ada.user, &"pro".parse().unwrap(), None).await.unwrap();
        assert!(world.store.suspend_user(ada.user, None).await.unwrap());
        assert_eq!(of(ada.user).await.version, version + 3, "plan and state are changes too");
    }

    async fn a_plan_counts_until_its_time_and_the_default_one_after(world) {
        for number in 1..=4 {
            world.store.create_user(user(number), "Ada").await.unwrap();
        }
        let now = world.clock.now().timestamp_millis();
        let give = async |number: u128, plan: &str, until: Option<i64>| {
            world.store.set_user_plan(user(number), &plan.parse().unwrap(), until).await.unwrap();
        };
        give(1, "pro", Some(now + 60_000)).await;
        give(2, "pro", None).await;
        give(3, "retired", None).await;
        let with = async |plan: &str| {
            ids(&world, UserListFilter { plan: Some(plan.to_owned()), ..UserListFilter::default() }).await
        };
        assert_eq!(with("pro").await, [1, 2]);
        assert_eq!(with("free").await, [3, 4], "one that is not offered any more is the default one");
        let given = world.store.user_plan(user(1)).await.unwrap().unwrap();
        assert_eq!(given.at(now + 59_999).map(ToString::to_string).as_deref(), Some("pro"));
        assert_eq!(given.at(now + 60_000), None);
        assert_eq!(world.store.standing(user(1)).await.unwrap().plan_until, Some(now + 60_000));
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(with("pro").await, [2]);
        assert_eq!(with("free").await, [1, 3, 4]);
    }

    async fn a_plans_accounts_are_counted_exactly_by_many_at_once(world) {
        let people = people(&world.store, 1).await;
        let other = world.open_as(2).await;
        let new = |n: u128| account(AccountId::from_uuid(Uuid::from_u128(n)), people.user, AccountKind::TelegramBot);
        let adds = (5_000..5_012).map(|n| {
            let (store, new) = (if n % 2 == 0 { &other } else { &world.store }, new(n));
            async move { store.connect_account_within(&new, &[], Some(5)).await.unwrap() }
        });
        let admitted = futures_util::future::join_all(adds).await;
        let made = admitted.iter().filter(|admitted| **admitted != Admitted::Full).count();
        assert_eq!((made, world.store.accounts_of(people.user).await.unwrap().len()), (3, 5), "two were there");
        let reader = world.store.account(people.reader).await.unwrap();
        let again = world.store.connect_account_within(&reader, &[], Some(1)).await.unwrap();
        assert!(matches!(again, Admitted::Connected(connected) if connected.renewed), "a new login is no new account");
        assert!(world.store.suspend_user(people.user, None).await.unwrap());
        let refused = world.store.connect_account_within(&new(6_000), &[], None).await;
        assert!(matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("suspended")), "{refused:?}");
        world.store.begin_erasure(people.user).await.unwrap();
        let refused = world.store.connect_account_within(&new(6_000), &[], None).await;
        assert!(matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("deleted")), "{refused:?}");
    }

    async fn nothing_is_begun_for_who_is_being_deleted(world) {
        let ada = people(&world.store, 1).await;
        let own = pair(&world.store, ada, 1, 100, 900).await;
        world.store.begin_erasure(ada.user).await.unwrap();
        let paused = world.store.pair(own.id).await.unwrap().paused;
        assert!(paused.contains(&PauseCause::Suspension), "a queue's look at the store finds it so: {paused:?}");
        assert!(!world.store.restore_user(ada.user).await.unwrap(), "and nobody lifts it");
    }
}
