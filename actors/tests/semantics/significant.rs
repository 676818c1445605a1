//! Significant children: a branch that ends with them.

use switchyard_actors::supervision::{
    AddError, AutoShutdown, Branch, BranchSpec, ChildRef, Intensity, NodeState, OnExceed, RestartType,
    SpecError, Storm, Strategy,
};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Do, Poison, Puppet, Rope, puppet},
};

/// A transient branch in a world of its own, with two significant children and one that is not.
async fn family(
    auto: AutoShutdown,
    restart: RestartType,
    strategy: Strategy,
) -> (World, Branch, Vec<ChildRef<Puppet>>) {
    let (world, rope) = (World::new(), Rope::default());
    let mut policy = exact();
    policy.restart = RestartType::Transient;
    let spec = BranchSpec::ordered("x").auto_shutdown(auto).strategy(strategy).policy(policy);
    let branch = world.runtime.root().add_branch(spec).unwrap();
    let mut children = Vec::new();
    for id in ["s1", "s2"] {
        children.push(branch.add(puppet(id, &rope).restart(restart).significant()).unwrap());
    }
    children.push(branch.add(puppet("bystander", &rope)).unwrap());
    world.runtime.start().await;
    (world, branch, children)
}

fn ends(child: &ChildRef<Puppet>) {
    child.tell(Do::it(|_, cx| cx.stop())).unwrap();
}

fn branch_state(world: &World) -> NodeState {
    world.view("x").state
}

use AutoShutdown::{AllSignificant, AnySignificant};
use RestartType::{Temporary, Transient};
use Strategy::{OneForAll, OneForOne};

#[test]
fn s40_any_significant_child_that_ends_by_itself_ends_the_branch() {
    for restart in [Transient, Temporary] {
        run(async {
            let (world, _, children) = family(AnySignificant, restart, OneForOne).await;
            ends(&children[0]);
            pass(secs(1)).await;
            assert_eq!(
                branch_state(&world),
                NodeState::Stopped,
                "{restart:?}: a transient branch stays down"
            );
            assert!(children.iter().all(|child| child.status() != NodeState::Running));
            assert_eq!(world.view("x").last_failure, None, "it is no failure");
        });
    }
}

#[test]
fn s40_all_significant_waits_for_the_last() {
    run(async {
        let (world, _, children) = family(AllSignificant, Transient, OneForOne).await;
        ends(&children[0]);
        pass(secs(1)).await;
        assert_eq!(branch_state(&world), NodeState::Running);
        // One that is restarting counts as still there.
        children[1].tell(Poison).unwrap();
        settle().await;
        assert_eq!((children[1].status(), branch_state(&world)), (NodeState::Backoff, NodeState::Running));
        pass(secs(1)).await;
        ends(&children[1]);
        pass(secs(1)).await;
        assert_eq!(branch_state(&world), NodeState::Stopped);
    });
}

#[test]
fn s40_a_crash_counts_only_where_nothing_restarts() {
    run(async {
        let (world, _, children) = family(AnySignificant, Transient, OneForOne).await;
        children[0].tell(Poison).unwrap();
        pass(secs(5)).await;
        assert_eq!((branch_state(&world), children[0].epoch()), (NodeState::Running, 2));
    });
    run(async {
        let (world, _, children) = family(AnySignificant, Temporary, OneForOne).await;
        children[0].tell(Poison).unwrap();
        pass(secs(5)).await;
        assert_eq!(branch_state(&world), NodeState::Stopped);
    });
}

#[test]
fn s40_orders_and_group_casualties_do_not_count() {
    run(async {
        let (world, branch, children) = family(AnySignificant, Transient, OneForOne).await;
        world.stop("x/s1");
        pass(secs(1)).await;
        assert_eq!((branch_state(&world), children[0].status()), (NodeState::Running, NodeState::Stopped));
        branch.remove("s2").await;
        pass(secs(1)).await;
        assert_eq!(branch_state(&world), NodeState::Running);
        ends(&children[2]);
        pass(secs(1)).await;
        assert_eq!((branch_state(&world), children[2].epoch()), (NodeState::Running, 2), "not significant");
    });
    run(async {
        let (world, branch, children) = family(AnySignificant, Temporary, OneForAll).await;
        children[2].tell(Poison).unwrap();
        pass(secs(5)).await;
        assert_eq!((branch_state(&world), branch.ids()), (NodeState::Running, vec!["bystander".to_owned()]));
    });
}

