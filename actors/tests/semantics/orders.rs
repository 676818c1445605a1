//! What an admin may order, in every state.

use switchyard_actors::supervision::{
    BranchSpec, ChildPath, ChildRef, Intensity, NodeState, OrderError, Policy, RestartType, Tree,
};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Puppet, Rope, Script, puppet},
};

type Order = fn(&Tree, &ChildPath) -> Result<(), OrderError>;

const ORDERS: [(&str, Order); 6] = [
    ("start", Tree::start),
    ("stop", Tree::stop),
    ("restart", Tree::restart),
    ("delete", Tree::delete),
    ("suspend", Tree::suspend),
    ("resume", Tree::resume),
];

/// A child in the state asked for.
async fn in_state(state: NodeState) -> (World, Rope, ChildRef<Puppet>) {
    let rope = Rope::default();
    if state == NodeState::Starting {
        rope.loads([Script::Hang]);
    }
    let policy = Policy { intensity: Intensity::new(1, secs(60)), ..exact() };
    let (world, child) = World::with_unsettled(puppet("a", &rope).policy(policy)).await;
    let path = child.path().clone();
    let tree = world.runtime.tree();
    match state {
        NodeState::Starting | NodeState::Running => {}
        NodeState::Backoff => child.tell(Poison).unwrap(),
        NodeState::Parked => {
            child.tell(Poison).unwrap();
            child.tell(Poison).unwrap();
            pass(secs(1)).await;
        }
        NodeState::Suspended => tree.suspend(&path).unwrap(),
        NodeState::Draining => {
            // Draining for good: a future that never ends is in its way.
            child.tell(Do::it(|_, cx| drop(cx.spawn(std::future::pending::<()>(), |_, (), _| ())))).unwrap();
            settle().await;
            drop(world.runtime.root().remove("a"));
        }
        NodeState::Stopped => tree.stop(&path).unwrap(),
    }
    settle().await;
    assert_eq!(child.status(), state);
    (world, rope, child)
}

/// What each order answers, and the state a second later. `None` means that the child is gone.
fn expected(state: NodeState, order: &str) -> (Result<(), OrderError>, Option<NodeState>) {
    use NodeState::{Backoff, Draining, Parked, Running, Starting, Stopped, Suspended};
    let not_now = Err(OrderError::NotNow(state));
    match (order, state) {
        ("start", Backoff | Parked | Stopped) => (Ok(()), Some(Running)),
        ("start", _) => (not_now, Some(state)),
        // What is removed goes on going, whatever is ordered.
        ("stop", Draining) => (Ok(()), Some(Draining)),
        ("stop", _) => (Ok(()), Some(Stopped)),
        ("restart", Draining) => (Err(OrderError::Stopping), Some(Draining)),
        // It hangs in its load again.
        ("restart", Starting) => (Ok(()), Some(Starting)),
        ("restart", _) => (Ok(()), Some(Running)),
        ("delete", Parked | Stopped) => (Ok(()), None),
        // By itself a child in backoff is up again by then.
        ("delete" | "suspend" | "resume", Backoff) => (not_now, Some(Running)),
        ("delete", _) => (not_now, Some(state)),
        ("suspend", Running) => (Ok(()), Some(Suspended)),
        ("resume", Suspended) => (Ok(()), Some(Running)),
        _ => (not_now, Some(state)),
    }
}

#[test]
fn s35_every_order_in_every_state() {
    for state in NodeState::ALL {
        for (name, order) in ORDERS {
            run(async {
                let (world, _rope, child) = in_state(state).await;
                let (answer, after) = expected(state, name);
                let tree = world.runtime.tree();
                assert_eq!(order(&tree, child.path()), answer, "{name} a child that is {state}");
                pass(secs(1)).await;
                let now = tree.view(child.path()).map(|view| view.state);
                assert_eq!(now, after, "after {name} of a child that was {state}");
            });
        }
    }
}

#[test]
fn s35_a_stop_keeps_spec_and_queue() {
    run(async {
        let (world, rope, child) = in_state(NodeState::Running).await;
        world.runtime.tree().suspend(child.path()).unwrap();
        settle().await;
        let queued = child.ask(Add(7));
        world.stop("a");
        world.stop("a");
        settle().await;
        assert_eq!((child.status(), child.depth()), (NodeState::Stopped, 1));
        assert!(child.tell(Add(1)).is_err(), "it refuses");
        assert_eq!(world.runtime.root().ids(), ["a"]);
        let ends = |line: &String| line.starts_with("a: stopped");
        assert_eq!(rope.lines().iter().filter(|line| ends(line)).count(), 1, "twice is once");
        pass(secs(600)).await;
        assert_eq!(child.status(), NodeState::Stopped, "nothing but an admin starts it");
        world.runtime.tree().start(child.path()).unwrap();
        settle().await;
        assert_eq!(queued.await, Ok((7, 2)), "what was queued is answered by the next instance");
        assert_eq!(world.view("a").restarts_total, 0);
    });
}

#[test]
fn s35_a_stopped_temporary_child_is_forgotten_and_a_deleted_one_frees_its_id() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let root = world.runtime.root();
        root.add(puppet("t", &rope).restart(RestartType::Temporary)).unwrap();
        let kept = root.add(puppet("k", &rope)).unwrap();
        world.runtime.start().await;
        world.stop("t");
        world.stop("k");
        settle().await;
        assert_eq!(root.ids(), ["k"]);
        let queued = kept.tell(Add(1));
        assert!(queued.is_err());
        world.runtime.tree().delete(kept.path()).unwrap();
        settle().await;
        assert!(root.ids().is_empty());
        let again = root.add(puppet("k", &rope)).unwrap();
        settle().await;
        assert_eq!((again.epoch(), kept.status()), (1, NodeState::Stopped));
    });
}

#[test]
fn s35_a_branch_is_stopped_with_its_children_and_comes_back_with_them() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let children: Vec<_> = ["a", "b"].iter().map(|id| branch.add(puppet(id, &rope)).unwrap()).collect();
        world.runtime.start().await;
        rope.clear();
        world.stop("x");
        pass(secs(60)).await;
        assert_eq!(rope.lines(), ["b: drain", "b: stopped restart", "a: drain", "a: stopped restart"]);
        assert_eq!(world.view("x").state, NodeState::Stopped);
        assert_eq!(world.red(), ["x"]);
        assert_eq!(world.runtime.tree().start(children[0].path()), Err(OrderError::BranchDown));
        world.restart("x");
        settle().await;
        assert!(children.iter().all(|child| (child.status(), child.epoch()) == (NodeState::Running, 2)));
        assert!(world.red().is_empty());
    });
}
