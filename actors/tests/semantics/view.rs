//! What operators see: tree, counts, events, health.

use std::sync::Arc;

use switchyard_actors::supervision::{
    AddError, Backoff, BranchSpec, ChildPath, Happening, Intensity, NodeState, NodeView, OrderError, Phase,
    Policy, Probe, Runtime, RuntimeConfig, SpecError, StopLimit, SupervisionEvent, SupervisionSink, Verdict,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Rope, Script, puppet},
};

#[test]
fn s38_the_tree_shows_a_failing_restart() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.tell(Poison).unwrap();
        child.tell(Poison).unwrap();
        child.tell(Add(1)).unwrap();
        pass(secs(1)).await;
        let view = world.view("a");
        assert_eq!((view.state, view.epoch, view.depth), (NodeState::Backoff, 2, 1));
        assert_eq!((view.restarts_total, view.restarts_in_window), (2, 2));
        let last = view.last_failure.unwrap();
        assert_eq!((last.count, last.failure.phase), (2, Phase::Handler));
        assert_eq!(
            (last.failure.message.as_deref(), last.failure.text.as_str()),
            (Some("Poison"), "poisoned")
        );
        let location = last.failure.location.unwrap();
        assert!(location.contains("puppet.rs:") && !location.ends_with(':'), "{location}");
        assert_eq!(view.since, last.at);
        assert_eq!(view.next_attempt, Some(last.at + chrono::TimeDelta::seconds(2)));
        let counts = world.runtime.tree().counts();
        assert_eq!((counts[&NodeState::Backoff], counts[&NodeState::Running]), (1, 1));
        rope.loads([Script::Fatal]);
        pass(secs(2)).await;
        let counts = world.runtime.tree().counts();
        assert_eq!((counts[&NodeState::Parked], counts[&NodeState::Backoff]), (1, 0));
        world.restart("a");
        rope.loads([Script::Ready]);
        world.restart("a");
        settle().await;
    });
}

#[test]
fn a_view_survives_its_journey_as_json() {
    run(async {
        let (world, child) = World::with(puppet("a", &Rope::default())).await;
        child.tell(Poison).unwrap();
        settle().await;
        let views = world.runtime.tree().snapshot(&ChildPath::root());
        let json = serde_json::to_string(&views).unwrap();
        assert!(json.contains(r#""state":"backoff""#) && json.contains(r#""phase":"handler""#), "{json}");
        let back: Vec<NodeView> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, views);
        let events = world.sink.0.lock().unwrap().clone();
        let back: Vec<SupervisionEvent> =
            serde_json::from_str(&serde_json::to_string(&events).unwrap()).unwrap();
        assert_eq!(back, events);
    });
}

#[test]
fn a_snapshot_takes_a_prefix_by_segments() {
    run(async {
        let world = World::new();
        let root = world.runtime.root();
        for name in ["pairs", "pairs-old"] {
            let branch = root.add_branch(BranchSpec::dynamic(name)).unwrap();
            for id in ["1", "2"] {
                branch.add(puppet(id, &Rope::default())).unwrap();
            }
        }
        world.runtime.start().await;
        let paths = |prefix: &str| -> Vec<String> {
            let prefix = ChildPath::parse(prefix).unwrap();
            world.runtime.tree().snapshot(&prefix).iter().map(|view| view.path.to_string()).collect()
        };
        assert_eq!(paths("pairs"), ["pairs", "pairs/1", "pairs/2"]);
        assert_eq!(paths("pairs/2"), ["pairs/2"]);
        assert_eq!(paths("pai"), Vec::<String>::new());
        assert_eq!(paths("root").len(), 7);
        assert_eq!(paths("root")[0], "root");
    });
}

#[test]
fn the_observable_state_is_published_within_its_interval() {
    run(async {
        let (world, child) = World::with(puppet("a", &Rope::default())).await;
        assert_eq!(world.view("a").observable["sum"], 0, "published as soon as it is up");
        pass(secs(1)).await;
        child.ask(Add(1)).await.unwrap();
        settle().await;
        assert_eq!(world.view("a").observable["sum"], 1, "at once when the last time is long ago");
        for n in 2..100 {
            child.ask(Add(1)).await.unwrap();
            settle().await;
            assert_eq!((n, world.view("a").observable["sum"].as_u64()), (n, Some(1)));
        }
        pass(millis(250)).await;
        assert_eq!(world.view("a").observable["sum"], 99, "the last change is not forgotten");
        assert!(world.view("root").children.unwrap()[&NodeState::Running] == 1);
    });
}

#[test]
fn s35_admin_restart_of_a_running_child() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        child.ask(Add(5)).await.unwrap();
        for _ in 0..20 {
            world.restart("a");
            world.restart("a");
            settle().await;
        }
        assert_eq!(
            rope.lines()[2..7],
            ["a: add 5", "a: drain", "a: stopped restart", "a: load", "a: started"]
        );
        let view = world.view("a");
        assert_eq!((view.state, view.epoch), (NodeState::Running, 21));
        assert_eq!((view.restarts_total, view.restarts_in_window, view.last_failure), (0, 0, None));
        assert_eq!(child.ask(Add(1)).await, Ok((1, 21)));
    });
}

