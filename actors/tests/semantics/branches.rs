//! Supervisors: order, escalation, the root, removal.

use switchyard_actors::supervision::{
    AddError, Backoff, Branch, BranchSpec, ChildPath, Happening, Intensity, NodeState, ParkCause, Phase,
    Policy, RestartType, Verdict,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Rope, Script, puppet},
};

/// A branch whose second restart escalates.
fn fragile(name: &str) -> BranchSpec {
    BranchSpec::ordered(name).intensity(Some(Intensity::new(1, secs(60)))).policy(exact())
}

fn escalations(world: &World, path: &str) -> usize {
    world.sink.count(path, |what| matches!(what, Happening::Escalated { .. }))
}

fn three(
    branch: &Branch,
    rope: &Rope,
) -> Vec<switchyard_actors::supervision::ChildRef<crate::puppet::Puppet>> {
    ["a", "b", "c"].iter().map(|name| branch.add(puppet(name, rope)).unwrap()).collect()
}

#[test]
fn ordered_children_start_in_order() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        three(&world.runtime.root(), &rope);
        world.runtime.start().await;
        let lines = ["a: load", "a: started", "b: load", "b: started", "c: load", "c: started"];
        assert_eq!(rope.lines(), lines);
        world.runtime.root().add(puppet("d", &rope)).unwrap();
        settle().await;
        assert_eq!(rope.lines().last().unwrap(), "d: started", "added later, started at once");
    });
}

#[test]
fn a_failing_child_does_not_hold_up_the_start() {
    run(async {
        let world = World::new();
        let (bad, good) = (Rope::default(), Rope::default());
        bad.loads([Script::Retry]);
        world.runtime.root().add(puppet("a", &bad)).unwrap();
        let next = world.runtime.root().add(puppet("b", &good)).unwrap();
        world.runtime.start().await;
        assert_eq!(next.ask(Add(1)).await, Ok((1, 1)));
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, health.ready), (Verdict::Yellow, false));
    });
}

#[test]
fn s20_a_branch_over_its_intensity_escalates_once() {
    run(async {
        let world = World::new();
        let outer = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let branch = outer.add_branch(fragile("y")).unwrap();
        let rope = Rope::default();
        let children = three(&branch, &rope);
        world.runtime.start().await;
        rope.clear();
        children[1].tell(Poison).unwrap();
        children[1].tell(Poison).unwrap();
        let queued = children[0].ask(Do::it(|_, _| ()));
        queued.await.unwrap();
        pass(secs(1)).await;
        let halted = ["b: stopped failed", "b: load", "b: started", "b: stopped failed"];
        assert_eq!(rope.lines()[..4], halted);
        // Newest first; the failed one is down already.
        let order = ["c: drain", "c: stopped restart", "a: drain", "a: stopped restart"];
        assert_eq!(rope.lines()[4..8], order);
        assert_eq!(escalations(&world, "x/y"), 1);
        let failure = world.view("x/y").last_failure.unwrap();
        assert_eq!((failure.failure.phase, failure.count), (Phase::Escalation, 1));
        assert!(
            failure.failure.text.contains("last of x/y/b: poisoned in handler of Poison at"),
            "{failure:?}"
        );
        assert_eq!(world.view("x/y").restarts_total, 1, "one failure in its supervisor");
        let waiting = children[2].ask(Add(5));
        pass(secs(1)).await;
        assert_eq!(
            rope.lines()[8..14],
            ["a: load", "a: started", "b: load", "b: started", "c: load", "c: started"]
        );
        assert_eq!(waiting.await, Ok((5, 2)), "handles and queues survive the branch");
        assert_eq!(world.view("x").epoch, 1);
    });
}

#[test]
fn s21_the_root_parks_the_branch_and_health_names_it() {
    run(async {
        let world = World::new();
        let sick = world.runtime.root().add_branch(fragile("sick")).unwrap();
        let nested = sick.add_branch(BranchSpec::dynamic("deep")).unwrap();
        let well = world.runtime.root().add_branch(BranchSpec::dynamic("well")).unwrap();
        let (rope, deep) = (Rope::default(), Rope::default());
        let child = sick.add(puppet("a", &rope)).unwrap();
        let leaf = nested.add(puppet("leaf", &deep)).unwrap();
        let other = well.add(puppet("o", &Rope::default())).unwrap();
        world.runtime.start().await;
        assert_eq!(world.runtime.tree().health().verdict, Verdict::Green);
        child.tell(Poison).unwrap();
        child.tell(Poison).unwrap();
        pass(secs(600)).await;
        let parked = |what: &Happening| matches!(what, Happening::Parked { cause: ParkCause::Escalated, .. });
        assert_eq!(world.sink.count("sick", parked), 1);
        assert_eq!((child.status(), leaf.status()), (NodeState::Parked, NodeState::Parked));
        assert!(leaf.tell(Add(1)).is_err());
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, health.ready), (Verdict::Red, false));
        assert_eq!(world.red(), ["sick", "sick/deep"]);
        assert!(health.red[0].reason.as_ref().unwrap().contains("last of sick/a: poisoned"));
        assert_eq!(other.ask(Add(1)).await, Ok((1, 1)));
        world.restart("sick");
        settle().await;
        assert_eq!(leaf.ask(Add(1)).await, Ok((1, 2)));
        assert_eq!(child.ask(Add(1)).await, Ok((1, 3)));
        assert_eq!(world.runtime.tree().health().verdict, Verdict::Green);
    });
}

