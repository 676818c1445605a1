//! Rate limits in the store: never more than the limit in any window, all subjects or none, over restarts and over nodes.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use switchyard::services::caller::Caller;
use switchyard::services::entry::Via;
use switchyard::services::limiter::{Allowance, ApiLimit, CallLimits, FixedLimits, Limiter, Subject};
use switchyard::store::{Asked, RateLimits, RateLimitsConfig, Store};
use switchyard_actors::model::{ApiKeyId, UserId};
use switchyard_actors::ports::{Clock, Jobs};
use uuid::Uuid;

use crate::harness::store::Fixture;

fn limit(requests: u32, window: Duration) -> ApiLimit {
    ApiLimit { requests: NonZeroU32::new(requests).unwrap(), window }
}

fn asked(subject: &str, limit: ApiLimit) -> Asked {
    Asked { subject: subject.to_owned(), limit }
}

fn limits(store: &Store) -> RateLimits {
    limits_of(store, 1_000)
}

fn limits_of(store: &Store, subjects_max: usize) -> RateLimits {
    RateLimits::new(
        store.clone(),
        RateLimitsConfig { subjects_max: NonZeroUsize::new(subjects_max).unwrap() },
    )
}

fn is_shared(world: &Fixture) -> bool {
    world.store.group_stats().is_none()
}

const MINUTE: Duration = Duration::from_secs(60);

