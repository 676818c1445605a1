//! An account that goes to another node: never are two connected, and what the first knew does not count any more.

use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::model::{AccountState, Fence, HoldScope, NodeId, SendOutcome};
use switchyard_actors::ports::{Directory as _, Lease as _, ThrottleMemory as _};
use switchyard_actors::supervision::{ChildPath, Intensity, NodeState, Policy, Probe};
use tokio::time::Instant;
use uuid::Uuid;

use crate::world::{World, account, config, pair, run};

/// A second node over the same store and platform, whose actors found everything taken.
async fn standby(world: &World) -> World {
    let node = NodeId::from_uuid(Uuid::from_u128(77));
    let store = Arc::new(world.store.on_node(node, world.clock.clone()));
    World::at(world.clock.clone(), store, world.platform.clone(), "").await
}

/// What works for the accounts 0 and 1 and the pair 0.
fn all_of_it() -> [String; 4] {
    [
        format!("queues/{}", account(1)),
        format!("pairs/{}", pair(0)),
        format!("sessions/{}", account(0)),
        format!("sessions/{}", account(1)),
    ]
}

/// Another node takes account 0; this one did not renew its lease for so long.
async fn taken_over(world: &World) -> Fence {
    let scheduler = ChildPath::parse("scheduler").expect("a path");
    world.root.tree().suspend(&scheduler).expect("held");
    world.pass(Duration::from_secs(95)).await;
    let node = NodeId::from_uuid(Uuid::from_u128(99));
    let other = world.store.on_node(node, world.clock.clone());
    other.renew(config().lease_ttl).await.expect("a lease");
    let fence = other.assign(account(0)).await.expect("taken");
    world.root.tree().resume(&scheduler).expect("goes on");
    world.pass(Duration::from_secs(10)).await;
    fence
}

#[test]
fn a_session_whose_account_went_to_another_node_does_not_connect_again() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(1)).await;
        let fence = taken_over(&world).await;
        assert!(world.root.operator().lease_lasts(), "the lease came back, the account did not");
        world.pass(Duration::from_secs(300)).await;
        assert_eq!(world.platform.connects(account(0)), 1);
        assert_eq!(world.platform.connects(account(1)), 2, "nobody else wanted it");
        assert_eq!(world.store.owner(account(0)), Some(fence));
        let node = world.node(&format!("sessions/{}", account(0)));
        let failure = node.last_failure.expect("a failure").failure.text;
        assert!(failure.contains("no longer ours"), "{failure}");
    });
}

#[test]
fn a_node_that_cannot_renew_its_lease_lets_go_before_others_may_connect() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(1)).await;
        world.store.set_unavailable(true);
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.platform.connected().len(), 2, "a short outage costs no connection");
        world.pass(Duration::from_secs(20)).await;
        assert!(world.platform.connected().is_empty(), "others may connect after 90 s");
        world.store.set_unavailable(false);
        world.write(0, 1, "after");
        assert_eq!(world.arrived(0, 1).await, ["after"]);
        assert_eq!(world.platform.connected().len(), 2);
    });
}

#[test]
fn a_node_that_stands_by_drains_cleanly() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let other = standby(&world).await;
        // What another node plans is told here too; nobody here handles it.
        for _ in 0..20 {
            other.root.operator().wake_lane(account(1), pair(0));
            other.pass(Duration::from_secs(1)).await;
        }
        for path in all_of_it() {
            assert_eq!(other.node(&path).state, NodeState::Parked, "{path}");
        }
        assert!(other.node(&format!("queues/{}", account(1))).depth > 0, "told before it was parked");
        let report = other.root.drain(Duration::from_secs(20)).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

/// A standby of five hours, whose parked actors are probed ever more seldom.
async fn probing_standby(world: &World) -> World {
    let node = NodeId::from_uuid(Uuid::from_u128(77));
    let store = Arc::new(world.store.on_node(node, world.clock.clone()));
    let probe = Some(Probe { interval: Duration::from_secs(60), cap: Duration::from_secs(3_600) });
    let policy =
        Policy { intensity: Intensity::new(3, Duration::from_secs(600)), probe, ..Policy::default() };
    let other = World::supervised(world.clock.clone(), store, world.platform.clone(), "", policy).await;
    other.pass(Duration::from_secs(5 * 3_600)).await;
    other
}

/// Waits until everything runs, and says how long that took.
async fn all_up(world: &World) -> Duration {
    let began = Instant::now();
    for path in all_of_it() {
        world.state(&path, NodeState::Running).await;
    }
    began.elapsed()
}

#[test]
fn a_standby_takes_over_as_soon_as_it_may_however_long_it_stood_by() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let other = probing_standby(&world).await;
        world.write(0, 1, "before");
        assert_eq!(other.arrived(0, 1).await, ["before"]);
        for path in all_of_it() {
            assert_eq!(other.node(&path).state, NodeState::Parked, "{path}");
        }
        world.root.kill();
        drop(world);
        let discord = Instant::now();
        other.state(&format!("queues/{}", account(1)), NodeState::Running).await;
        assert!(
            discord.elapsed() <= Duration::from_secs(15 + 6),
            "a lease and a look: {:?}",
            discord.elapsed()
        );
        let took = discord.elapsed() + all_up(&other).await;
        assert!(took >= Duration::from_secs(85), "the reader's connection may live: {took:?}");
        assert!(took <= Duration::from_secs(90 + 6), "90 s and a look: {took:?}");
        other.write(0, 2, "after");
        assert_eq!(other.arrived(0, 2).await, ["before", "after"]);
    });
}