#[test]
fn s22_a_transient_branch_that_escalated_is_restarted() {
    run(async {
        let world = World::new();
        let outer = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let policy = Policy { restart: RestartType::Transient, ..exact() };
        let branch = outer.add_branch(fragile("y").policy(policy)).unwrap();
        let child = branch.add(puppet("a", &Rope::default())).unwrap();
        world.runtime.start().await;
        child.tell(Poison).unwrap();
        child.tell(Poison).unwrap();
        pass(secs(5)).await;
        assert_eq!(escalations(&world, "x/y"), 1);
        assert_eq!(world.view("x/y").state, NodeState::Running);
        assert_eq!(child.ask(Add(1)).await, Ok((1, 3)));
    });
}

#[test]
fn a_branch_restarted_by_an_admin_restarts_its_children() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x")).unwrap();
        let rope = Rope::default();
        let children = three(&branch, &rope);
        world.runtime.start().await;
        world.restart("x");
        settle().await;
        assert_eq!(children.iter().map(|child| child.epoch()).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(world.view("x").restarts_total, 0);
    });
}

#[test]
fn a_removed_child_finishes_its_queue() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let rope = Rope::default();
        let child = branch.add(puppet("a", &rope)).unwrap();
        world.runtime.start().await;
        let queued: Vec<_> = (0..5).map(|n| child.ask(Add(n))).collect();
        let removal = branch.remove("a");
        assert!(matches!(branch.add(puppet("a", &rope)), Err(AddError::Duplicate(_))));
        assert!(removal.await);
        for answer in queued {
            assert!(answer.await.is_ok());
        }
        assert_eq!(rope.lines().last().unwrap(), "a: stopped shutdown");
        assert_eq!((child.depth(), child.status()), (0, NodeState::Stopped));
        assert_eq!(world.runtime.tree().view(&ChildPath::parse("x/a").unwrap()), None);
        assert!(branch.add(puppet("a", &rope)).is_ok());
        assert!(!branch.remove("nobody").await);
    });
}

#[test]
fn a_removed_branch_takes_its_children_along() {
    run(async {
        let world = World::new();
        let outer = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let inner = outer.add_branch(BranchSpec::ordered("y")).unwrap();
        let rope = Rope::default();
        let children = three(&inner, &rope);
        world.runtime.start().await;
        rope.clear();
        assert!(outer.remove("y").await);
        assert!(children.iter().all(|child| child.status() == NodeState::Stopped));
        assert_eq!(rope.lines()[..3], ["c: closing", "c: drain", "c: stopped shutdown"]);
        assert_eq!(world.runtime.tree().snapshot(&ChildPath::parse("x").unwrap()).len(), 1);
        assert!(matches!(inner.add(puppet("d", &rope)), Err(AddError::Stopping)));
    });
}

#[test]
fn a_temporary_branch_that_gives_up_takes_its_children_along() {
    run(async {
        let world = World::new();
        let outer = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let policy = Policy { restart: RestartType::Temporary, ..exact() };
        let branch = outer.add_branch(fragile("y").policy(policy)).unwrap();
        let rope = Rope::default();
        let children = three(&branch, &rope);
        world.runtime.start().await;
        children[0].tell(Poison).unwrap();
        children[0].tell(Poison).unwrap();
        pass(secs(5)).await;
        assert!(outer.ids().is_empty());
        assert!(children.iter().all(|child| child.status() == NodeState::Stopped));
        assert_eq!(std::sync::Arc::strong_count(&rope.0), 1, "arguments and states are dropped");
        assert_eq!(world.runtime.tree().snapshot(&ChildPath::root()).len(), 2);
    });
}

#[test]
fn a_crash_of_one_child_of_many_costs_only_that_one() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("pairs")).unwrap();
        let backoff = Backoff { base: millis(10), cap: millis(10), ..Backoff::default() };
        let policy = Policy { backoff, ..exact() };
        let children: Vec<_> = (0..500)
            .map(|n| branch.add(puppet(&n.to_string(), &Rope::default()).policy(policy.clone())).unwrap())
            .collect();
        world.runtime.start().await;
        settle().await;
        for child in children.iter().step_by(7) {
            child.tell(Poison).unwrap();
        }
        pass(secs(1)).await;
        for (n, child) in children.iter().enumerate() {
            assert_eq!(child.epoch(), if n % 7 == 0 { 2 } else { 1 });
        }
    });
}
