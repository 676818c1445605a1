//! Outages of platform and store: nothing is lost, nothing is given up.

use std::time::Duration;

use switchyard_actors::model::{AccountState, DeadReason, SendOutcome};
use switchyard_actors::ports::{ConnectionError, Directory as _};
use switchyard_actors::supervision::{NodeState, Phase};

use crate::world::{World, account, run, target};

#[test]
fn an_hour_without_a_platform_kills_no_message() {
    run(|| async {
        let world = World::start(1, 3, "").await;
        let down = SendOutcome::Backoff { error: "503".to_owned() };
        world.platform.script(account(1), std::iter::repeat_n(down, 120));
        for n in 0..3 {
            for id in 1..=4 {
                world.write(n, id, &format!("{id}"));
            }
        }
        world.pass(Duration::from_secs(600)).await;
        assert!(world.store.dead().is_empty());
        for n in 0..3 {
            assert_eq!(world.arrived(n, 4).await, ["1", "2", "3", "4"]);
        }
        let kinds: Vec<String> = world.store.alerts().into_iter().map(|alert| alert.kind).collect();
        assert!(kinds.contains(&"queue.circuit_open".to_owned()), "{kinds:?}");
        assert!(kinds.contains(&"queue.circuit_closed".to_owned()), "{kinds:?}");
    });
}

#[test]
fn an_unreachable_platform_is_waited_for_without_parking() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let down = ConnectionError::Unreachable("refused".to_owned());
        for id in [account(0), account(1)] {
            world.platform.refuse_connect(id, Some(down.clone()));
            world.root.operator().reconnect(id).await.expect("an answer");
        }
        world.write(0, 1, "written meanwhile");
        world.pass(Duration::from_secs(3_600)).await;
        let session = world.node(&format!("sessions/{}", account(0)));
        assert_eq!(session.state, NodeState::Running);
        assert!(
            session.observable["connection"] == "waiting_to_retry"
                || session.observable["connection"] == "connecting"
        );
        for id in [account(0), account(1)] {
            world.platform.refuse_connect(id, None);
        }
        assert_eq!(world.arrived(0, 1).await, ["written meanwhile"]);
    });
}

#[test]
fn a_store_that_is_away_stops_the_flow_and_loses_nothing() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        for id in 1..=5 {
            world.write(0, id, &format!("{id}"));
        }
        world.pass(Duration::from_millis(50)).await;
        world.store.set_unavailable(true);
        for id in 1..=5 {
            world.write(1, id, &format!("{id}"));
        }
        world.pass(Duration::from_secs(300)).await;
        world.store.set_unavailable(false);
        for n in 0..2 {
            assert_eq!(world.arrived(n, 5).await, ["1", "2", "3", "4", "5"]);
        }
    });
}

#[test]
fn a_message_that_fails_alone_is_dead_after_its_tries_and_the_others_go_on() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        // Target 0 refuses eight times while messages of lane 1 go through: the account as a whole works.
        let bad = SendOutcome::Backoff { error: "500".to_owned() };
        world.platform.script_at(target(0), std::iter::repeat_n(bad, 8));
        world.write(0, 1, "bad");
        world.write(0, 2, "next");
        for id in 1..=2_000 {
            world.write(1, id, &format!("{id}"));
            world.pass(Duration::from_millis(200)).await;
        }
        assert_eq!(world.arrived(0, 1).await, ["next"]);
        let dead: Vec<DeadReason> = world.store.dead().into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(dead, [DeadReason::Exhausted("500".to_owned())]);
    });
}

#[test]
fn without_a_key_a_send_of_unknown_outcome_is_repeated_and_counted() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        world.platform.take_no_keys(account(2));
        for n in 0..2 {
            let lost = SendOutcome::Unclear { error: "no answer".to_owned() };
            world.platform.script(account(1 + n), [lost]);
            world.write(n, 1, "first");
            world.write(n, 2, "second");
        }
        assert_eq!(world.arrived(0, 2).await, ["first", "second"], "the key tells");
        assert_eq!(world.arrived(1, 3).await, ["first", "first", "second"], "better twice than lost");
        world.pass(Duration::from_secs(1)).await;
        let counted = |n| world.node(&format!("queues/{}", account(n))).observable["maybe_twice"].clone();
        assert_eq!((counted(1), counted(2)), (0.into(), 1.into()));
    });
}

#[test]
fn a_store_that_fails_between_claim_and_plan_makes_no_poison() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.store.set_unreadable(true);
        world.write(0, 1, "sound");
        world.pass(Duration::from_secs(120)).await;
        world.store.set_unreadable(false);
        assert_eq!(world.arrived(0, 1).await, ["sound"]);
        assert_eq!(world.store.skips(), []);
    });
}

#[test]
fn a_need_for_login_is_noted_once_the_store_is_back() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(1)).await;
        world.store.set_unavailable(true);
        let over = ConnectionError::NeedsLogin("AUTH_KEY_UNREGISTERED".to_owned());
        world.platform.hang_up(|caller| caller.account == account(0), &over);
        world.pass(Duration::from_secs(60)).await;
        world.store.set_unavailable(false);
        world.state(&format!("sessions/{}", account(0)), NodeState::Parked).await;
        let state = world.store.account(account(0)).await.expect("there").state;
        assert_eq!(state, AccountState::NeedsLogin);
    });
}

#[test]
fn a_send_that_never_ends_is_made_again_though_the_queue_is_busy_all_the_time() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        let day = Duration::from_secs(86_400);
        world.platform.set_round_trip(day);
        world.write(0, 1, "hangs");
        world.pass(Duration::from_secs(1)).await;
        world.platform.set_round_trip(Duration::from_millis(20));
        for id in 1..=30 {
            world.write(1, id, &id.to_string());
            world.pass(Duration::from_secs(5)).await;
        }
        assert_eq!(world.platform.texts(target(0)), ["hangs"], "two and a half minutes later");
        assert_eq!(world.arrived(1, 30).await.len(), 30);
        let queue = world.node(&format!("queues/{}", account(1)));
        let failure = queue.last_failure.expect("a failure").failure;
        assert_eq!((failure.phase, queue.restarts_total), (Phase::Stuck, 1), "{failure}");
        world.pass(day).await;
        assert_eq!(world.platform.texts(target(0)), ["hangs"], "nor does the first come late");
    });
}
