//! Plans, messages of the day and suspension in the store, on both databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use switchyard::store::identity::{Device, NewSession, UserState};
use switchyard::store::{Added, ChangedPair, PairChange, Store};
use switchyard_actors::model::{
    Day, DeadReason, Delivery, Fence, LoginSessionId, Pair, PairId, PauseCause, PlanName, UserId,
};
use switchyard_actors::ports::{
    Clock as _, Directory as _, Intake as _, Lease as _, Outbox as _, Routes as _, Standings as _,
    StoreError, TryResult,
};
use uuid::Uuid;

use crate::harness::store::Fixture;
use crate::harness::values::{People, deliver, message_id, pair, people, place, unit};

fn plan(name: &str) -> PlanName {
    name.parse().unwrap()
}

fn today(world: &Fixture) -> Day {
    Day::of(world.clock.now().timestamp_millis())
}

/// A pair with so many deliveries, the first of two parts; and the fence of its target.
async fn filled(world: &Fixture, people: People, deliveries: usize) -> (Pair, Fence, Vec<Delivery>) {
    let pair = pair(&world.store, people, 1, 100, 900).await;
    let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
    let last = i64::try_from(deliveries).unwrap();
    world.store.record(source, &unit(100, 1..=last, 1)).await.unwrap();
    let routes = world.store.claim(pair.id, 100).await.unwrap();
    let parts = |index: usize| if index == 0 { deliver(&["a", "b"]) } else { deliver(&["a"]) };
    let verdicts: Vec<_> = routes.iter().enumerate().map(|(index, route)| (route.id, parts(index))).collect();
    world.store.close(target, pair.id, &verdicts).await.unwrap();
    let lane = world.store.lane(people.writer, pair.id, None, 100).await.unwrap();
    (pair, target, lane)
}

async fn sent(store: &Store, fence: Fence, delivery: &Delivery, part: u16) {
    store.begin(fence, delivery.id, part).await.unwrap();
    let id = delivery.seq * 10 + i64::from(part);
    let result = TryResult::Sent { part, message: Some(message_id(id)) };
    // Twice, as after an answer that was lost: it is counted once.
    for _ in 0..2 {
        store.finish(fence, delivery.id, &result).await.unwrap();
    }
}

/// What a request of a sign-in of the user meets.
async fn met(world: &Fixture, user: UserId) -> (UserState, Option<String>) {
    let id = LoginSessionId::from_uuid(world.ids.uuid());
    let device = Device { address: "127.0.0.1".to_owned(), agent: None };
    let mut tag = [0; 32];
    tag[..16].copy_from_slice(id.as_uuid().as_bytes());
    let session = NewSession { id, user, tag, device, expires_at: i64::MAX, keep: 5, password_at: None };
    world.store.open_session(session).await.unwrap();
    let access = world.store.session_access(id).await.unwrap().unwrap();
    (access.state, access.reason)
}

