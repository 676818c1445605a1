//! Cases of OTP's supervisor_SUITE that no other test plays: starts, counts, orders, escalation.

use std::time::Duration;

use switchyard_actors::supervision::{
    AddError, Backoff, Branch, BranchSpec, ChildPath, ChildRef, Happening, Intensity, NodeState, OrderError,
    Policy, RestartType, StopLimit, Strategy,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Puppet, Rope, Script, puppet},
};

const TYPES: [RestartType; 3] = [RestartType::Permanent, RestartType::Transient, RestartType::Temporary];

fn branch(world: &World, spec: BranchSpec) -> Branch {
    world.runtime.root().add_branch(spec).unwrap()
}

fn in_state(world: &World, path: &str, state: NodeState) -> usize {
    world.view(path).children.unwrap()[&state]
}

fn escalations(world: &World, path: &str) -> usize {
    world.sink.count(path, |what| matches!(what, Happening::Escalated { .. }))
}

/// `sup_start_normal`.
#[test]
fn an_empty_branch_starts_and_stops() {
    run(async {
        for spec in [BranchSpec::ordered("x"), BranchSpec::dynamic("x")] {
            let world = World::new();
            let branch = branch(&world, spec);
            world.runtime.start().await;
            assert_eq!((world.view("x").state, branch.ids().len()), (NodeState::Running, 0));
            assert!(world.runtime.drain(secs(5)).await.is_clean());
            assert_eq!(world.view("x").state, NodeState::Stopped);
        }
    });
}

/// `sup_start_ignore_*`.
#[test]
fn a_child_that_ignores_is_listed_unless_it_is_temporary() {
    for spec in [BranchSpec::ordered("x"), BranchSpec::dynamic("x")] {
        run(async {
            let (world, rope, ignores) = (World::new(), Rope::default(), Rope::default());
            ignores.loads([Script::Ignore]);
            let branch = branch(&world, spec);
            let add = |id: &str, restart| branch.add(puppet(id, &ignores).restart(restart)).unwrap();
            add("early", RestartType::Permanent);
            add("early-temporary", RestartType::Temporary);
            branch.add(puppet("runs", &rope)).unwrap();
            world.runtime.start().await;
            settle().await;
            assert_eq!(branch.ids(), ["early", "runs"]);
            add("late", RestartType::Transient);
            add("late-temporary", RestartType::Temporary);
            settle().await;
            assert_eq!(branch.ids(), ["early", "runs", "late"]);
            assert_eq!(in_state(&world, "x", NodeState::Stopped), 2, "specs without an instance");
            assert_eq!(in_state(&world, "x", NodeState::Running), 1);
            assert!(world.runtime.drain(secs(5)).await.is_clean());
        });
    }
}

/// `sup_start_child_returns_error`, `sup_start_restart_child_returns_error`: not refused, as in OTP, but tried again.
#[test]
fn a_start_by_order_that_fails_is_a_failure_and_the_spec_is_kept() {
    for spec in [BranchSpec::ordered("x"), BranchSpec::dynamic("x")] {
        run(async {
            let (world, rope) = (World::new(), Rope::default());
            let branch = branch(&world, spec);
            world.runtime.start().await;
            rope.loads([Script::Retry, Script::Ready]);
            let child = branch.add(puppet("a", &rope).policy(exact())).unwrap();
            settle().await;
            assert_eq!((child.status(), branch.ids()), (NodeState::Backoff, vec!["a".to_owned()]));
            pass(secs(1)).await;
            assert_eq!(child.ask(Add(1)).await, Ok((1, 2)));
            world.stop("x/a");
            settle().await;
            rope.loads([Script::Retry, Script::Ready]);
            world.runtime.tree().start(child.path()).unwrap();
            settle().await;
            let view = world.view("x/a");
            assert_eq!((view.state, view.restarts_in_window), (NodeState::Backoff, 1), "it counts");
            pass(secs(1)).await;
            assert_eq!(child.ask(Add(1)).await, Ok((1, 4)));
        });
    }
}

