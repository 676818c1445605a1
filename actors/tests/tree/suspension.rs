//! Suspending a user stops what is theirs at once and loses nothing; restoring lets it go on in order.

use std::time::Duration;

use switchyard_actors::model::PauseCause;
use switchyard_actors::ports::{ConnectionError, Directory as _, Routes as _};
use switchyard_actors::testkit::FakePlatform;
use switchyard_actors::tree::ReconnectError;
use tokio::time::Instant;

use crate::world::{World, account, pair, run, target, user};

const LIMIT: Duration = Duration::from_millis(500);

fn numbers(to: i64) -> Vec<String> {
    (1..=to).map(|id| id.to_string()).collect()
}

fn connection(world: &World, n: u128) -> String {
    let node = world.node(&format!("sessions/{}", account(n)));
    let word = node.observable.get("connection").and_then(|word| word.as_str());
    word.expect("a word").to_owned()
}

async fn suspend(world: &World) {
    world.store.set_suspended(user(), true);
    world.root.operator().user_suspended(user(), LIMIT).await.expect("suspended");
}

async fn restore(world: &World) {
    world.store.set_suspended(user(), false);
    world.root.operator().user_restored(user(), LIMIT).await.expect("restored");
}

#[test]
fn no_send_starts_after_the_answer_and_the_backlog_goes_out_in_order() {
    run(|| async {
        let world = World::start(3, 12, "").await;
        for id in 1..=50 {
            for n in 0..12 {
                world.write(n, id, &id.to_string());
            }
        }
        world.arrived(0, 10).await;
        suspend(&world).await;
        let answered = Instant::now();
        let arrived: Vec<_> = (0..12).map(|n| world.platform.texts(target(n)).len()).collect();
        assert!(arrived.iter().all(|count| (1..50).contains(count)), "in the middle of it: {arrived:?}");
        for id in 51..=60 {
            for n in 0..12 {
                world.write(n, id, &id.to_string());
            }
        }
        world.pass(Duration::from_secs(600)).await;
        assert!(world.platform.sent().iter().all(|part| part.at <= answered), "nothing after the answer");
        for n in 0..=3 {
            assert_eq!(connection(&world, n), "suspended");
        }
        restore(&world).await;
        for n in 0..12 {
            assert_eq!(world.arrived(n, 60).await, numbers(60), "target {n}");
        }
        assert_eq!(world.store.unsettled(), (0, 0));
    });
}

#[test]
fn a_suspended_user_stays_so_across_restarts_of_actors_and_process() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.write(0, 1, "1");
        world.arrived(0, 1).await;
        suspend(&world).await;
        let connects = world.platform.connects(account(1));
        for path in [format!("sessions/{}", account(1)), format!("queues/{}", account(1))] {
            let path = switchyard_actors::supervision::ChildPath::parse(&path).expect("a path");
            world.root.operator().restart(&path).await.expect("restarted");
        }
        let refused = world.root.operator().reconnect(account(1)).await;
        assert!(matches!(refused, Err(ReconnectError::Suspended(id)) if id == account(1)), "{refused:?}");
        world.pass(Duration::from_secs(120)).await;
        assert_eq!(world.platform.connects(account(1)), connects);
        world.root.kill();
        let (store, platform) = (world.store.clone(), world.platform.clone());
        let again = World::over(store, platform, "").await;
        again.write(0, 2, "2");
        again.pass(Duration::from_secs(120)).await;
        assert_eq!(connection(&again, 0), "suspended");
        assert_eq!(again.platform.connects(account(1)), connects);
        restore(&again).await;
        assert_eq!(again.arrived(0, 2).await, ["1", "2"]);
    });
}

#[test]
fn other_users_do_not_notice() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        let stranger = switchyard_actors::model::UserId::from_uuid(uuid::Uuid::from_u128(99));
        world.store.set_suspended(stranger, true);
        world.root.operator().user_suspended(stranger, LIMIT).await.expect("nothing to do");
        world.write(0, 1, "x");
        assert_eq!(world.arrived(0, 1).await, ["x"]);
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(connection(&world, 0), "connected");
    });
}