on_both_databases! {
    async fn a_message_counts_once_when_all_of_it_is_confirmed(world) {
        let people = people(&world.store, 1).await;
        let (_, fence, lane) = filled(&world, people, 4).await;
        let usage = || world.store.usage(people.user, today(&world));
        sent(&world.store, fence, &lane[0], 0).await;
        let now = usage().await.unwrap();
        assert_eq!((now.delivered, now.begun), (0, vec![lane[0].id]), "half a message is none yet");
        sent(&world.store, fence, &lane[0], 1).await;
        sent(&world.store, fence, &lane[1], 0).await;
        world.store.begin(fence, lane[2].id, 0).await.unwrap();
        let now = usage().await.unwrap();
        assert_eq!((now.delivered, now.begun), (2, vec![lane[2].id]));
        let dead = TryResult::Dead(DeadReason::Refused("no".to_owned()));
        world.store.finish(fence, lane[2].id, &dead).await.unwrap();
        let now = usage().await.unwrap();
        assert_eq!((now.delivered, now.begun), (2, vec![]), "given up: neither counted nor under way");
        world.clock.advance(Duration::from_secs(86_400));
        world.store.renew(crate::harness::store::LEASE).await.unwrap();
        sent(&world.store, fence, &lane[3], 0).await;
        assert_eq!(usage().await.unwrap().delivered, 1, "another day");
    }

    async fn a_user_is_told_once_a_day_also_by_two_at_once(world) {
        let people = people(&world.store, 1).await;
        let other = world.open_as(2).await;
        let day = today(&world);
        let (one, two) = tokio::join!(
            world.store.tell_limit(people.user, day),
            other.tell_limit(people.user, day),
        );
        assert!(one.unwrap() ^ two.unwrap(), "one of them");
        assert!(!world.store.tell_limit(people.user, day).await.unwrap());
        assert_eq!(world.store.usage(people.user, day).await.unwrap().delivered, 0);
    }

    async fn a_suspension_pauses_all_pairs_and_its_end_lifts_no_other_cause(world) {
        let (ada, bob) = (people(&world.store, 1).await, people(&world.store, 2).await);
        let (own, fence, lane) = filled(&world, ada, 2).await;
        let paused = pair(&world.store, ada, 2, 200, 901).await;
        let strangers = pair(&world.store, bob, 3, 300, 902).await;
        world.store.set_pause(paused.id, PauseCause::User, true).await.unwrap();
        assert!(world.store.suspend_user(ada.user, Some("spam".to_owned())).await.unwrap());
        assert!(!world.store.suspend_user(ada.user, None).await.unwrap(), "once");
        assert_eq!(met(&world, ada.user).await, (UserState::Suspended, Some("spam".to_owned())));
        assert_eq!(met(&world, bob.user).await, (UserState::Active, None));
        assert!(world.store.standing(ada.user).await.unwrap().suspended);
        assert!(!world.store.standing(bob.user).await.unwrap().suspended);
        assert_eq!(world.store.suspension(ada.user).await.unwrap().unwrap().reason.as_deref(), Some("spam"));
        assert!(world.store.lanes(ada.writer).await.unwrap().is_empty());
        assert!(world.store.lane(ada.writer, own.id, None, 10).await.unwrap().is_empty());
        let begun = world.store.begin(fence, lane[0].id, 0).await;
        assert!(matches!(begun, Err(StoreError::NotFound(_))), "what is in a queue's hand is not begun: {begun:?}");
        assert!(world.store.pair(strangers.id).await.unwrap().paused.is_empty());
        let more = Pair { id: PairId::from_uuid(Uuid::from_u128(9)), source: place(own.source.platform, 777), ..own.clone() };
        assert!(matches!(world.store.add_pair(&more).await, Err(StoreError::Conflict(_))));
        let again = world.open_as(1).await;
        assert!(again.standing(ada.user).await.unwrap().suspended, "it is in the store");
        assert!(world.store.restore_user(ada.user).await.unwrap());
        assert!(!world.store.restore_user(ada.user).await.unwrap(), "once");
        assert_eq!(met(&world, ada.user).await, (UserState::Active, None));
        assert!(world.store.suspension(ada.user).await.unwrap().is_none());
        let left = world.store.pair(paused.id).await.unwrap().paused;
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [PauseCause::User]);
        assert_eq!(world.store.lane(ada.writer, own.id, None, 10).await.unwrap().len(), 2, "all of it is there");
        world.store.begin(fence, lane[0].id, 0).await.unwrap();
        let nobody = UserId::from_uuid(Uuid::from_u128(404));
        assert!(matches!(world.store.suspend_user(nobody, None).await, Err(StoreError::NotFound(_))));
    }

    async fn who_is_being_deleted_is_neither_suspended_nor_restored_and_sends_nothing(world) {
        let ada = people(&world.store, 1).await;
        assert!(world.store.suspend_user(ada.user, None).await.unwrap());
        world.store.begin_erasure(ada.user).await.unwrap();
        assert!(!world.store.restore_user(ada.user).await.unwrap());
        assert!(!world.store.suspend_user(ada.user, None).await.unwrap());
        assert!(world.store.standing(ada.user).await.unwrap().suspended);
        assert_eq!(world.store.dying().await.unwrap().len(), 1);
    }

    async fn a_plan_is_given_and_replaced(world) {
        let people = people(&world.store, 1).await;
        assert_eq!(world.store.standing(people.user).await.unwrap().plan, None);
        world.store.set_user_plan(people.user, &plan("pro"), Some(77)).await.unwrap();
        world.store.set_user_plan(people.user, &plan("free"), None).await.unwrap();
        let given = world.store.user_plan(people.user).await.unwrap().unwrap();
        assert_eq!((given.plan, given.until, given.state.as_str()), (plan("free"), None, "active"));
        let nobody = UserId::from_uuid(Uuid::from_u128(404));
        let refused = world.store.set_user_plan(nobody, &plan("free"), None).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    }

    async fn a_plans_pairs_are_counted_exactly_by_many_at_once(world) {
        let people = people(&world.store, 1).await;
        let new = |n: u128| Pair {
            id: PairId::from_uuid(Uuid::from_u128(n)),
            user: people.user,
            source_account: people.reader,
            source: place(switchyard_actors::model::Platform::Telegram, i64::try_from(n).unwrap()),
            target_account: people.writer,
            target: place(switchyard_actors::model::Platform::Discord, 900),
            paused: std::collections::BTreeSet::new(),
        };
        let other = world.open_as(2).await;
        let adds = (1..=12).map(|n| {
            let (store, new) = (if n % 2 == 0 { &other } else { &world.store }, new(n));
            async move { store.add_pair_within(&new, Some(5)).await.unwrap() }
        });
        let added = futures_util::future::join_all(adds).await;
        assert_eq!(added.iter().filter(|added| **added == Added::Made).count(), 5);
        assert_eq!(world.store.pairs_of(people.user).await.unwrap().len(), 5);
    }

    async fn two_editors_of_a_pair_notice_each_other(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let first = world.store.pair_record(pair.id).await.unwrap();
        assert_eq!((first.version, first.name.as_deref()), (1, None));
        let named = |version, name: &str| PairChange {
            version: Some(version),
            name: Some(Some(name.to_owned())),
            pauses: vec![(PauseCause::User, true)],
        };
        let other = world.open_as(2).await;
        let (one, two) = tokio::join!(
            world.store.change_pair(pair.id, named(1, "one")),
            other.change_pair(pair.id, named(1, "two")),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!((one == ChangedPair::Done) ^ (two == ChangedPair::Done), "{one:?} {two:?}");
        let now = world.store.pair_record(pair.id).await.unwrap();
        assert_eq!((now.version, now.pair.paused.len()), (2, 1));
        world.store.set_pause(pair.id, PauseCause::Admin, true).await.unwrap();
        let stale = world.store.change_pair(pair.id, named(2, "late")).await.unwrap();
        assert_eq!(stale, ChangedPair::Stale { version: 3 }, "a pause is a change too");
        let unnamed = PairChange { name: Some(None), ..PairChange::default() };
        assert_eq!(world.store.change_pair(pair.id, unnamed).await.unwrap(), ChangedPair::Done);
        assert_eq!(world.store.pair_record(pair.id).await.unwrap().name, None);
    }
}