/// `sup_start_map`.
#[test]
fn a_minimal_spec_gets_the_documented_defaults() {
    let Policy { restart, backoff, intensity, mailbox, stop, load_limit, stuck_after, probe, significant } =
        Policy::default();
    assert_eq!((restart, significant, probe), (RestartType::Permanent, false, None));
    assert_eq!(intensity, Intensity::new(5, secs(60)));
    assert_eq!((mailbox.get(), load_limit, stuck_after), (1_024, secs(60), Some(secs(120))));
    assert_eq!(stop, StopLimit { limit: secs(10), reserve: secs(3) });
    let expected = Backoff { base: secs(1), cap: secs(60), jitter_percent: 100, reset_after: secs(120) };
    assert_eq!(backoff, expected);
    run(async {
        // A static branch gives up at the eleventh restart in a minute; a dynamic one never does.
        for (spec, gives_up) in [(BranchSpec::ordered("x"), 1), (BranchSpec::dynamic("x"), 0)] {
            let world = World::new();
            let branch = branch(&world, spec);
            let child = branch.add(puppet("a", &Rope::default()).policy(tireless())).unwrap();
            world.runtime.start().await;
            for n in 1..=11 {
                assert_eq!((child.epoch(), escalations(&world, "x")), (n, 0));
                child.tell(Poison).unwrap();
                pass(millis(1)).await;
            }
            assert_eq!(escalations(&world, "x"), gives_up);
        }
    });
}

/// One millisecond of backoff.
fn quick() -> Policy {
    let backoff = Backoff { base: millis(1), cap: millis(1), jitter_percent: 0, ..Backoff::default() };
    Policy { backoff, ..exact() }
}

/// It fails as often as it likes, as far as its own window goes.
fn tireless() -> Policy {
    Policy { intensity: Intensity::new(100, secs(60)), ..quick() }
}

/// `multiple_restarts`.
#[test]
fn a_branch_whose_child_fails_slower_than_its_window_lives() {
    run(async {
        let world = World::new();
        let branch = branch(&world, BranchSpec::ordered("x").intensity(Some(Intensity::new(1, secs(1)))));
        let child = branch.add(puppet("a", &Rope::default()).policy(tireless())).unwrap();
        world.runtime.start().await;
        for _ in 0..4 {
            child.tell(Poison).unwrap();
            pass(millis(1_000)).await;
        }
        assert_eq!((child.epoch(), escalations(&world, "x")), (5, 0));
        child.tell(Poison).unwrap();
        pass(millis(999)).await;
        child.tell(Poison).unwrap();
        settle().await;
        assert_eq!(escalations(&world, "x"), 1);
    });
}

/// `one_for_one_escalation` and its kin.
#[test]
fn a_child_that_cannot_come_back_takes_its_branch_down_whatever_the_strategy() {
    let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    let ordered = strategies.map(|strategy| BranchSpec::ordered("x").strategy(strategy));
    for spec in ordered.into_iter().chain([BranchSpec::dynamic("x")]) {
        run(async {
            let (world, good, bad) = (World::new(), Rope::default(), Rope::default());
            let branch = branch(&world, spec.intensity(Some(Intensity::new(2, secs(60)))).policy(exact()));
            let first = branch.add(puppet("first", &good).policy(exact())).unwrap();
            let child = branch.add(puppet("child", &bad).policy(exact())).unwrap();
            let last = branch.add(puppet("last", &good).policy(exact())).unwrap();
            world.runtime.start().await;
            settle().await;
            bad.loads([Script::Retry]);
            child.tell(Poison).unwrap();
            pass(secs(600)).await;
            assert_eq!(escalations(&world, "x"), 1);
            // The root parked the branch.
            let states = [&first, &child, &last].map(|child| child.status());
            assert_eq!(states, [NodeState::Parked; 3], "siblings go with it");
        });
    }
}

