//! Leases and assignments: who may take an account, and when.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use switchyard::store::{Store, TELEGRAM_TAKEOVER};
use switchyard_actors::model::{AccountId, AccountState, Epoch, Fence, NodeId};
use switchyard_actors::ports::{Directory as _, Intake, Lease, StoreError};
use uuid::Uuid;

use crate::harness::store::{Fixture, LEASE};
use crate::harness::values::{people, unit};

/// What `store` gets when it tries for an account: the epoch, or the node that keeps it.
async fn attempt(store: &Store, account: AccountId) -> Result<i64, NodeId> {
    match store.assign(account).await {
        Ok(fence) => Ok(fence.epoch.get()),
        Err(StoreError::Fenced(owner)) => Err(owner.node),
        Err(error) => panic!("{error}"),
    }
}

fn no_lease() -> StoreError {
    StoreError::Unavailable("this node holds no lease: renew it first".to_owned())
}

/// Another node with a lease of its own, which it renews whenever the clock moves.
async fn other_node(world: &Fixture) -> Store {
    let other = world.open_as(2).await;
    other.renew(LEASE).await.unwrap();
    other
}

async fn pass(world: &Fixture, other: &Store, seconds: u64) {
    world.clock.advance(Duration::from_secs(seconds));
    other.renew(LEASE).await.unwrap();
}

