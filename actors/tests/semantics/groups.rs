//! Strategies: who is restarted with a child that failed, and in which order.

use switchyard_actors::supervision::{
    Branch, BranchSpec, ChildRef, Happening, Intensity, NodeState, Policy, RestartType, Strategy,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Poison, Puppet, Rope, Script, puppet},
};

/// Five children of one log, a to e.
fn five(branch: &Branch, rope: &Rope) -> Vec<ChildRef<Puppet>> {
    ["a", "b", "c", "d", "e"].iter().map(|name| branch.add(puppet(name, rope)).unwrap()).collect()
}

fn epochs(children: &[ChildRef<Puppet>]) -> Vec<u64> {
    children.iter().map(ChildRef::epoch).collect()
}

async fn with_five(strategy: Strategy) -> (World, Rope, Vec<ChildRef<Puppet>>) {
    let (world, rope) = (World::new(), Rope::default());
    let branch = world.runtime.root().add_branch(BranchSpec::ordered("x").strategy(strategy)).unwrap();
    let children = five(&branch, &rope);
    world.runtime.start().await;
    rope.clear();
    (world, rope, children)
}

/// What is logged when an instance is halted and another takes its place.
fn down(name: &str) -> [String; 2] {
    [format!("{name}: drain"), format!("{name}: stopped restart")]
}

fn up(name: &str) -> [String; 2] {
    [format!("{name}: load"), format!("{name}: started")]
}

fn lines<'a>(parts: impl IntoIterator<Item = &'a [String; 2]>) -> Vec<String> {
    parts.into_iter().flatten().cloned().collect()
}

#[test]
fn s11_one_for_one_restarts_the_failed_child_alone() {
    run(async {
        let (_world, rope, children) = with_five(Strategy::OneForOne).await;
        children[2].tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(rope.lines(), ["c: stopped failed", "c: load", "c: started"]);
        assert_eq!(epochs(&children), [1, 1, 2, 1, 1]);
    });
}

#[test]
fn s11_one_for_all_restarts_everybody() {
    run(async {
        let (world, rope, children) = with_five(Strategy::OneForAll).await;
        children[2].tell(Poison).unwrap();
        let queued = children[4].ask(Add(3));
        pass(millis(999)).await;
        let halted = lines(&["e", "d", "b", "a"].map(down));
        assert_eq!(rope.lines()[0], "c: stopped failed");
        assert_eq!(
            rope.lines()[1..],
            halted,
            "newest first, at once; nobody starts before the backoff is over"
        );
        assert_eq!((children[2].status(), children[0].status()), (NodeState::Backoff, NodeState::Starting));
        pass(millis(1)).await;
        assert_eq!(rope.lines()[9..19], lines(&["a", "b", "c", "d", "e"].map(up)), "oldest first");
        assert_eq!(epochs(&children), [2; 5]);
        assert_eq!(queued.await, Ok((3, 2)), "what was queued is answered by the next instance");
        let counted = |path: &str| world.view(path).restarts_total;
        assert_eq!([counted("x/a"), counted("x/c"), counted("x/e")], [0, 1, 0], "one failure, one restart");
    });
}

#[test]
fn s11_rest_for_one_restarts_those_after_it() {
    run(async {
        let (_world, rope, children) = with_five(Strategy::RestForOne).await;
        children[2].tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(rope.lines()[1..5], lines(&["e", "d"].map(down)));
        assert_eq!(rope.lines()[5..], lines(&["c", "d", "e"].map(up)));
        assert_eq!(epochs(&children), [1, 1, 2, 2, 2]);
    });
}

#[test]
fn s11_a_group_begins_anew_with_those_that_had_ended() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").strategy(Strategy::OneForAll);
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let done = branch.add(puppet("done", &rope).restart(RestartType::Transient)).unwrap();
        let other = branch.add(puppet("other", &rope)).unwrap();
        world.runtime.start().await;
        done.tell(crate::puppet::Do::it(|_, cx| cx.stop())).unwrap();
        settle().await;
        assert_eq!(done.status(), NodeState::Stopped);
        other.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!((done.status(), done.epoch(), other.epoch()), (NodeState::Running, 2, 2));
    });
}