/// `tree`.
#[test]
fn a_leaf_that_keeps_failing_climbs_level_by_level() {
    run(async {
        let world = World::new();
        let one = |name: &str| BranchSpec::ordered(name).intensity(Some(Intensity::new(1, secs(600))));
        let outer = branch(&world, one("x").policy(quick()));
        let inner = outer.add_branch(one("y").policy(quick())).unwrap();
        let dynamic = inner.add_branch(BranchSpec::dynamic("z")).unwrap();
        let leaf = inner.add(puppet("leaf", &Rope::default()).policy(quick())).unwrap();
        let among_many = dynamic.add(puppet("d", &Rope::default())).unwrap();
        let aunt = outer.add(puppet("aunt", &Rope::default())).unwrap();
        let stranger = world.runtime.root().add(puppet("stranger", &Rope::default())).unwrap();
        world.runtime.start().await;
        let levels = || (escalations(&world, "x/y"), escalations(&world, "x"));
        for (fault, climbed, aunts) in [(1, (0, 0), 1), (2, (1, 0), 1), (3, (1, 0), 1), (4, (2, 1), 1)] {
            leaf.tell(Poison).unwrap();
            pass(millis(10)).await;
            assert_eq!((levels(), aunt.epoch()), (climbed, aunts), "after fault {fault}");
        }
        assert_eq!(world.view("x").state, NodeState::Parked);
        assert_eq!(world.red(), ["x", "x/y", "x/y/z"]);
        assert_eq!(stranger.ask(Add(1)).await, Ok((1, 1)), "another branch goes on");
        world.restart("x");
        settle().await;
        // Children of a dynamic branch are kept with it; OTP would have lost them.
        assert_eq!((among_many.status(), among_many.epoch()), (NodeState::Running, 3));
    });
}

/// `count_children`, `count_children_supervisor`.
#[test]
fn counts_stay_exact_while_a_thousand_come_and_go() {
    run(async {
        let world = World::new();
        let dynamic = branch(&world, BranchSpec::dynamic("x"));
        world.runtime.start().await;
        let add = |from: usize, to: usize| {
            for n in from..to {
                let child = puppet(&format!("c{n}"), &Rope::default()).restart(RestartType::Temporary);
                dynamic.add(child).unwrap();
                dynamic.add_branch(BranchSpec::dynamic(format!("b{n}"))).unwrap();
            }
        };
        for (from, to) in [(0, 500), (500, 1_000)] {
            add(from, to);
            settle().await;
            assert_eq!(in_state(&world, "x", NodeState::Running), 2 * to);
            assert_eq!(dynamic.ids().len(), 2 * to);
        }
        let prefix = ChildPath::parse("x").unwrap();
        assert_eq!(world.runtime.tree().snapshot(&prefix).len(), 2_001);
        for n in 0..1_000 {
            dynamic.get::<Puppet>(&format!("c{n}")).unwrap().tell(Poison).unwrap();
        }
        settle().await;
        assert_eq!(in_state(&world, "x", NodeState::Running), 1_000, "the branches are left");
        for n in 0..1_000 {
            world.stop(&format!("x/b{n}"));
        }
        settle().await;
        let left = (in_state(&world, "x", NodeState::Running), in_state(&world, "x", NodeState::Stopped));
        assert_eq!((left, dynamic.ids().len()), ((0, 1_000), 1_000));
    });
}

/// `count_restarting_children`.
#[test]
fn children_stuck_in_failing_restarts_are_counted_and_heal() {
    run(async {
        let (world, bad) = (World::new(), Rope::default());
        let branch = branch(&world, BranchSpec::dynamic("x"));
        let add = |id: &str, rope: &Rope| branch.add(puppet(id, rope).policy(exact())).unwrap();
        let (_well, one, two) = (add("well", &Rope::default()), add("one", &bad), add("two", &bad));
        world.runtime.start().await;
        settle().await;
        bad.loads([Script::Retry]);
        one.tell(Poison).unwrap();
        two.tell(Poison).unwrap();
        for _ in 0..3 {
            pass(secs(1)).await;
            let counts =
                (in_state(&world, "x", NodeState::Running), in_state(&world, "x", NodeState::Backoff));
            assert_eq!((counts, branch.ids().len()), ((1, 2), 3));
        }
        bad.loads([Script::Ready]);
        pass(secs(10)).await;
        assert_eq!(in_state(&world, "x", NodeState::Running), 3);
    });
}

