//! Between a permit and its send the store is waited for: what changes meanwhile counts.

use std::time::Duration;

use switchyard_actors::model::{HoldScope, PauseCause, SendOutcome};
use switchyard_actors::supervision::ChildPath;
use tokio::time::Instant;

use crate::world::{World, account, run, target};

const WAIT: Duration = Duration::from_secs(300);

fn wait(scope: HoldScope) -> SendOutcome {
    SendOutcome::RetryAfter { wait: WAIT, scope }
}

/// A send whose mark takes so long that the answer to another, which asks to wait, comes before it.
fn overtaken_by(scope: HoldScope) {
    run(|| async move {
        let world = World::start(1, 2, "").await;
        world.platform.set_round_trip(Duration::from_secs(1));
        world.platform.script_at(target(0), [wait(scope)]);
        world.write(0, 1, "is told to wait");
        world.pass(Duration::from_millis(500)).await;
        world.store.slow_marks([Duration::from_secs(2)]);
        world.write(1, 1, "has its permit");
        world.pass(Duration::from_millis(600)).await;
        let told = Instant::now();
        assert_eq!(world.arrived(1, 1).await, ["has its permit"]);
        assert!(told.elapsed() >= WAIT - Duration::from_secs(1), "sent after {:?}", told.elapsed());
        assert_eq!(world.arrived(0, 1).await, ["is told to wait"]);
    });
}

#[test]
fn a_wait_of_the_account_that_is_told_meanwhile_holds_what_has_its_permit() {
    overtaken_by(HoldScope::Account);
}

#[test]
fn a_wait_of_the_network_address_that_is_told_meanwhile_holds_what_has_its_permit() {
    overtaken_by(HoldScope::Egress);
}

#[test]
fn a_wait_that_a_restarted_throttle_did_not_hear_is_kept() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.platform.set_round_trip(Duration::from_secs(2));
        world.platform.script(account(1), [wait(HoldScope::Account)]);
        world.write(0, 1, "under way");
        world.pass(Duration::from_secs(1)).await;
        let path = ChildPath::parse(&format!("throttles/{}", account(1))).expect("a path");
        world.root.tree().restart(&path).expect("a restart");
        let restarted = Instant::now();
        assert_eq!(world.arrived(0, 1).await, ["under way"]);
        assert!(restarted.elapsed() >= WAIT, "sent after {:?}", restarted.elapsed());
    });
}

#[test]
fn nothing_begins_after_a_queues_pause_is_answered_however_slow_the_store_is() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.store.slow_marks([Duration::from_secs(5)]);
        world.write(0, 1, "kept");
        world.pass(Duration::from_secs(1)).await;
        world.store.pause_queue(account(1), PauseCause::Admin, true);
        world.root.operator().queue_pauses_changed(account(1)).await.expect("answered");
        world.pass(Duration::from_secs(120)).await;
        assert_eq!(world.platform.texts(target(0)), Vec::<String>::new());
        world.store.pause_queue(account(1), PauseCause::Admin, false);
        world.root.operator().queue_pauses_changed(account(1)).await.expect("answered");
        assert_eq!(world.arrived(0, 1).await, ["kept"]);
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.node(&format!("queues/{}", account(1))).observable["maybe_twice"], 0);
    });
}

#[test]
fn a_lease_that_ends_while_the_store_is_slow_holds_the_send() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.platform.take_no_keys(account(1));
        let lost = SendOutcome::Unclear { error: "no answer".to_owned() };
        world.platform.script(account(1), [lost]);
        world.write(0, 1, "x");
        world.pass(Duration::from_millis(200)).await;
        // The note that it may stand twice waits for the store, and the lease ends meanwhile.
        world.store.set_unavailable(true);
        world.pass(Duration::from_secs(40)).await;
        let before = world.platform.sent().len();
        world.store.set_unavailable(false);
        let scheduler = ChildPath::parse("scheduler").expect("a path");
        world.root.tree().suspend(&scheduler).expect("no renewal");
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.platform.sent().len(), before, "sent without a lease");
        world.root.tree().resume(&scheduler).expect("goes on");
        assert_eq!(world.arrived(0, before + 1).await.len(), before + 1);
    });
}