#[test]
fn s12_a_sibling_that_fails_in_a_group_restart_begins_it_again() {
    run(async {
        let (_world, rope, children) = with_five(Strategy::OneForAll).await;
        children[4].tell(Poison).unwrap();
        pass(millis(999)).await;
        rope.clear();
        // a comes back, b fails: a is halted once more, and all are tried again.
        rope.loads([Script::Ready, Script::Retry, Script::Ready]);
        pass(millis(1)).await;
        let halted_again = ["a: load", "a: started", "b: load", "a: drain", "a: stopped restart"];
        assert_eq!(rope.lines(), halted_again);
        // Its own backoff: the first of its failures.
        pass(secs(1)).await;
        assert_eq!(rope.lines()[5..], lines(&["a", "b", "c", "d", "e"].map(up)));
        assert_eq!(epochs(&children), [3, 3, 2, 2, 2]);
    });
}

#[test]
fn s12_in_rest_for_one_the_earlier_ones_stay() {
    run(async {
        let (_world, rope, children) = with_five(Strategy::RestForOne).await;
        children[1].tell(Poison).unwrap();
        pass(millis(500)).await;
        rope.clear();
        // b comes back, c fails: b is kept, only c and those after it are tried again.
        rope.loads([Script::Ready, Script::Retry, Script::Ready]);
        pass(millis(500)).await;
        assert_eq!(rope.lines(), ["b: load", "b: started", "c: load"]);
        pass(secs(1)).await;
        assert_eq!(rope.lines()[3..], lines(&["c", "d", "e"].map(up)));
        assert_eq!(epochs(&children), [1, 2, 3, 2, 2]);
    });
}

#[test]
fn s12_a_group_that_cannot_come_up_escalates() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").strategy(Strategy::OneForAll);
        let spec = spec.intensity(Some(Intensity::new(2, secs(60)))).policy(exact());
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let children = five(&branch, &rope);
        world.runtime.start().await;
        rope.loads([Script::Retry]);
        children[3].tell(Poison).unwrap();
        pass(secs(600)).await;
        let escalated = |what: &Happening| matches!(what, Happening::Escalated { .. });
        assert_eq!(world.sink.count("x", escalated), 1);
        assert!(children.iter().all(|child| child.status() == NodeState::Parked), "with their branch");
        assert_eq!(world.red(), ["x"]);
    });
}

#[test]
fn s12_a_member_of_a_group_is_never_parked_alone() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").strategy(Strategy::RestForOne).policy(exact());
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let often = Policy { intensity: Intensity::new(1, secs(60)), ..exact() };
        let weak = branch.add(puppet("weak", &rope).policy(often)).unwrap();
        let next = branch.add(puppet("next", &rope)).unwrap();
        world.runtime.start().await;
        weak.tell(Poison).unwrap();
        pass(secs(1)).await;
        weak.tell(Poison).unwrap();
        settle().await;
        let escalated = |what: &Happening| matches!(what, Happening::Escalated { .. });
        assert_eq!(world.sink.count("x", escalated), 1, "what it carries cannot do without it");
        assert_ne!(next.status(), NodeState::Running);
    });
}

#[test]
fn s13_a_temporary_sibling_is_stopped_and_forgotten() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").strategy(Strategy::OneForAll);
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let child = branch.add(puppet("a", &rope)).unwrap();
        let passing = branch.add(puppet("t", &rope).restart(RestartType::Temporary)).unwrap();
        world.runtime.start().await;
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!((child.epoch(), passing.status()), (2, NodeState::Stopped));
        assert_eq!(branch.ids(), ["a"]);
        assert_eq!(world.view("x/a").restarts_in_window, 1);
        branch.add(puppet("t", &rope)).unwrap();
    });
}

#[test]
fn a_group_takes_orders_while_it_is_restarted() {
    run(async {
        let (world, rope, children) = with_five(Strategy::OneForAll).await;
        children[2].tell(Poison).unwrap();
        settle().await;
        // The one that is waited for is started by an admin: the group comes with it.
        world.restart("x/c");
        settle().await;
        assert_eq!(epochs(&children), [2; 5]);
        // The one that is waited for is taken down: the others do not wait for it.
        children[2].tell(Poison).unwrap();
        settle().await;
        world.stop("x/c");
        settle().await;
        assert_eq!(epochs(&children), [3, 3, 2, 3, 3]);
        assert_eq!(children[2].status(), NodeState::Stopped);
        // One is added while the group is down: it comes up last.
        children[0].tell(Poison).unwrap();
        settle().await;
        rope.clear();
        let late = world.branch("x").add(puppet("f", &rope)).unwrap();
        pass(secs(1)).await;
        assert_eq!(rope.lines(), lines(&["a", "b", "c", "d", "e", "f"].map(up)));
        assert_eq!(late.epoch(), 1);
    });
}