/// `do_not_save_child_specs_for_temporary_children`.
#[test]
fn only_a_temporary_child_frees_its_id_when_it_ends() {
    let ends: [fn(&mut Puppet, &mut switchyard_actors::supervision::Cx<'_, Puppet>); 4] =
        [|_, cx| cx.stop(), |_, cx| cx.fail("declared"), |_, cx| cx.park("asked"), |_, _| panic!("crash")];
    for restart in TYPES {
        for end in ends {
            run(async {
                let (world, rope) = (World::new(), Rope::default());
                let branch = branch(&world, BranchSpec::ordered("x"));
                let child = branch.add(puppet("a", &rope).restart(restart)).unwrap();
                world.runtime.start().await;
                child.tell(Do::it(end)).unwrap();
                settle().await;
                let again = branch.add(puppet("a", &rope));
                match restart {
                    RestartType::Temporary => assert!(again.is_ok()),
                    _ => assert!(matches!(again, Err(AddError::Duplicate(_)))),
                }
            });
        }
    }
}

/// `hanging_restart_loop_rest_for_one`.
#[test]
fn a_group_stuck_in_failing_restarts_takes_orders_and_stops() {
    run(async {
        let (world, good, bad) = (World::new(), Rope::default(), Rope::default());
        let spec = BranchSpec::ordered("x").strategy(Strategy::RestForOne).intensity(None);
        let branch = branch(&world, spec);
        let often = Policy { intensity: Intensity::new(10_000, secs(60)), ..exact() };
        let add = |id: &str, rope: &Rope| branch.add(puppet(id, rope).policy(often.clone())).unwrap();
        let children: [ChildRef<Puppet>; 3] = [add("a", &good), add("b", &bad), add("c", &good)];
        world.runtime.start().await;
        bad.loads([Script::Retry]);
        children[1].tell(Poison).unwrap();
        pass(secs(300)).await;
        let states = || [0, 1, 2].map(|n: usize| children[n].status());
        assert_eq!(states(), [NodeState::Running, NodeState::Backoff, NodeState::Starting]);
        assert!(matches!(branch.add(puppet("b", &bad)), Err(AddError::Duplicate(_))));
        let tree = world.runtime.tree();
        assert_eq!(tree.delete(children[1].path()), Err(OrderError::NotNow(NodeState::Backoff)));
        world.stop("x/b");
        settle().await;
        assert_eq!(
            states(),
            [NodeState::Running, NodeState::Stopped, NodeState::Running],
            "c waits no longer"
        );
        world.restart("x/b");
        pass(secs(1)).await;
        assert_eq!(children[1].status(), NodeState::Backoff, "and round it goes");
        let before = tokio::time::Instant::now();
        assert!(world.runtime.drain(secs(30)).await.is_clean());
        assert_eq!(before.elapsed(), Duration::ZERO);
    });
}

/// `order_of_children`.
#[test]
fn children_start_and_stop_in_the_order_they_were_added() {
    run(async {
        let (world, rope) = (World::new(), Rope::default());
        let branch = branch(&world, BranchSpec::ordered("x").strategy(Strategy::RestForOne));
        let ids = ["ab", "z", "aa", "c", "b"];
        for id in ids {
            branch.add(puppet(id, &rope)).unwrap();
        }
        world.runtime.start().await;
        let of = |what: &str| {
            let suffix = format!(": {what}");
            rope.lines()
                .iter()
                .filter_map(|line| line.strip_suffix(&suffix).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("started"), ids);
        rope.clear();
        branch.get::<Puppet>("aa").unwrap().tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(
            (of("drain"), of("started")),
            (vec!["b".into(), "c".into()], vec!["aa".into(), "c".into(), "b".into()])
        );
        rope.clear();
        assert!(world.runtime.drain(secs(5)).await.is_clean());
        assert_eq!(of("stopped shutdown"), ids.iter().rev().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    });
}
