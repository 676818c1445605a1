//! Cases of OTP's supervisor_SUITE that no other test plays: stops, and branches that end with their children.

use std::future::pending;

use switchyard_actors::supervision::{
    AddError, AutoShutdown, Branch, BranchLimits, BranchSpec, Change, ChildPath, ChildRef, Cx, Happening,
    NodeState, OnExceed, Policy, RestartType, SpecError, StopLimit, Strategy,
};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Do, Later, Poison, Puppet, Rope, puppet},
};

const TYPES: [RestartType; 3] = [RestartType::Permanent, RestartType::Transient, RestartType::Temporary];

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

type End = fn(&mut Puppet, &mut Cx<'_, Puppet>);

fn hang() -> Do {
    Do::it(|_, cx| drop(cx.spawn(pending::<()>(), |_, (), _| ())))
}

fn within(seconds: u64) -> Policy {
    Policy { stop: StopLimit { limit: secs(seconds), reserve: secs(0) }, ..exact() }
}

/// A branch that stays down when it ends normally.
fn transient() -> Policy {
    Policy { restart: RestartType::Transient, ..exact() }
}

fn ends(child: &ChildRef<Puppet>) {
    child.tell(Do::it(|_, cx| cx.stop())).unwrap();
}

/// `sup_stop_timeout`, `sup_stop_timeout_dynamic`, `simple_one_for_one_shutdown`.
#[test]
fn of_many_children_only_the_hung_ones_are_cut_off() {
    for (spec, takes) in [(BranchSpec::ordered("x"), secs(4)), (BranchSpec::dynamic("x"), secs(2))] {
        run(async {
            let world = World::new();
            let branch = world.runtime.root().add_branch(spec).unwrap();
            let add = |id: &str| branch.add(puppet(id, &Rope::default()).policy(within(2))).unwrap();
            let (slow, hung, other) = (add("slow"), add("hung"), add("other"));
            world.runtime.start().await;
            settle().await;
            slow.tell(Later(secs(1), false)).unwrap();
            other.tell(Later(secs(1), false)).unwrap();
            hung.tell(hang()).unwrap();
            let before = tokio::time::Instant::now();
            if takes > secs(2) {
                // One after the other; the slow ones work while they wait for their turn.
                pass(secs(2)).await;
            }
            let report = world.runtime.drain(secs(30)).await;
            assert_eq!(before.elapsed(), takes);
            assert_eq!(report.unfinished.iter().map(ChildPath::as_str).collect::<Vec<_>>(), ["x/hung"]);
        });
    }
}

/// `sup_stop_brutal_kill`, `sup_stop_brutal_kill_dynamic`.
#[test]
fn a_stop_limit_of_zero_cuts_off_at_once() {
    for spec in [BranchSpec::ordered("x"), BranchSpec::dynamic("x")] {
        run(async {
            let (world, rope) = (World::new(), Rope::default());
            let branch = world.runtime.root().add_branch(spec).unwrap();
            for n in 0..10 {
                let child = branch.add(puppet(&n.to_string(), &rope).policy(within(0))).unwrap();
                child.tell(hang()).unwrap();
            }
            let polite = branch.add(puppet("polite", &Rope::default())).unwrap();
            world.runtime.start().await;
            settle().await;
            polite.tell(Later(secs(1), false)).unwrap();
            let before = tokio::time::Instant::now();
            let report = world.runtime.drain(secs(30)).await;
            assert_eq!((before.elapsed(), report.unfinished.len()), (secs(1), 10));
            // OTP's `brutal_kill` would not have asked them; here they are told.
            for told in ["closing", "drain", "stopped shutdown"] {
                assert_eq!(rope.lines().iter().filter(|line| line.ends_with(told)).count(), 10, "{told}");
            }
        });
    }
}

/// `sup_stop_infinity`.
#[test]
fn a_branch_waits_for_its_children_without_a_limit_of_its_own() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = world.runtime.root().add_branch(BranchSpec::ordered("x").policy(within(1))).unwrap();
        rope.0.lock().unwrap().drain_takes = secs(40);
        let patient = Policy { stop: StopLimit { limit: secs(50), reserve: secs(45) }, ..exact() };
        for id in ["a", "b"] {
            branch.add(puppet(id, &rope).policy(patient.clone())).unwrap();
        }
        world.runtime.start().await;
        settle().await;
        let before = tokio::time::Instant::now();
        assert!(world.runtime.root().remove("x").await);
        assert_eq!(before.elapsed(), secs(80), "one after the other, each as long as it takes");
        assert_eq!(rope.lines().iter().filter(|line| line.ends_with("stopped shutdown")).count(), 2);
    });
}

