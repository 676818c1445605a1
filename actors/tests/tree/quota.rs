//! Messages of the day: exact over all queues of a user, nothing dropped, order kept, and told once.

use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::model::{Day, SendOutcome, SourceEvent};
use switchyard_actors::ports::Clock as _;

use crate::world::{World, account, run, source, target, user};

const HOUR: Duration = Duration::from_secs(3_600);

fn numbers(to: i64) -> Vec<String> {
    (1..=to).map(|id| id.to_string()).collect()
}

/// A world whose user has a plan, and whose store counts by the world's clock.
async fn start(targets: u128, pairs: u128, plan: &str) -> World {
    let world = World::start(targets, pairs, "").await;
    count(&world);
    world.store.set_plan(user(), Some(plan.parse().expect("a name")));
    world.root.operator().plan_changed(user()).await.expect("taken over");
    world
}

fn count(world: &World) {
    let clock = Arc::clone(&world.clock);
    world.store.count_by(move || Day::of(clock.now().timestamp_millis()));
}

fn today(world: &World) -> Day {
    Day::of(world.clock.now().timestamp_millis())
}

fn arrived(world: &World, pairs: u128) -> usize {
    (0..pairs).map(|n| world.platform.texts(target(n)).len()).sum()
}

fn told(world: &World) -> usize {
    world.store.alerts().iter().filter(|alert| alert.kind == "quota.reached").count()
}

#[test]
fn many_queues_of_one_user_never_send_more_than_the_plan_says() {
    run(|| async {
        let world = start(4, 8, "small").await;
        for id in 1..=5 {
            for n in 0..8 {
                world.write(n, id, &id.to_string());
            }
        }
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 8), 10);
        assert_eq!(world.store.used(user(), today(&world)), 10);
        let view = world.root.operator().allowance(user());
        assert_eq!((view.limit, view.delivered), (Some(10), 10));
        assert!(view.waiting > 0 && view.resets_at.timestamp_millis() == today(&world).end());
        let queue = world.node(&format!("queues/{}", account(1)));
        assert!(queue.observable["plan_limit_until"].is_string(), "{:?}", queue.observable);
        assert_eq!(told(&world), 1, "once, and not for each queue");
        for day in 1..4 {
            world.pass(24 * HOUR).await;
            assert_eq!(arrived(&world, 8), (10 * (day + 1)).min(40));
        }
        for n in 0..8 {
            assert_eq!(world.platform.texts(target(n)), numbers(5), "in order, none dropped");
        }
        assert_eq!(told(&world), 3, "once a day, while something waits");
        assert_eq!(world.store.unsettled(), (0, 0));
    });
}

#[test]
fn another_plan_lets_go_at_once() {
    run(|| async {
        let world = start(1, 1, "small").await;
        for id in 1..=30 {
            world.write(0, id, &id.to_string());
        }
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 1), 10);
        world.store.set_plan(user(), Some("large".parse().expect("a name")));
        world.root.operator().plan_changed(user()).await.expect("taken over");
        let begun = tokio::time::Instant::now();
        world.arrived(0, 20).await;
        assert!(begun.elapsed() < Duration::from_secs(25), "woken, not polled: {:?}", begun.elapsed());
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 1), 20, "what was used before counts");
        world.store.set_plan(user(), None);
        world.root.operator().plan_changed(user()).await.expect("taken over");
        assert_eq!(world.arrived(0, 30).await, numbers(30));
    });
}

#[test]
fn a_plan_that_was_given_until_a_time_ends_by_itself() {
    run(|| async {
        let world = start(1, 1, "small").await;
        let until = world.clock.now().timestamp_millis() + 2 * 3_600_000;
        world.store.set_plan_until(user(), "small".parse().expect("a name"), until);
        world.root.operator().plan_changed(user()).await.expect("taken over");
        for id in 1..=30 {
            world.write(0, id, &id.to_string());
        }
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 1), 10);
        assert_eq!(world.root.operator().allowance(user()).limit, Some(10));
        world.pass(HOUR + Duration::from_secs(600)).await;
        assert_eq!(
            world.platform.texts(target(0)),
            numbers(30),
            "the plan after it has no limit, and nobody said a word"
        );
        assert_eq!(world.root.operator().allowance(user()).limit, None);
    });
}

#[test]
fn edits_and_deletions_cost_nothing() {
    run(|| async {
        let world = start(1, 2, "small").await;
        for id in 1..=10 {
            world.write(0, id, &id.to_string());
        }
        world.arrived(0, 10).await;
        let mut edited = world.message(source(0), 1, "changed");
        edited.edited_at = Some(world.clock.now());
        world.platform.write(account(0), SourceEvent::Edited(edited));
        world
            .platform
            .write(account(0), SourceEvent::Deleted { place: source(0), id: crate::world::message_id(2) });
        world.write(1, 1, "waits");
        world.pass(HOUR).await;
        let texts = world.platform.texts(target(0));
        assert_eq!((texts.len(), texts[0].as_str()), (9, "changed"));
        assert!(world.platform.texts(target(1)).is_empty());
    });
}

#[test]
fn a_message_that_is_given_up_is_not_counted() {
    run(|| async {
        let world = start(1, 1, "small").await;
        let refused = || SendOutcome::Refused { error: "no".to_owned() };
        world.platform.script(account(1), [refused(), refused(), refused()]);
        for id in 1..=14 {
            world.write(0, id, &id.to_string());
        }
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 1), 10);
        assert_eq!(world.platform.texts(target(0)).first().map(String::as_str), Some("4"));
        assert_eq!(world.store.used(user(), today(&world)), 10);
    });
}

#[test]
fn a_kill_in_the_middle_neither_gives_nor_takes_messages() {
    run(|| async {
        for after in [30, 60, 85, 250] {
            let first = start(2, 6, "small").await;
            for id in 1..=5 {
                for n in 0..6 {
                    first.write(n, id, &id.to_string());
                }
            }
            first.pass(Duration::from_millis(after)).await;
            first.root.kill();
            let clock = Arc::clone(&first.clock);
            let again = World::at(clock, first.store.clone(), first.platform.clone(), "").await;
            again.pass(HOUR).await;
            assert_eq!(arrived(&again, 6), 10, "killed after {after} ms");
            assert_eq!(again.store.used(user(), today(&again)), 10);
            again.pass(24 * HOUR).await;
            assert_eq!(arrived(&again, 6), 20);
            again.root.kill();
        }
    });
}

#[test]
fn a_queue_that_crashes_over_and_over_does_not_overshoot() {
    run(|| async {
        let world = World::start(2, 4, "").await;
        count(&world);
        world.store.set_plan(user(), Some("small".parse().expect("a name")));
        world.root.operator().plan_changed(user()).await.expect("taken over");
        for id in 1..=10 {
            for n in 0..4 {
                world.write(n, id, &id.to_string());
            }
        }
        for _ in 0..6 {
            world.pass(Duration::from_millis(90)).await;
            for n in 1..=2 {
                let path = format!("queues/{}", account(n));
                let path = switchyard_actors::supervision::ChildPath::parse(&path).expect("a path");
                world.root.operator().restart(&path).await.expect("restarted");
            }
        }
        world.pass(HOUR).await;
        assert_eq!(arrived(&world, 4), 10);
        assert_eq!(world.store.used(user(), today(&world)), 10);
    });
}