on_both_databases! {
    async fn the_same_node_retakes_its_own_at_once_under_a_new_epoch(world) {
        let people = people(&world.store, 1).await;
        let first = world.assign(people.reader).await;
        let restarted = world.open_as(1).await;
        restarted.renew(LEASE).await.unwrap();
        let second = restarted.assign(people.reader).await.unwrap();
        assert!(second.epoch > first.epoch);
        assert_eq!(world.store.record(first, &unit(1, 1..=1, 1)).await, Err(StoreError::Fenced(first)));
        restarted.record(second, &unit(1, 1..=1, 1)).await.unwrap();
    }

    async fn a_node_without_a_lease_gets_nothing(world) {
        let people = people(&world.store, 1).await;
        let other = world.open_as(2).await;
        let refused = other.assign(people.reader).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        world.clock.advance(LEASE);
        let ended = world.store.assign(people.reader).await;
        assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
        let until = world.store.renew(LEASE).await.unwrap();
        assert_eq!(until.timestamp_millis(), world.clock.millis() + 15_000);
        world.assign(people.reader).await;
    }

    async fn a_discord_account_is_free_when_its_owners_lease_has_ended(world) {
        let people = people(&world.store, 1).await;
        let ours = world.store.node();
        let old = world.assign(people.writer).await;
        let other = other_node(&world).await;
        assert_eq!(attempt(&other, people.writer).await, Err(ours));
        pass(&world, &other, 14).await;
        assert_eq!(attempt(&other, people.writer).await, Err(ours), "a second before its end");
        pass(&world, &other, 1).await;
        assert_eq!(attempt(&other, people.writer).await, Ok(old.epoch.get() + 1));
        world.store.renew(LEASE).await.unwrap();
        assert_eq!(attempt(&world.store, people.writer).await, Err(other.node()), "it is the other's now");
        let late = world.store.record(old, &unit(1, 1..=1, 1)).await;
        assert_eq!(late, Err(StoreError::Fenced(old)), "a renewed lease does not bring an account back");
    }

    async fn a_telegram_session_waits_90_seconds_after_the_last_renewal(world) {
        let people = people(&world.store, 1).await;
        let ours = world.store.node();
        world.assign(people.reader).await;
        let other = other_node(&world).await;
        pass(&world, &other, 60).await;
        assert_eq!(attempt(&other, people.reader).await, Err(ours), "the lease has ended, the connection may live");
        // The owner was only slow, and renews: the 90 seconds begin anew.
        world.store.renew(LEASE).await.unwrap();
        pass(&world, &other, 89).await;
        assert_eq!(attempt(&other, people.reader).await, Err(ours));
        pass(&world, &other, 1).await;
        assert_eq!(TELEGRAM_TAKEOVER, Duration::from_secs(90));
        assert!(attempt(&other, people.reader).await.is_ok());
    }

    async fn orphans_are_the_active_accounts_of_nodes_that_are_gone(world) {
        let ours = people(&world.store, 1).await;
        let (reader, writer) = (world.assign(ours.reader).await, world.assign(ours.writer).await);
        let theirs = people(&world.store, 2).await;
        let other = other_node(&world).await;
        let kept = other.assign(theirs.writer).await.unwrap();
        assert_eq!(other.orphans().await.unwrap(), [], "both nodes are there");
        pass(&world, &other, 14).await;
        assert_eq!(other.orphans().await.unwrap(), [], "a second before the lease's end");
        pass(&world, &other, 1).await;
        assert_eq!(other.orphans().await.unwrap(), [writer], "a Telegram session has to wait");
        assert_eq!(world.store.orphans().await.unwrap(), [], "its own are no orphans to a node that was late");
        pass(&world, &other, 75).await;
        let both = other.orphans().await.unwrap();
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(both.contains(&reader) && both.contains(&writer), "{both:?}");
        world.store.set_account_state(ours.reader, AccountState::NeedsLogin).await.unwrap();
        assert_eq!(other.orphans().await.unwrap(), [writer]);
        other.assign(ours.writer).await.unwrap();
        assert_eq!(other.orphans().await.unwrap(), []);
        // The other goes, and this one comes back.
        world.clock.advance(LEASE);
        world.store.renew(LEASE).await.unwrap();
        let left = world.store.orphans().await.unwrap();
        assert!(left.len() == 2 && left.contains(&kept), "{left:?}");
    }

    async fn two_nodes_that_grab_at_once_never_both_get_it(world) {
        let other = other_node(&world).await;
        for number in 1..=20 {
            let people = people(&world.store, number).await;
            let (one, two) = tokio::join!(attempt(&world.store, people.reader), attempt(&other, people.reader));
            match (one, two) {
                (Ok(_), Err(owner)) => assert_eq!(owner, world.store.node()),
                (Err(owner), Ok(_)) => assert_eq!(owner, other.node()),
                both => panic!("{both:?}"),
            }
        }
    }

    async fn an_account_that_is_not_there_cannot_be_taken(world) {
        let nobody = AccountId::from_uuid(Uuid::from_u128(404));
        let refused = world.store.assign(nobody).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    }

    async fn a_check_confirms_what_is_held_as_often_as_it_is_asked(world) {
        let people = people(&world.store, 1).await;
        let fence = world.assign(people.reader).await;
        let assigned = world.numbers("SELECT assigned_at FROM assignments").await;
        world.clock.advance(Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(world.store.check(fence).await, Ok(()));
        }
        let other = other_node(&world).await;
        assert_eq!(other.check(fence).await, Ok(()), "whose it is can be asked by anybody");
        world.clock.advance(LEASE);
        assert_eq!(world.store.check(fence).await, Ok(()), "nobody took it since the lease ended");
        assert_eq!(world.numbers("SELECT epoch FROM assignments").await, [fence.epoch.get()]);
        assert_eq!(world.numbers("SELECT assigned_at FROM assignments").await, assigned, "to ask changes nothing");
        assert_eq!(world.store.assign(people.reader).await, Err(no_lease()), "nor does it renew the lease");
    }

    async fn a_check_refuses_every_assignment_but_the_accounts_own(world) {
        let (ours, others) = (people(&world.store, 1).await, people(&world.store, 2).await);
        let old = world.assign(ours.reader).await;
        let fence = world.assign(ours.reader).await;
        let next = Fence { epoch: Epoch::new(fence.epoch.get() + 1), ..fence };
        let stranger = Fence { node: other_node(&world).await.node(), ..fence };
        let unassigned = Fence { account: others.reader, ..fence };
        for wrong in [old, next, stranger, unassigned] {
            assert_eq!(world.store.check(wrong).await, Err(StoreError::Fenced(wrong)));
        }
        assert_eq!(world.store.check(fence).await, Ok(()));
    }

    async fn a_check_refuses_the_owner_before_from_the_takeover_on(world) {
        let people = people(&world.store, 1).await;
        let old = world.assign(people.writer).await;
        let other = other_node(&world).await;
        pass(&world, &other, 15).await;
        let fence = other.assign(people.writer).await.unwrap();
        world.store.renew(LEASE).await.unwrap();
        for store in [&world.store, &other] {
            assert_eq!(store.check(old).await, Err(StoreError::Fenced(old)), "a renewed lease changes nothing");
            assert_eq!(store.check(fence).await, Ok(()));
        }
    }
}