on_both_databases! {
    /// Random calls of several subjects at once, restarts between them: judged by a log of every grant.
    async fn no_window_of_any_subject_ever_holds_more_than_its_limit(world) {
        let policies: BTreeMap<&str, ApiLimit> = BTreeMap::from([
            ("a", limit(7, Duration::from_secs(10))),
            ("b", limit(40, Duration::from_secs(10))),
            ("c", limit(1, Duration::from_millis(700))),
        ]);
        let mut granted: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let mut rates = limits(&world.store);
        // A fixed sequence: a linear congruential generator (Knuth, MMIX).
        let mut state = 20_261_123_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut yes, mut no) = (0, 0);
        for _ in 0..600 {
            world.clock.advance(Duration::from_millis(random(500)));
            if random(40) == 0 {
                // As a crash: nothing is written on the way out.
                rates = limits(&world.store);
            }
            let wanted: Vec<&str> = policies.keys().copied().filter(|_| random(3) > 0).collect();
            let question: Vec<Asked> = wanted.iter().map(|name| asked(name, policies[name])).collect();
            let taken = rates.take(&question).await.unwrap();
            if taken.granted {
                yes += 1;
                for name in &wanted {
                    granted.entry(name).or_default().push(world.clock.millis());
                }
            } else {
                no += 1;
            }
            for (name, policy) in &policies {
                let since = world.clock.millis() - i64::try_from(policy.window.as_millis()).unwrap();
                let inside = granted.get(name).map_or(0, |all| all.iter().filter(|at| **at > since).count());
                assert!(inside <= usize::try_from(policy.requests.get()).unwrap(), "{name}: {inside}");
            }
        }
        assert!(yes > 50 && no > 50, "both answers were given: {yes}, {no}");
    }

    async fn a_refused_request_takes_from_none(world) {
        let rates = limits(&world.store);
        let (tight, wide) = (asked("tight", limit(1, MINUTE)), asked("wide", limit(10, MINUTE)));
        let both = [tight.clone(), wide.clone()];
        assert!(rates.take(&both).await.unwrap().granted);
        for _ in 0..5 {
            let taken = rates.take(&both).await.unwrap();
            assert!(!taken.granted);
            let standing = taken.standings[0].unwrap();
            assert_eq!(standing.remaining, 0);
            assert!(standing.reset > Duration::from_secs(59) && standing.reset <= Duration::from_secs(61), "{standing:?}");
        }
        let left = rates.take(&[wide]).await.unwrap().standings[0].unwrap();
        assert_eq!(left.remaining, 8, "the refused ones took nothing");
    }

    async fn what_is_left_and_when_it_comes_back_is_told(world) {
        let rates = limits(&world.store);
        let one = [asked("one", limit(3, MINUTE))];
        for remaining in [2, 1, 0] {
            let taken = rates.take(&one).await.unwrap();
            assert!(taken.granted);
            assert_eq!(taken.standings[0].unwrap().remaining, remaining);
            world.clock.advance(Duration::from_secs(10));
        }
        let refused = rates.take(&one).await.unwrap();
        let wait = refused.standings[0].unwrap().reset;
        assert!(!refused.granted);
        world.clock.advance(wait - Duration::from_millis(1));
        assert!(!rates.take(&one).await.unwrap().granted, "one millisecond too early");
        world.clock.advance(Duration::from_millis(1));
        assert!(rates.take(&one).await.unwrap().granted, "as it was told");
    }

    /// What a crash forgets is at most what was booked, and never to the good of the caller.
    async fn a_restart_grants_nothing_again_and_costs_little(world) {
        let one = [asked("one", limit(160, MINUTE))];
        let rates = limits(&world.store);
        for _ in 0..100 {
            assert!(rates.take(&one).await.unwrap().granted);
        }
        drop(rates);
        let rates = limits(&world.store);
        let mut more = 0;
        while rates.take(&one).await.unwrap().granted {
            more += 1;
        }
        assert!(more <= 60, "{more} beside 100 of 160");
        assert!(more >= 50, "a booking of a sixteenth is what a crash may cost: {more}");
        world.clock.advance(MINUTE * 2);
        assert!(rates.take(&one).await.unwrap().granted);
    }

    async fn many_at_once_get_exactly_the_limit(world) {
        let rates = Arc::new(limits(&world.store));
        let calls = (0..200).map(|number| {
            let rates = Arc::clone(&rates);
            tokio::spawn(async move {
                let key = asked(&format!("key {}", number % 10), limit(30, MINUTE));
                rates.take(&[asked("user", limit(50, MINUTE)), key]).await.unwrap().granted
            })
        });
        let answers = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
        assert_eq!(answers.into_iter().filter(|granted| *granted.as_ref().unwrap()).count(), 50);
    }

    /// Ten keys of a user, each with the limit that the user has: through what the API asks.
    async fn ten_keys_of_a_user_never_exceed_the_users_limit(world) {
        let per_minute = limit(40, MINUTE);
        let limits = CallLimits::new(
            Arc::new(limits(&world.store)),
            Arc::new(Allowance { user: per_minute, key: per_minute }),
            FixedLimits { open: per_minute, admin: per_minute },
        );
        let user = UserId::from_uuid(Uuid::from_u128(7));
        let calls = (0..200_u128).map(|number| {
            let limits = limits.clone();
            tokio::spawn(async move {
                let key = ApiKeyId::from_uuid(Uuid::from_u128(100 + number % 10));
                limits.known(Caller::User(user), Via::ApiKey(key)).await.unwrap().unwrap()
            })
        });
        let mut granted = 0;
        for call in calls.collect::<Vec<_>>() {
            let verdict = call.await.unwrap();
            let names: Vec<_> = verdict.policies.iter().map(|policy| policy.name).collect();
            assert_eq!(names, ["user", "key"]);
            granted += usize::from(verdict.granted);
            assert!(verdict.granted || verdict.retry_after() > Duration::from_secs(58), "{verdict:?}");
        }
        assert_eq!(granted, 40);
        assert_eq!(limits.known(Caller::Operator, Via::OperatorToken).await.unwrap(), None);
        let other = UserId::from_uuid(Uuid::from_u128(8));
        assert!(limits.known(Caller::User(other), Via::OperatorToken).await.unwrap().unwrap().granted);
    }

    async fn a_larger_limit_is_felt_at_once(world) {
        let rates = limits(&world.store);
        assert!(rates.take(&[asked("one", limit(1, MINUTE))]).await.unwrap().granted);
        assert!(!rates.take(&[asked("one", limit(1, MINUTE))]).await.unwrap().granted);
        assert!(rates.take(&[asked("one", limit(2, MINUTE))]).await.unwrap().granted);
        assert!(!rates.take(&[asked("one", limit(2, MINUTE))]).await.unwrap().granted);
    }

    async fn memory_and_rows_are_bounded_and_nothing_is_granted_twice_for_that(world) {
        let rates = limits_of(&world.store, 8);
        for number in 0..40 {
            assert!(rates.take(&[asked(&format!("address {number}"), limit(1, MINUTE))]).await.unwrap().granted);
            assert!(rates.subjects() <= 9, "{}", rates.subjects());
        }
        for number in 0..40 {
            let again = rates.take(&[asked(&format!("address {number}"), limit(1, MINUTE))]).await.unwrap();
            assert!(!again.granted, "address {number}, forgotten in memory or not");
        }
        assert_eq!(world.numbers("SELECT count(*) FROM rate_limits").await, [40]);
        let before = chrono::DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(world.store.purge(before, 100).await.unwrap(), 0, "they still count");
        world.clock.advance(MINUTE * 3);
        assert_eq!(world.store.purge(before, 30).await.unwrap(), 30, "in batches");
        assert_eq!(world.store.purge(before, 30).await.unwrap(), 10);
        assert_eq!(world.numbers("SELECT count(*) FROM rate_limits").await, [0]);
        assert!(rates.take(&[asked("address 1", limit(1, MINUTE))]).await.unwrap().granted);
    }

    async fn a_refusal_asks_the_store_nothing(world) {
        let rates = limits(&world.store);
        let one = [asked("one", limit(2, MINUTE))];
        while rates.take(&one).await.unwrap().granted {}
        world.execute("DROP TABLE rate_limits").await;
        for _ in 0..100 {
            assert!(!rates.take(&one).await.unwrap().granted);
        }
        let other = rates.take(&[asked("other", limit(2, MINUTE))]).await;
        assert!(other.is_err(), "without a store nothing is granted: {other:?}");
    }
}