/// How often each of them was started.
fn starts(world: &World) -> [u64; 4] {
    all_of_it().map(|path| world.node(&path).epoch)
}

#[test]
fn an_account_that_needs_a_login_is_not_taken_over() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let other = probing_standby(&world).await;
        world.store.set_account_state(account(0), AccountState::NeedsLogin).await.expect("set");
        world.store.set_account_state(account(1), AccountState::NeedsLogin).await.expect("set");
        let before = starts(&other);
        world.root.kill();
        drop(world);
        other.pass(Duration::from_secs(100)).await;
        assert_eq!(starts(&other), before);
    });
}

#[test]
fn what_fails_when_it_is_tried_after_its_owner_is_left_to_its_probes() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let other = probing_standby(&world).await;
        other.store.refuse_assignments(true);
        let before = starts(&other);
        world.root.kill();
        drop(world);
        other.pass(Duration::from_secs(600)).await;
        // A probe of its own may have come in these ten minutes.
        for (after, before) in starts(&other).into_iter().zip(before) {
            assert!((1..=2).contains(&(after - before)), "tried {} times", after - before);
        }
        other.store.refuse_assignments(false);
        other.pass(Duration::from_secs(3_600)).await;
        assert_eq!(all_up(&other).await, Duration::ZERO, "by their probes");
    });
}

/// The first node is gone; the second takes everything.
async fn dies(world: World, other: &World) {
    world.root.kill();
    drop(world);
    other.pass(Duration::from_secs(95)).await;
    for path in all_of_it() {
        let path = ChildPath::parse(&path).expect("a path");
        other.root.tree().restart(&path).expect("a restart");
    }
}

#[test]
fn a_wait_that_the_owner_before_was_told_binds_the_next() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        let other = standby(&world).await;
        other.pass(Duration::from_secs(60)).await;
        let wait = Duration::from_secs(3_600);
        let hour = SendOutcome::RetryAfter { wait, scope: HoldScope::Account };
        world.platform.script(account(1), [hour]);
        world.write(0, 1, "told to wait");
        world.pass(Duration::from_secs(10)).await;
        let told = Instant::now();
        dies(world, &other).await;
        let path = ChildPath::parse(&format!("pairs/{}", pair(1))).expect("a path");
        other.root.tree().restart(&path).expect("a restart");
        other.write(1, 1, "in another lane");
        assert_eq!(other.arrived(1, 1).await, ["in another lane"]);
        assert!(told.elapsed() >= wait - Duration::from_secs(10), "sent after {:?}", told.elapsed());
        assert_eq!(other.arrived(0, 1).await, ["told to wait"]);
    });
}

#[test]
fn a_throttle_leaves_the_memory_of_an_account_that_another_node_has() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let other = standby(&world).await;
        let hour = SendOutcome::RetryAfter { wait: Duration::from_secs(3_600), scope: HoldScope::Account };
        world.platform.script(account(1), [hour]);
        world.write(0, 1, "told to wait");
        world.pass(Duration::from_secs(10)).await;
        let memory = world.store.throttle_state(&account(1).to_string()).await.expect("read");
        assert!(memory.is_some());
        assert!(other.root.drain(Duration::from_secs(20)).await.is_clean());
        assert_eq!(world.store.throttle_state(&account(1).to_string()).await.expect("read"), memory);
    });
}

#[test]
fn a_wait_that_was_told_after_the_account_was_lost_is_kept_when_it_comes_back() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        world.platform.set_round_trip(Duration::from_secs(60));
        let wait = Duration::from_secs(3_600);
        let hour = SendOutcome::RetryAfter { wait, scope: HoldScope::Account };
        world.platform.script(account(1), [hour]);
        world.write(0, 1, "under way");
        world.pass(Duration::from_secs(10)).await;
        let node = NodeId::from_uuid(Uuid::from_u128(99));
        let other = world.store.on_node(node, world.clock.clone());
        let scheduler = ChildPath::parse("scheduler").expect("a path");
        world.root.tree().suspend(&scheduler).expect("held");
        world.pass(Duration::from_secs(20)).await;
        other.renew(config().lease_ttl).await.expect("a lease");
        let fence = other.assign(account(1)).await.expect("taken");
        // It knows of no wait, and says so.
        let identity = account(1).to_string();
        other.set_throttle_state(&identity, Some(fence), "{}").await.expect("kept");
        world.root.tree().resume(&scheduler).expect("goes on");
        // The answer comes, and soon after that the account: the other node does not renew its lease.
        world.pass(Duration::from_secs(40)).await;
        let told = Instant::now();
        world.platform.set_round_trip(Duration::from_millis(20));
        world.write(1, 1, "in another lane");
        assert_eq!(world.arrived(1, 1).await, ["in another lane"]);
        assert!(told.elapsed() >= wait - Duration::from_secs(60), "sent after {:?}", told.elapsed());
        assert_eq!(world.store.owner(account(1)).map(|owner| owner.node), Some(world.store.node()));
    });
}
