//! Messages arrive once and in order; poison is isolated; a drain loses nothing.

use std::time::Duration;

use switchyard_actors::model::{HoldScope, SendOutcome, SkipReason};
use switchyard_actors::supervision::{ChildPath, NodeState};

use crate::world::{World, account, pair, run};

#[test]
fn messages_arrive_once_and_in_order() {
    run(|| async {
        let world = World::start(2, 4, "").await;
        for id in 1..=50 {
            for n in 0..4 {
                world.write(n, id, &format!("{id}"));
            }
        }
        // The source repeats itself after a reconnect.
        world.write(0, 50, "50");
        for n in 0..4 {
            assert_eq!(world.arrived(n, 50).await, (1..=50).map(|id| id.to_string()).collect::<Vec<_>>());
        }
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.platform.sent().len(), 200);
        assert_eq!(world.store.unsettled(), (0, 0));
    });
}

#[test]
fn an_unclear_send_is_repeated_under_its_key_and_arrives_once() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let lost = || SendOutcome::Unclear { error: "timeout".to_owned() };
        world.platform.script(account(1), [lost(), lost()]);
        for id in 1..=3 {
            world.write(0, id, &format!("m{id}"));
        }
        assert_eq!(world.arrived(0, 3).await, ["m1", "m2", "m3"]);
    });
}

#[test]
fn s43_an_event_that_kills_its_pair_is_skipped_as_poison_and_the_next_goes_on() {
    run(|| async {
        let world = World::start(1, 1, &format!("pair.plan@{}=panic*3", pair(0))).await;
        world.write(0, 1, "poison?");
        world.write(0, 2, "next");
        // Three panics are within the intensity; the fourth attempt goes through, so nothing is lost.
        assert_eq!(world.arrived(0, 2).await, ["poison?", "next"]);
        assert_eq!(world.node(&format!("pairs/{}", pair(0))).restarts_total, 3);
    });
    run(|| async {
        let world = World::start(1, 1, &format!("pair.plan@{}=fail*8", pair(0))).await;
        world.write(0, 1, "poison");
        world.write(0, 2, "next");
        let path = format!("pairs/{}", pair(0));
        // Parked first, and again after an operator tried: only then is the event given up, with a reason.
        for _ in 0..2 {
            world.state(&path, NodeState::Parked).await;
            assert_eq!(world.store.skips(), []);
            world.root.tree().restart(&ChildPath::parse(&path).unwrap()).expect("a restart");
        }
        assert_eq!(world.arrived(0, 1).await, ["next"]);
        assert_eq!(world.store.skips(), [(pair(0), SkipReason::Poison)]);
        world.state(&path, NodeState::Running).await;
        let alerts = world.store.alerts();
        let alert = alerts.iter().find(|alert| alert.kind == "pair.poison").expect("an alert");
        assert_eq!(alert.subject, path);
        assert!(alert.text.contains("message 1") && alert.text.contains("pair.plan"), "{}", alert.text);
    });
}

#[test]
fn a_drain_during_a_platforms_wait_is_short_and_loses_nothing() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let hour = SendOutcome::RetryAfter { wait: Duration::from_secs(3_600), scope: HoldScope::Account };
        world.platform.script(account(1), [hour]);
        for id in 1..=3 {
            world.write(0, id, &format!("m{id}"));
        }
        world.pass(Duration::from_secs(5)).await;
        let started = tokio::time::Instant::now();
        let report = world.root.drain(Duration::from_secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "drained after {:?}", started.elapsed());
        assert_eq!(world.store.unsettled().1, 3);

        // The next process honours the wait that the last one was told.
        let started = tokio::time::Instant::now();
        let World { store, platform, .. } = world;
        let again = World::over(store, platform, "").await;
        assert_eq!(again.arrived(0, 3).await, ["m1", "m2", "m3"]);
        assert!(
            started.elapsed() >= Duration::from_secs(3_590),
            "the wait was shortened to {:?}",
            started.elapsed()
        );
    });
}

#[test]
fn nothing_is_left_of_a_tree_that_is_drained_and_dropped() {
    run(|| async {
        let World { store, platform, clock, root } = World::start(2, 3, "").await;
        platform.write(account(0), World::new_message(&clock, 0, 1, "x"));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(platform.texts(crate::world::target(0)), ["x"]);
        assert!(root.drain(Duration::from_secs(30)).await.is_clean());
        drop(root);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(std::sync::Arc::strong_count(&store), 1, "ports are held by somebody");
        assert!(platform.connected().is_empty());
    });
}
