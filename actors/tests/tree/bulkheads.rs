//! One bad pair or account never delays another.

use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::model::{Account, AccountKind, HoldScope, SendOutcome};
use switchyard_actors::ports::ConnectionError;
use switchyard_actors::supervision::{ChildPath, NodeState};
use switchyard_actors::testkit::{FakePlatform, MemoryStore};
use switchyard_actors::tree::{ReconnectError, Reconnected};

use crate::world::{World, account, pair, run};

#[test]
fn a_pair_that_panics_is_parked_alone_and_its_messages_wait_for_it() {
    run(|| async {
        let world = World::start(1, 3, &format!("pair.plan@{}=panic*4", pair(1))).await;
        for n in 0..3 {
            for id in 1..=5 {
                world.write(n, id, &format!("{id}"));
            }
        }
        let path = format!("pairs/{}", pair(1));
        world.state(&path, NodeState::Parked).await;
        for n in [0, 2] {
            assert_eq!(world.arrived(n, 5).await.len(), 5);
        }
        assert_eq!(world.arrived(1, 0).await, Vec::<String>::new());
        let failure = world.node(&path).last_failure.expect("a failure").failure;
        assert_eq!(failure.text, "failpoint pair.plan");
        assert!(
            world.store.alerts().iter().any(|alert| alert.kind == "actor.parked" && alert.subject == path)
        );

        world.write(1, 6, "6");
        world.root.tree().restart(&ChildPath::parse(&path).unwrap()).expect("a restart");
        assert_eq!(world.arrived(1, 6).await, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(world.node(&path).state, NodeState::Running);
    });
}

#[test]
fn a_wait_for_one_account_delays_that_account_only_and_is_served_in_full() {
    run(|| async {
        let world = World::start(2, 4, "").await;
        let wait = Duration::from_secs(300);
        world.platform.script(account(1), [SendOutcome::RetryAfter { wait, scope: HoldScope::Account }]);
        let started = tokio::time::Instant::now();
        for id in 1..=5 {
            for n in 0..4 {
                world.write(n, id, &format!("{id}"));
            }
        }
        for n in [1, 3] {
            world.arrived(n, 5).await;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the other account waited {:?}",
            started.elapsed()
        );
        for n in [0, 2] {
            assert_eq!(world.arrived(n, 5).await, ["1", "2", "3", "4", "5"]);
        }
        // One send of account 1 may have been in flight when the wait was told; no later one may come early.
        let early = |part: &&switchyard_actors::testkit::SentPart| {
            [crate::world::target(0), crate::world::target(2)].contains(&part.target)
                && part.at < started + wait
                && part.at > started + Duration::from_secs(1)
        };
        assert_eq!(world.platform.sent().iter().filter(early).count(), 0);
    });
}

#[test]
fn a_wait_for_one_chat_delays_that_chat_only() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        let wait = Duration::from_secs(300);
        world.platform.script(account(1), [SendOutcome::RetryAfter { wait, scope: HoldScope::Chat }]);
        world.write(0, 1, "slow");
        world.pass(Duration::from_secs(1)).await;
        let started = tokio::time::Instant::now();
        world.write(1, 1, "free");
        world.arrived(1, 1).await;
        assert!(started.elapsed() < Duration::from_secs(5));
        world.arrived(0, 1).await;
        assert!(started.elapsed() >= wait - Duration::from_secs(2));
    });
}

#[test]
fn a_wait_for_the_network_address_holds_every_account() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        let wait = Duration::from_secs(300);
        world.platform.script(account(1), [SendOutcome::RetryAfter { wait, scope: HoldScope::Egress }]);
        world.write(0, 1, "first");
        world.pass(Duration::from_secs(1)).await;
        let started = tokio::time::Instant::now();
        world.write(1, 1, "another account's");
        world.arrived(1, 1).await;
        assert!(started.elapsed() >= wait - Duration::from_secs(2), "after {:?}", started.elapsed());
        assert_eq!(world.arrived(0, 1).await, ["first"]);
        assert_eq!(world.node("throttles/egress/direct").observable["holds"], 1);
    });
}