#[test]
fn s35_orders_that_cannot_be_carried_out_say_so() {
    run(async {
        let world = World::new();
        let tree = world.runtime.tree();
        let rope = Rope::default();
        let child = world.runtime.root().add(puppet("a", &rope)).unwrap();
        let restart = |path: &str| tree.restart(&ChildPath::parse(path).unwrap());
        assert_eq!(restart("a"), Err(OrderError::BranchDown), "nothing is started yet");
        world.runtime.start().await;
        assert_eq!(restart("nobody"), Err(OrderError::NotFound));
        assert_eq!(restart("root"), Err(OrderError::Root));
        // Backoff: started without waiting.
        child.tell(Poison).unwrap();
        settle().await;
        assert_eq!((restart("a"), child.status()), (Ok(()), NodeState::Starting));
        settle().await;
        assert_eq!((child.epoch(), child.status()), (2, NodeState::Running));
        child.tell(Do::it(|_, cx| drop(cx.spawn(std::future::pending::<()>(), |_, (), _| ())))).unwrap();
        settle().await;
        let drain = world.runtime.drain(secs(60));
        settle().await;
        assert_eq!(restart("a"), Err(OrderError::Stopping));
        drain.await;
        assert_eq!(restart("a"), Err(OrderError::BranchDown));
    });
}

#[test]
fn events_tell_the_whole_story() {
    run(async {
        let rope = Rope::default();
        let policy = Policy { intensity: Intensity::new(1, secs(60)), ..exact() };
        let (world, child) = World::with(puppet("a", &rope).policy(policy)).await;
        child.tell(Poison).unwrap();
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        world.restart("a");
        settle().await;
        world.runtime.drain(secs(1)).await;
        let story: Vec<_> = world
            .sink
            .of("a")
            .into_iter()
            .map(|what| match what {
                Happening::Started { epoch } => format!("started {epoch}"),
                Happening::Restarting { failure, delay, restarts_in_window } => {
                    format!("restarting {:?} {} {restarts_in_window}", delay, failure.unwrap().text)
                }
                Happening::Parked { cause, reason, probe_in } => {
                    assert!(reason.starts_with("poisoned in handler of Poison at "), "{reason}");
                    format!("parked {cause:?} {probe_in:?}")
                }
                Happening::Unparked { by } => format!("unparked {by:?}"),
                Happening::Stopped { clean } => format!("stopped {clean}"),
                other => format!("{other:?}"),
            })
            .collect();
        let want = [
            "started 1",
            "restarting 1s poisoned 1",
            "started 2",
            "parked Intensity None",
            "unparked Admin",
            "started 3",
            "stopped true",
        ];
        assert_eq!(story, want);
        assert!(
            world
                .sink
                .0
                .lock()
                .unwrap()
                .iter()
                .filter(|e| e.path.as_str() == "a")
                .all(|e| e.kind == "puppet")
        );
    });
}