/// Two nodes, each with its own memory, on one PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_limit_exactly() {
    let Some(world) = Fixture::postgres().await else { return };
    assert!(is_shared(&world));
    let other = world.open_as(2).await;
    let nodes = [Arc::new(limits(&world.store)), Arc::new(limits(&other))];
    for round in 0..5 {
        let calls = (0..150_usize).map(|number| {
            let node = Arc::clone(&nodes[number % 2]);
            tokio::spawn(async move {
                let user = asked(&format!("user {round}"), limit(60, MINUTE));
                let key = asked(&format!("key {round}/{}", number % 10), limit(20, MINUTE));
                // In either order of subjects: rows are locked in one order all the same.
                let question = if number % 3 == 0 { [key, user] } else { [user, key] };
                node.take(&question).await.unwrap().granted
            })
        });
        let answers = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
        let granted = answers.into_iter().filter(|granted| *granted.as_ref().unwrap()).count();
        assert_eq!(granted, 60, "round {round}");
    }
}

#[tokio::test]
async fn addresses_are_counted_by_their_block() {
    let world = Fixture::sqlite().await;
    let rates = limits(&world.store);
    let once = limit(1, MINUTE);
    let from = |address: &str| [Subject::Address(address.parse().unwrap(), once)];
    assert!(Limiter::take(&rates, &from("2001:db8::1")).await.unwrap().granted);
    assert!(!Limiter::take(&rates, &from("2001:db8::2")).await.unwrap().granted);
    assert!(Limiter::take(&rates, &from("2001:db8:0:1::1")).await.unwrap().granted);
    assert!(world.clock.now() > chrono::DateTime::<Utc>::UNIX_EPOCH);
}