#[test]
fn a_target_that_refuses_pauses_its_pair_only() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        world.platform.script(account(1), [SendOutcome::PausePair { error: "50001".to_owned() }]);
        world.write(0, 1, "refused");
        world.pass(Duration::from_secs(2)).await;
        world.write(1, 1, "fine");
        world.write(0, 2, "waits");
        assert_eq!(world.arrived(1, 1).await, ["fine"]);
        world.pass(Duration::from_secs(120)).await;
        assert_eq!(world.arrived(0, 0).await, Vec::<String>::new());
        let paused = world.node(&format!("pairs/{}", pair(0))).observable["paused"].clone();
        assert_eq!(paused, serde_json::json!(["permission"]));
        assert!(world.store.alerts().iter().any(|alert| alert.kind == "pair.paused"));
    });
}

#[test]
fn a_revoked_session_is_parked_and_says_that_it_needs_login() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        world.platform.script(account(1), [SendOutcome::SessionDead { error: "401".to_owned() }]);
        world.write(0, 1, "kept");
        world.write(1, 1, "goes");
        assert_eq!(world.arrived(1, 1).await, ["goes"]);
        world.state(&format!("sessions/{}", account(1)), NodeState::Parked).await;
        let refused = world.root.operator().reconnect(account(1)).await;
        assert!(matches!(refused, Err(ReconnectError::NeedsLogin(id)) if id == account(1)));
        world.pass(Duration::from_secs(3_600)).await;
        assert_eq!(world.store.unsettled().1, 1, "its message waits in the outbox");
        assert!(world.store.dead().is_empty());
    });
}

#[test]
fn a_bot_whose_session_ends_in_use_signs_in_again_and_parks_only_when_it_is_refused() {
    run(|| async {
        let store = Arc::new(MemoryStore::default());
        store.add_account(World::account_of(0));
        store.add_account(Account { kind: AccountKind::TelegramBot, ..World::account_of(1) });
        store.add_pair(World::pair_of(0, 1));
        let world = World::over(store, FakePlatform::default(), "").await;
        let dead = || SendOutcome::SessionDead { error: "401".to_owned() };
        world.platform.script(account(1), [dead()]);
        world.write(0, 1, "first");
        world.write(0, 2, "second");
        assert_eq!(world.arrived(0, 2).await, ["first", "second"]);
        assert!(world.store.alerts().iter().all(|alert| alert.kind != "session.needs_login"));

        let refused = ConnectionError::NeedsLogin("token refused".to_owned());
        world.platform.refuse_connect(account(1), Some(refused));
        world.platform.script(account(1), [dead()]);
        world.write(0, 3, "kept");
        world.state(&format!("sessions/{}", account(1)), NodeState::Parked).await;
        assert!(world.store.alerts().iter().any(|alert| alert.kind == "session.needs_login"));
        assert_eq!(world.store.unsettled().1, 1, "its message waits in the outbox");
        assert!(world.store.dead().is_empty());
    });
}

#[test]
fn an_operator_does_not_shorten_a_platforms_wait() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let reason = "session_start_limit".to_owned();
        let wait = ConnectionError::Wait { wait: Duration::from_secs(600), reason };
        world.platform.refuse_connect(account(1), Some(wait));
        world.root.operator().reconnect(account(1)).await.expect("an answer");
        world.pass(Duration::from_secs(1)).await;
        let connects = world.platform.connects(account(1));
        let answer = world.root.operator().reconnect(account(1)).await.expect("an answer");
        assert!(matches!(answer, Reconnected::WaitingUntil(_)));
        world.pass(Duration::from_secs(590)).await;
        assert_eq!(world.platform.connects(account(1)), connects);
        world.platform.refuse_connect(account(1), None);
        world.write(0, 1, "after");
        assert_eq!(world.arrived(0, 1).await, ["after"]);
    });
}
