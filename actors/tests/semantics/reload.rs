//! Other limits for what runs already.

use std::num::NonZeroUsize;

use switchyard_actors::supervision::{
    AutoShutdown, Backoff, BranchLimits, BranchSpec, Change, ChildPath, Happening, Intensity, NodeState,
    OnExceed, Policy, ReloadFault, RestartType, SpecError,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Rope, puppet},
};

fn path(text: &str) -> ChildPath {
    ChildPath::parse(text).unwrap()
}

fn policy(of: &str, policy: Policy) -> (ChildPath, Change) {
    (path(of), Change::Policy(Box::new(policy)))
}

fn limits(of: &str, intensity: Option<Intensity>, auto_shutdown: AutoShutdown) -> (ChildPath, Change) {
    let limits = BranchLimits { intensity, on_exceed: OnExceed::Escalate, auto_shutdown };
    (path(of), Change::Limits(limits))
}

#[test]
fn s42_the_next_decision_goes_by_the_new_limits() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Poison).unwrap();
        settle().await;
        let backoff = Backoff { base: secs(7), jitter_percent: 0, ..Backoff::default() };
        let new = Policy { backoff, intensity: Intensity::new(2, secs(60)), ..exact() };
        world.runtime.tree().reload(&[policy("a", new)]).unwrap();
        pass(secs(1)).await;
        assert_eq!((child.epoch(), child.status()), (2, NodeState::Running), "a backoff keeps its length");
        child.tell(Poison).unwrap();
        pass(millis(13_999)).await;
        assert_eq!(child.status(), NodeState::Backoff, "twice the new base");
        pass(millis(1)).await;
        assert_eq!(child.status(), NodeState::Running);
        child.tell(Poison).unwrap();
        settle().await;
        assert_eq!(child.status(), NodeState::Parked, "the third of two, those before the change included");
    });
}

#[test]
fn s42_a_running_child_is_not_disturbed() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.ask(Add(5)).await.unwrap();
        let tight = Policy {
            mailbox: NonZeroUsize::new(2).unwrap(),
            stuck_after: Some(secs(3)),
            restart: RestartType::Transient,
            ..exact()
        };
        world.runtime.tree().suspend(child.path()).unwrap();
        settle().await;
        for _ in 0..3 {
            child.tell(Add(1)).unwrap();
        }
        world.runtime.tree().reload(&[policy("a", tight)]).unwrap();
        assert!(child.tell(Add(1)).is_err(), "full by the new bound");
        world.runtime.tree().resume(child.path()).unwrap();
        assert_eq!(child.ask(Add(0)).await.ok(), None, "still full");
        settle().await;
        assert_eq!(child.ask(Add(0)).await, Ok((8, 1)), "the same instance, nothing lost");
        child.tell(Do::it(|_, cx| drop(cx.spawn(std::future::pending::<()>(), |_, (), _| ())))).unwrap();
        pass(secs(4)).await;
        assert_eq!(child.epoch(), 2, "stuck by the new limit");
        child.tell(Do::it(|_, cx| cx.stop())).unwrap();
        settle().await;
        assert_eq!(child.status(), NodeState::Stopped, "transient by the new policy");
    });
}

#[test]
fn s42_a_faulty_change_is_refused_whole() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let tree = world.runtime.tree();
        let good = || policy("a", Policy { mailbox: NonZeroUsize::MIN, ..exact() });
        let fault = |bad| tree.reload(&[good(), bad]).unwrap_err().fault;
        let backoff = Backoff { base: secs(2), cap: secs(1), ..Backoff::default() };
        assert_eq!(fault(policy("a", Policy { backoff, ..exact() })), SpecError::CapBelowBase.into());
        assert_eq!(fault(policy("nobody", exact())), ReloadFault::NotFound);
        assert_eq!(fault(limits("a", None, AutoShutdown::Never)), ReloadFault::NoBranch);
        let zero = Some(Intensity::new(1, secs(0)));
        assert_eq!(fault(limits("root", zero, AutoShutdown::Never)), SpecError::ZeroWindow.into());
        let significant = Policy { restart: RestartType::Transient, significant: true, ..exact() };
        assert_eq!(fault(policy("a", significant)), SpecError::SignificantForNothing.into());
        world.runtime.tree().suspend(child.path()).unwrap();
        settle().await;
        assert!(
            child.tell(Add(1)).is_ok() && child.tell(Add(1)).is_ok(),
            "the good one was not applied either"
        );
    });
}

#[test]
fn s42_a_branch_goes_by_other_limits() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x").policy(exact())).unwrap();
        let child = branch.add(puppet("a", &rope)).unwrap();
        world.runtime.start().await;
        for _ in 0..2 {
            child.tell(Poison).unwrap();
            pass(secs(5)).await;
        }
        let two = Some(Intensity::new(2, secs(60)));
        world.runtime.tree().reload(&[limits("x", two, AutoShutdown::Never)]).unwrap();
        child.tell(Poison).unwrap();
        settle().await;
        let escalated = |what: &Happening| matches!(what, Happening::Escalated { .. });
        assert_eq!(world.sink.count("x", escalated), 1, "the third of two");
    });
}

#[test]
fn s42_automatic_shutdown_is_switched_on_and_off_at_run_time() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let mut down = exact();
        down.restart = RestartType::Transient;
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x").policy(down)).unwrap();
        world.runtime.start().await;
        let significant = |id: &str| puppet(id, &rope).restart(RestartType::Transient).significant();
        assert!(branch.add(significant("s")).is_err(), "for nothing");
        let switch = |auto| world.runtime.tree().reload(&[limits("x", None, auto)]).unwrap();
        switch(AutoShutdown::AnySignificant);
        let first = branch.add(significant("s")).unwrap();
        let second = branch.add(significant("t")).unwrap();
        switch(AutoShutdown::Never);
        settle().await;
        first.tell(Do::it(|_, cx| cx.stop())).unwrap();
        pass(secs(1)).await;
        assert_eq!(world.view("x").state, NodeState::Running, "its end does nothing any more");
        switch(AutoShutdown::AllSignificant);
        second.tell(Do::it(|_, cx| cx.stop())).unwrap();
        pass(secs(1)).await;
        assert_eq!(world.view("x").state, NodeState::Stopped, "it was the last");
    });
}