#[test]
fn restoring_lifts_no_other_pause() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        world.store.set_pause(pair(0), PauseCause::User, true).await.expect("noted");
        world.root.operator().pair_changed(pair(0)).await.expect("told");
        suspend(&world).await;
        for n in 0..2 {
            world.write(n, 1, "x");
        }
        restore(&world).await;
        assert_eq!(world.arrived(1, 1).await, ["x"]);
        world.pass(Duration::from_secs(120)).await;
        assert!(world.platform.texts(target(0)).is_empty(), "its owner paused it");
        let paused = world.store.pair(pair(0)).await.expect("there").paused;
        assert_eq!(paused.into_iter().collect::<Vec<_>>(), [PauseCause::User]);
    });
}

#[test]
fn a_platforms_wait_is_not_shortened_by_a_suspension() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let wait = ConnectionError::Wait { wait: Duration::from_secs(600), reason: "flood".to_owned() };
        world.platform.refuse_connect(account(1), Some(wait));
        world.root.operator().reconnect(account(1)).await.expect("ordered");
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(connection(&world, 1), "waiting_for_platform");
        world.platform.refuse_connect(account(1), None);
        let connects = world.platform.connects(account(1));
        suspend(&world).await;
        restore(&world).await;
        world.pass(Duration::from_secs(500)).await;
        assert_eq!(world.platform.connects(account(1)), connects, "the platform's wait counts");
        world.pass(Duration::from_secs(200)).await;
        assert_eq!(world.platform.connects(account(1)), connects + 1);
    });
}

#[test]
fn a_send_that_takes_longer_does_not_hold_the_answer_and_is_recorded() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.platform.set_round_trip(Duration::from_secs(20));
        for id in 1..=3 {
            world.write(0, id, &id.to_string());
        }
        world.pass(Duration::from_secs(5)).await;
        let asked = Instant::now();
        suspend(&world).await;
        assert!(asked.elapsed() <= 2 * LIMIT, "{:?}", asked.elapsed());
        world.pass(Duration::from_secs(300)).await;
        assert_eq!(world.platform.texts(target(0)), ["1"], "what was under way, and no more");
        assert_eq!(world.store.unsettled().1 + world.store.unsettled().0, 2, "and it is recorded");
        restore(&world).await;
        assert_eq!(world.arrived(0, 3).await, ["1", "2", "3"]);
    });
}

#[test]
fn a_user_who_comes_and_goes_many_times_loses_nothing() {
    run(|| async {
        let world = World::start(2, 4, "").await;
        let mut id = 0;
        for _ in 0..20 {
            for _ in 0..5 {
                id += 1;
                for n in 0..4 {
                    world.write(n, id, &id.to_string());
                }
            }
            world.pass(Duration::from_millis(70)).await;
            suspend(&world).await;
            world.pass(Duration::from_millis(10)).await;
            restore(&world).await;
        }
        for n in 0..4 {
            assert_eq!(world.arrived(n, 100).await, numbers(100));
        }
        assert_eq!(world.store.accounts().await.expect("there").len(), 3);
    });
}

#[test]
fn a_reading_that_is_overtaken_stops_no_pair() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        // What the pair reads of its suspension comes after what it reads of the end of that.
        world.store.slow_pair_reads([Duration::from_secs(5)]);
        suspend(&world).await;
        world.pass(Duration::from_secs(1)).await;
        restore(&world).await;
        world.pass(Duration::from_secs(10)).await;
        world.write(0, 1, "1");
        assert_eq!(world.arrived(0, 1).await, ["1"]);
    });
}

#[test]
fn a_tree_that_starts_with_a_suspended_user_connects_nothing() {
    run(|| async {
        let first = World::start(1, 1, "").await;
        first.root.kill();
        first.store.set_suspended(user(), true);
        let platform = FakePlatform::default();
        let world = World::over(first.store.clone(), platform, "").await;
        assert!(world.root.connected(Duration::from_secs(30)).await.expect("read"), "ready all the same");
        assert_eq!(world.platform.connects(account(0)) + world.platform.connects(account(1)), 0);
    });
}
