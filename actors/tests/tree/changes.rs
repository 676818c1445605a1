//! Accounts and pairs come, change and go while the tree runs: at once, and nobody else notices.

use std::time::Duration;

use switchyard_actors::model::{AccountState, PauseCause, SendOutcome};
use switchyard_actors::ports::{ConnectionError, Directory as _, Routes as _};
use switchyard_actors::supervision::{ChildPath, NodeState};

use crate::world::{World, account, pair, run, user};

const LIMIT: Duration = Duration::from_secs(30);

fn stands(world: &World, path: &str) -> bool {
    world.root.tree().view(&ChildPath::parse(path).expect("a path")).is_some()
}

#[test]
fn an_account_and_a_pair_that_come_forward_at_once() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let operator = world.root.operator();
        world.write(0, 1, "before");
        world.arrived(0, 1).await;
        world.store.add_account(World::account_of(2));
        operator.account_added(account(2), user()).expect("added");
        world.store.add_pair(World::pair_of(7, 2));
        assert!(operator.pair_added(pair(7), LIMIT).await.expect("added"), "its source is read");
        // Written the moment the order was answered: it must not be missed.
        world.write(7, 2, "at once");
        assert_eq!(world.arrived(7, 1).await, ["at once"]);
        world.write(0, 3, "after");
        assert_eq!(world.arrived(0, 2).await, ["before", "after"]);
        assert_eq!(world.platform.connects(account(0)), 2, "the source connected once more");
        assert_eq!(world.platform.connects(account(1)), 1, "a stranger did not");
        assert!(operator.account_added(account(2), user()).is_err(), "it is there already");
    });
}

#[test]
fn a_connection_that_can_be_told_is_not_made_anew() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.platform.set_steerable(true);
        world.root.operator().reconnect(account(0)).await.expect("reconnects");
        world.write(0, 1, "x");
        world.arrived(0, 1).await;
        let connects = world.platform.connects(account(0));
        for n in 2..6 {
            world.store.add_pair(World::pair_of(n, 1));
            assert!(world.root.operator().pair_added(pair(n), LIMIT).await.expect("added"));
            world.write(n, 1, "seen");
            assert_eq!(world.arrived(n, 1).await, ["seen"]);
        }
        assert_eq!(world.platform.connects(account(0)), connects);
    });
}

#[test]
fn pairs_that_come_while_the_session_connects_are_read_too() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let operator = world.root.operator();
        for n in 1..4 {
            world.store.add_pair(World::pair_of(n, 1));
        }
        let all = [1, 2, 3].map(|n| operator.pair_added(pair(n), LIMIT));
        for added in futures_util::future::join_all(all).await {
            added.expect("added");
        }
        world.pass(Duration::from_secs(1)).await;
        for n in 0..4 {
            world.write(n, 1, "seen");
            assert_eq!(world.arrived(n, 1).await, ["seen"]);
        }
        assert!(world.platform.connects(account(0)) <= 4, "{}", world.platform.connects(account(0)));
    });
}

#[test]
fn new_credentials_start_a_parked_session_and_what_waited_arrives() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        let dead = ConnectionError::NeedsLogin("401".to_owned());
        world.platform.refuse_connect(account(1), Some(dead));
        let _ = world.root.operator().reconnect(account(1)).await;
        world.state(&format!("sessions/{}", account(1)), NodeState::Parked).await;
        for id in 1..=3 {
            world.write(0, id, &format!("{id}"));
        }
        world.write(1, 1, "other");
        assert_eq!(world.arrived(1, 1).await, ["other"]);
        world.pass(Duration::from_secs(120)).await;
        assert!(world.platform.texts(crate::world::target(0)).is_empty());
        let operator = world.root.operator();
        operator.account_renewing(account(1)).await;
        assert!(!stands(&world, &format!("sessions/{}", account(1))), "nothing uses the old credentials");
        world.platform.refuse_connect(account(1), None);
        world.store.set_account_state(account(1), AccountState::Active).await.expect("noted");
        operator.account_renewed(account(1), user()).await.expect("renewed");
        assert_eq!(world.arrived(0, 3).await, ["1", "2", "3"]);
        assert_eq!(world.platform.connects(account(2)), 1);
    });
}