#[test]
fn s40_it_climbs_through_significant_branches_only() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let mut policy = exact();
        policy.restart = RestartType::Transient;
        let outer = BranchSpec::ordered("x").auto_shutdown(AnySignificant).policy(policy.clone());
        let outer = world.runtime.root().add_branch(outer).unwrap();
        let bystander = outer.add(puppet("bystander", &rope)).unwrap();
        policy.significant = true;
        let inner = BranchSpec::ordered("y").auto_shutdown(AnySignificant).policy(policy.clone());
        let inner = outer.add_branch(inner).unwrap();
        let leaf = inner.add(puppet("leaf", &rope).restart(Transient).significant()).unwrap();
        world.runtime.start().await;
        ends(&leaf);
        pass(secs(1)).await;
        assert_eq!((branch_state(&world), bystander.status()), (NodeState::Stopped, NodeState::Stopped));
        // A branch that is started again begins with all of them.
        world.restart("x");
        pass(secs(1)).await;
        assert_eq!(
            (branch_state(&world), leaf.status(), leaf.epoch()),
            (NodeState::Running, NodeState::Running, 2)
        );
    });
}

#[test]
fn s40_a_permanent_branch_that_ended_so_is_started_again() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").auto_shutdown(AnySignificant).policy(exact());
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let child = branch.add(puppet("s", &rope).restart(Transient).significant()).unwrap();
        world.runtime.start().await;
        ends(&child);
        pass(secs(1)).await;
        assert_eq!((branch_state(&world), child.epoch()), (NodeState::Running, 2));
        assert_eq!(world.view("x").restarts_total, 1);
    });
}

#[test]
fn s41_strategies_and_significance_that_make_no_sense_are_refused() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let root = world.runtime.root();
        let refused = |result: Result<ChildRef<Puppet>, AddError>| match result {
            Err(AddError::Spec(error)) => error,
            other => panic!("{other:?}"),
        };
        let auto = root.add_branch(BranchSpec::ordered("auto").auto_shutdown(AnySignificant)).unwrap();
        assert_eq!(
            refused(auto.add(puppet("a", &rope).significant())),
            SpecError::SignificantPermanent,
            "a permanent one never ends"
        );
        assert_eq!(
            refused(root.add(puppet("a", &rope).restart(Transient).significant())),
            SpecError::SignificantForNothing
        );
        let refused = |spec: BranchSpec| match root.add_branch(spec) {
            Err(AddError::Spec(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(BranchSpec::dynamic("x").strategy(OneForAll)), SpecError::GroupWithoutOrder);
        let storm = OnExceed::Storm(Storm { floor: secs(1), starts_per_second: std::num::NonZeroU32::MIN });
        assert_eq!(refused(BranchSpec::dynamic("x").on_exceed(storm)), SpecError::StormWithoutIntensity);
        assert!(rope.lines().is_empty(), "nothing was started");
    });
}

#[test]
fn s41_a_child_that_cannot_start_stops_those_before_it_in_reverse() {
    run(async {
        let (world, rope, bad) = (World::new(), Rope::default(), Rope::default());
        bad.loads([crate::puppet::Script::Retry]);
        let mut policy = exact();
        policy.intensity = Intensity::new(0, secs(60));
        let spec = BranchSpec::ordered("x").strategy(OneForAll).intensity(Some(policy.intensity));
        let branch = world.runtime.root().add_branch(spec.policy(policy)).unwrap();
        for id in ["a", "b"] {
            branch.add(puppet(id, &rope)).unwrap();
        }
        branch.add(puppet("k", &bad)).unwrap();
        branch.add(puppet("z", &rope)).unwrap();
        world.runtime.start().await;
        settle().await;
        let started = ["a: load", "a: started", "b: load", "b: started"];
        assert_eq!(rope.lines()[..4], started);
        assert_eq!(rope.lines()[4..], ["b: drain", "b: stopped restart", "a: drain", "a: stopped restart"]);
        let cause = world.view("x").last_failure.unwrap().failure.text;
        assert!(cause.contains("last of x/k: store is busy"), "{cause}");
    });
}