/// `sup_stop_race`.
#[test]
fn ends_of_every_kind_during_a_drain_restart_nobody() {
    let kinds: [(End, &str); 4] = [
        (|_, cx| cx.stop(), "normal"),
        (|_, cx| cx.fail("declared"), "failed"),
        (|_, cx| cx.park("asked"), "parked"),
        (|_, _| panic!("crash"), "failed"),
    ];
    for strategy in STRATEGIES {
        run(async {
            let (world, rope) = (World::new(), Rope::default());
            let spec = BranchSpec::ordered("x").strategy(strategy).intensity(None);
            let branch = world.runtime.root().add_branch(spec).unwrap();
            let mut children = Vec::new();
            for (at, restart) in TYPES.into_iter().enumerate() {
                for (kind, (end, word)) in kinds.into_iter().enumerate() {
                    let id = format!("{at}-{kind}");
                    let child = branch.add(puppet(&id, &rope).restart(restart)).unwrap();
                    children.push((child, end, format!("{id}: stopped {word}")));
                }
            }
            let last = branch.add(puppet("last", &rope)).unwrap();
            world.runtime.start().await;
            last.tell(Later(secs(2), false)).unwrap();
            let drain = world.runtime.drain(secs(30));
            settle().await;
            assert_eq!(last.status(), NodeState::Draining);
            for (child, end, _) in &children {
                child.tell(Do::it(*end)).unwrap();
            }
            assert!(drain.await.is_clean());
            for (child, _, line) in &children {
                assert_eq!((child.status(), child.epoch()), (NodeState::Stopped, 1));
                assert!(rope.lines().contains(line), "it keeps its own reason: {line}");
            }
            let restarted =
                |path: &str| world.sink.count(path, |what| matches!(what, Happening::Restarting { .. }));
            assert_eq!(children.iter().map(|(child, ..)| restarted(child.path().as_str())).sum::<usize>(), 0);
        });
    }
}

/// `sup_stop_non_shutdown_exit_dynamic`.
#[test]
fn children_that_panic_while_they_stop_hold_nobody_up() {
    for spec in [BranchSpec::ordered("x"), BranchSpec::dynamic("x")] {
        for place in ["closing", "drain", "stopped", "drop"] {
            run(async {
                let world = World::new();
                let branch = world.runtime.root().add_branch(spec.clone()).unwrap();
                let mut children = Vec::new();
                for (n, restart) in TYPES.into_iter().enumerate() {
                    let rope = Rope::default();
                    rope.panic_in(&[place]);
                    children.push(branch.add(puppet(&n.to_string(), &rope).restart(restart)).unwrap());
                }
                world.runtime.start().await;
                settle().await;
                let before = tokio::time::Instant::now();
                world.runtime.drain(secs(30)).await;
                assert!(before.elapsed().is_zero(), "{place}");
                for child in children {
                    assert_eq!((child.status(), child.epoch()), (NodeState::Stopped, 1), "{place}");
                }
                assert_eq!(world.view("x").state, NodeState::Stopped);
            });
        }
    }
}

/// `child_specs_map`.
#[test]
fn exactly_the_legal_specs_of_significant_children_pass() {
    run(async {
        let world = World::new();
        for (n, mode) in MODES.into_iter().enumerate() {
            let spec = BranchSpec::ordered(format!("b{n}")).auto_shutdown(mode);
            let branch = world.runtime.root().add_branch(spec).unwrap();
            for restart in TYPES {
                for significant in [false, true] {
                    let policy = Policy { restart, significant, ..exact() };
                    let id = format!("{restart:?}-{significant}");
                    let added = branch.add(puppet(&id, &Rope::default()).policy(policy));
                    let refused = match added {
                        Ok(_) => None,
                        Err(AddError::Spec(error)) => Some(error),
                        Err(other) => panic!("{other}"),
                    };
                    let expected = match (significant, restart, mode) {
                        (true, RestartType::Permanent, _) => Some(SpecError::SignificantPermanent),
                        (true, _, AutoShutdown::Never) => Some(SpecError::SignificantForNothing),
                        _ => None,
                    };
                    assert_eq!(refused, expected, "{id} under {mode:?}");
                }
            }
        }
    });
}

/// `nonsignificant_temporary`, `nonsignificant_transient`.
#[test]
fn a_child_that_is_not_significant_never_ends_its_branch() {
    let ways: [(&str, End); 2] = [("normal", |_, cx| cx.stop()), ("crash", |_, _| panic!("crash"))];
    for mode in MODES {
        for restart in TYPES {
            run(async {
                for (way, end) in ways {
                    let world = World::new();
                    let spec = BranchSpec::ordered("x").auto_shutdown(mode).policy(transient());
                    let branch = world.runtime.root().add_branch(spec).unwrap();
                    let rope = Rope::default();
                    let child = branch.add(puppet("a", &rope).restart(restart)).unwrap();
                    let taken_down = branch.add(puppet("b", &rope).restart(restart)).unwrap();
                    world.runtime.start().await;
                    child.tell(Do::it(end)).unwrap();
                    world.stop(taken_down.path().as_str());
                    pass(secs(2)).await;
                    assert_eq!(world.view("x").state, NodeState::Running, "{mode:?} {restart:?} {way}");
                    let back = restart == RestartType::Permanent
                        || (restart == RestartType::Transient && way == "crash");
                    assert_eq!(child.status() == NodeState::Running, back, "{restart:?} {way}");
                }
            });
        }
    }
}