#[test]
fn a_parked_child_of_the_root_turns_health_red() {
    run(async {
        let rope = Rope::default();
        rope.loads([Script::Fatal]);
        let (world, _child) = World::with(puppet("notifier", &rope)).await;
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("pairs")).unwrap();
        settle().await;
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, world.red()), (Verdict::Red, vec!["notifier".to_owned()]));
        assert_eq!(health.red[0].reason.as_deref(), Some("credentials are gone"));
        let tenant = Rope::default();
        tenant.loads([Script::Fatal]);
        branch.add(puppet("1", &tenant)).unwrap();
        rope.loads([Script::Ready]);
        world.restart("notifier");
        settle().await;
        let health = world.runtime.tree().health();
        assert_eq!(
            (health.verdict, health.ready),
            (Verdict::Yellow, true),
            "a tenant's parked pair is no red"
        );
    });
}

struct Grenade;
impl SupervisionSink for Grenade {
    fn record(&self, _: &SupervisionEvent) {
        panic!("the sink is broken");
    }
}

#[test]
fn a_panicking_sink_is_contained() {
    run(async {
        let clock = Arc::new(chrono::DateTime::<chrono::Utc>::default);
        let runtime = Runtime::new(RuntimeConfig::default(), clock, Arc::new(Grenade)).unwrap();
        let child = runtime.root().add(puppet("a", &Rope::default())).unwrap();
        runtime.start().await;
        child.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(child.ask(Add(1)).await, Ok((1, 2)));
    });
}

#[test]
fn s41_wrong_specs_are_refused_by_name() {
    run(async {
        let world = World::new();
        let root = world.runtime.root();
        let rope = Rope::default();
        let refused = |policy: Policy| match root.add(puppet("a", &rope).policy(policy)) {
            Err(AddError::Spec(error)) => error,
            other => panic!("{other:?}"),
        };
        let backoff = Backoff { base: secs(2), cap: secs(1), ..Backoff::default() };
        assert_eq!(refused(Policy { backoff, ..exact() }), SpecError::CapBelowBase);
        let backoff = Backoff { jitter_percent: 101, ..Backoff::default() };
        assert_eq!(refused(Policy { backoff, ..exact() }), SpecError::JitterOver100);
        assert_eq!(
            refused(Policy { intensity: Intensity::new(1, secs(0)), ..exact() }),
            SpecError::ZeroWindow
        );
        assert_eq!(refused(Policy { load_limit: secs(0), ..exact() }), SpecError::ZeroLimit);
        assert_eq!(refused(Policy { stuck_after: Some(secs(0)), ..exact() }), SpecError::ZeroLimit);
        let stop = StopLimit { limit: secs(1), reserve: secs(2) };
        assert_eq!(refused(Policy { stop, ..exact() }), SpecError::ReserveOverLimit);
        let probe = Some(Probe { interval: secs(2), cap: secs(1) });
        assert_eq!(refused(Policy { probe, ..exact() }), SpecError::BadProbe);
        for id in ["", "a/b", "root", "a b", "ä", &"x".repeat(121)] {
            let refused = root.add(puppet(id, &rope));
            assert!(matches!(refused, Err(AddError::Spec(SpecError::BadId(_)))), "{id:?}");
        }
        let zero = BranchSpec::ordered("x").intensity(Some(Intensity::new(1, secs(0))));
        assert!(matches!(root.add_branch(zero), Err(AddError::Spec(SpecError::ZeroWindow))));
        root.add(puppet("a", &rope)).unwrap();
        assert!(
            matches!(root.add(puppet("a", &rope)), Err(AddError::Duplicate(path)) if path.as_str() == "a")
        );
        assert!(rope.lines().is_empty(), "nothing was started");
        assert_eq!(root.ids(), ["a"]);
    });
}