#[test]
fn an_account_that_goes_takes_its_actors_and_pairs_and_nobody_else() {
    run(|| async {
        let world = World::start(2, 2, "").await;
        for n in 0..2 {
            world.write(n, 1, "x");
            world.arrived(n, 1).await;
        }
        let operator = world.root.operator();
        let gone = operator.account_removed(account(1)).await.expect("stopped");
        assert_eq!(gone.iter().map(|pair| pair.id).collect::<Vec<_>>(), [pair(0)]);
        for path in ["sessions", "queues", "throttles"] {
            assert!(!stands(&world, &format!("{path}/{}", account(1))), "{path}");
        }
        assert!(!stands(&world, &format!("pairs/{}", pair(0))));
        world.store.remove_account(account(1));
        world.write(0, 102, "to nobody");
        world.write(1, 102, "goes on");
        assert_eq!(world.arrived(1, 2).await, ["x", "goes on"]);
        assert!(operator.account_removed(account(1)).await.expect("twice").is_empty());
        // The place is free again: the same account may come back.
        world.store.add_account(World::account_of(1));
        operator.account_added(account(1), user()).expect("added");
        world.store.add_pair(World::pair_of(0, 1));
        assert!(operator.pair_added(pair(0), LIMIT).await.expect("added"));
        world.write(0, 103, "back");
        assert_eq!(world.arrived(0, 2).await, ["x", "back"]);
    });
}

#[test]
fn a_removed_pair_takes_nothing_more_and_its_account_stays_connected() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        world.write(0, 1, "x");
        world.arrived(0, 1).await;
        let operator = world.root.operator();
        let pair_0 = world.store.pair(pair(0)).await.expect("there");
        assert!(operator.pair_removing(pair(0)).await);
        world.store.remove_pair(pair(0));
        operator.pair_removed(&pair_0);
        world.write(0, 2, "to nobody");
        world.write(1, 1, "y");
        assert_eq!(world.arrived(1, 1).await, ["y"]);
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.platform.texts(crate::world::target(0)), ["x"]);
        assert_eq!(world.platform.connects(account(0)), 1);
        assert!(!operator.pair_removing(pair(0)).await);
    });
}

#[test]
fn a_pause_holds_at_once_and_its_end_lets_go_in_order() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let operator = world.root.operator();
        world.store.set_pause(pair(0), PauseCause::Admin, true).await.expect("noted");
        operator.pair_changed(pair(0)).await.expect("told");
        for id in 1..=5 {
            world.write(0, id, &format!("{id}"));
        }
        world.pass(Duration::from_secs(120)).await;
        assert!(world.platform.sent().is_empty());
        world.store.set_pause(pair(0), PauseCause::Admin, false).await.expect("noted");
        operator.pair_changed(pair(0)).await.expect("told");
        let begun = tokio::time::Instant::now();
        assert_eq!(world.arrived(0, 5).await, ["1", "2", "3", "4", "5"]);
        assert!(begun.elapsed() < Duration::from_secs(20), "woken, not polled: {:?}", begun.elapsed());
    });
}

#[test]
fn a_pair_whose_source_needs_login_is_added_and_waits() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.platform.refuse_connect(account(0), Some(ConnectionError::NeedsLogin("gone".to_owned())));
        let _ = world.root.operator().reconnect(account(0)).await;
        world.state(&format!("sessions/{}", account(0)), NodeState::Parked).await;
        world.store.add_pair(World::pair_of(1, 1));
        let begun = tokio::time::Instant::now();
        assert!(!world.root.operator().pair_added(pair(1), LIMIT).await.expect("added"));
        assert!(begun.elapsed() < LIMIT, "nobody waits for a session that is not up");
        assert!(stands(&world, &format!("pairs/{}", pair(1))));
    });
}

#[test]
fn the_end_of_a_pause_that_nobody_told_of_is_found() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        let operator = world.root.operator();
        world.store.set_pause(pair(0), PauseCause::Admin, true).await.expect("noted");
        operator.pair_changed(pair(0)).await.expect("told");
        world.write(0, 1, "1");
        world.pass(Duration::from_secs(60)).await;
        assert!(world.platform.sent().is_empty());
        world.store.set_pause(pair(0), PauseCause::Admin, false).await.expect("noted");
        assert_eq!(world.arrived(0, 1).await, ["1"]);

        world.store.pause_queue(account(1), PauseCause::User, true);
        operator.queue_pauses_changed(account(1)).await.expect("told");
        world.write(0, 2, "2");
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.platform.sent().len(), 1);
        world.store.pause_queue(account(1), PauseCause::User, false);
        assert_eq!(world.arrived(0, 2).await, ["1", "2"]);

        let flood = SendOutcome::Quarantine { error: "PEER_FLOOD".to_owned() };
        world.platform.script(account(1), [flood]);
        world.write(0, 3, "3");
        world.pass(Duration::from_secs(120)).await;
        assert_eq!(world.platform.sent().len(), 2, "a quarantine is not lifted by looking");
        world.store.set_account_state(account(1), AccountState::Active).await.expect("noted");
        assert_eq!(world.arrived(0, 3).await, ["1", "2", "3"]);
    });
}