/// A branch with two significant children that are up.
async fn pair(spec: BranchSpec, restart: RestartType) -> (World, Branch, [ChildRef<Puppet>; 2]) {
    let world = World::new();
    let branch = world.runtime.root().add_branch(spec.policy(transient())).unwrap();
    let add = |id: &str| branch.add(puppet(id, &Rope::default()).restart(restart).significant()).unwrap();
    let children = ["s", "t"].map(add);
    world.runtime.start().await;
    settle().await;
    (world, branch, children)
}

/// `significant_simple`.
#[test]
fn significant_children_of_a_dynamic_branch_end_it_too() {
    for mode in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for restart in [RestartType::Transient, RestartType::Temporary] {
            run(async {
                let spec = BranchSpec::dynamic("x").auto_shutdown(mode);
                let (world, branch, [s, t]) = pair(spec, restart).await;
                let state = || world.view("x").state;
                s.tell(Poison).unwrap();
                pass(secs(1)).await;
                // A transient one comes back, a temporary one is gone for good.
                let first = restart == RestartType::Temporary;
                let down = first && mode == AutoShutdown::AnySignificant;
                assert_eq!(state(), if down { NodeState::Stopped } else { NodeState::Running });
                if down {
                    return;
                }
                assert!(branch.remove("t").await);
                pass(secs(1)).await;
                assert_eq!(
                    (state(), t.status()),
                    (NodeState::Running, NodeState::Stopped),
                    "an order never counts"
                );
                if !first {
                    ends(&s);
                    pass(secs(1)).await;
                    assert_eq!(state(), NodeState::Stopped);
                }
            });
        }
    }
}

fn switch(world: &World, auto_shutdown: AutoShutdown) {
    let limits = BranchLimits { intensity: None, on_exceed: OnExceed::Escalate, auto_shutdown };
    let path = ChildPath::parse("x").unwrap();
    world.runtime.tree().reload(&[(path, Change::Limits(limits))]).unwrap();
}

/// `significant_upgrade_any_all`, `significant_upgrade_all_any`.
#[test]
fn any_becomes_all_and_all_becomes_any_while_both_run() {
    for (from, to) in [
        (AutoShutdown::AnySignificant, AutoShutdown::AllSignificant),
        (AutoShutdown::AllSignificant, AutoShutdown::AnySignificant),
    ] {
        run(async {
            let spec = BranchSpec::ordered("x").auto_shutdown(from);
            let (world, _branch, [s, t]) = pair(spec, RestartType::Transient).await;
            switch(&world, to);
            ends(&s);
            pass(secs(1)).await;
            let any = to == AutoShutdown::AnySignificant;
            let after_first = if any { NodeState::Stopped } else { NodeState::Running };
            assert_eq!(world.view("x").state, after_first);
            if !any {
                ends(&t);
                pass(secs(1)).await;
                assert_eq!(world.view("x").state, NodeState::Stopped);
            }
        });
    }
}

/// `significant_upgrade_child`.
#[test]
fn a_child_becomes_significant_while_it_runs() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let spec = BranchSpec::ordered("x").auto_shutdown(AutoShutdown::AnySignificant).policy(transient());
        let branch = world.runtime.root().add_branch(spec).unwrap();
        let child = branch.add(puppet("a", &rope)).unwrap();
        world.runtime.start().await;
        let change = |restart, significant| {
            let policy = Policy { restart, significant, ..exact() };
            world.runtime.tree().reload(&[(child.path().clone(), Change::Policy(Box::new(policy)))])
        };
        let fault = change(RestartType::Permanent, true).unwrap_err().fault;
        assert_eq!(fault, SpecError::SignificantPermanent.into());
        change(RestartType::Transient, true).unwrap();
        change(RestartType::Transient, false).unwrap();
        ends(&child);
        pass(secs(1)).await;
        assert_eq!((world.view("x").state, child.status()), (NodeState::Running, NodeState::Stopped));
        world.restart("x/a");
        change(RestartType::Transient, true).unwrap();
        settle().await;
        assert_eq!(child.epoch(), 2, "the same instance, undisturbed");
        ends(&child);
        pass(secs(1)).await;
        assert_eq!(world.view("x").state, NodeState::Stopped);
    });
}
