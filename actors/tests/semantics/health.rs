//! The verdict over the whole tree: it names what is out of service, and says why.

use switchyard_actors::supervision::{BranchSpec, Intensity, NodeState, Policy, Strain, Verdict};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Do, Poison, Rope, Script, puppet},
};

#[test]
fn health_says_which_branch_gave_up_and_why() {
    run(async {
        let world = World::new();
        let spec = BranchSpec::ordered("sessions").intensity(Some(Intensity::new(0, secs(60))));
        let sessions = world.runtime.root().add_branch(spec).unwrap();
        let inner = sessions
            .add_branch(BranchSpec::ordered("eu").intensity(Some(Intensity::new(1, secs(60)))))
            .unwrap();
        let child = inner.add(puppet("a", &Rope::default())).unwrap();
        world.runtime.start().await;
        for _ in 0..2 {
            child.tell(Poison).unwrap();
            pass(secs(3)).await;
        }
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, health.ready), (Verdict::Red, false));
        let sentences = health.sentences();
        let start = "sessions is parked: sessions gave up: too many restarts, last of sessions/eu: \
                     sessions/eu gave up: too many restarts, last of sessions/eu/a: poisoned in handler of Poison at ";
        assert!(sentences[0].starts_with(start), "{}", sentences[0]);
        let place = sentences[0].strip_prefix(start).unwrap();
        assert!(
            place.contains("puppet.rs:") && !place.contains(' '),
            "the leaf's file and line end it: {place}"
        );
        assert_eq!(sentences[1..], ["sessions/eu is parked: branch sessions is parked"]);
    });
}

#[test]
fn health_names_the_branches_whose_children_are_in_trouble() {
    run(async {
        let world = World::new();
        let pairs = world.runtime.root().add_branch(BranchSpec::dynamic("pairs")).unwrap();
        let calm = world.runtime.root().add_branch(BranchSpec::dynamic("queues")).unwrap();
        calm.add(puppet("1", &Rope::default())).unwrap();
        let add = |name: &str, script: Script| {
            let rope = Rope::default();
            rope.loads([script]);
            let policy = Policy { intensity: Intensity::new(100, secs(60)), ..exact() };
            pairs.add(puppet(name, &rope).policy(policy)).unwrap()
        };
        let (well, _parked) = (add("1", Script::Ready), add("2", Script::Fatal));
        world.runtime.start().await;
        settle().await;
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, health.ready), (Verdict::Yellow, true));
        assert_eq!(health.sentences(), ["pairs: 1 of 2 children parked"]);
        let _waits = add("3", Script::Retry);
        settle().await;
        let health = world.runtime.tree().health();
        assert_eq!(health.sentences(), ["pairs: 1 of 3 children parked, 1 wait for their next start"]);
        let strain = Strain { path: pairs.path().clone(), parked: 1, backoff: 1, children: 3, storm: None };
        assert_eq!(health.strained, [strain]);
        pairs.remove("2").await;
        assert_eq!(
            world.runtime.tree().health().sentences(),
            ["pairs: 1 of 2 children wait for their next start"]
        );
        drop(well);
    });
}

#[test]
fn health_says_what_it_waits_for() {
    run(async {
        let rope = Rope::default();
        rope.loads([Script::Hang]);
        let world = World::new();
        let child = world.runtime.root().add(puppet("http", &rope)).unwrap();
        let started = world.runtime.start();
        settle().await;
        assert_eq!(world.runtime.tree().health().sentences(), ["http is starting", "root is starting"]);
        rope.loads([Script::Ready]);
        // Longer than its load may take, and the backoff after that.
        pass(secs(120)).await;
        started.await;
        assert!(world.runtime.tree().health().sentences().is_empty());
        child.tell(Poison).unwrap();
        settle().await;
        let health = world.runtime.tree().health();
        assert_eq!((health.verdict, health.ready), (Verdict::Yellow, false));
        let [sentence] = &health.sentences()[..] else { panic!("{health:?}") };
        let start = "http failed and waits for its next start: poisoned in handler of Poison at ";
        assert!(sentence.starts_with(start), "{sentence}");
        pass(secs(5)).await;
        child.tell(Do::it(|_, cx| cx.park("no address"))).unwrap();
        settle().await;
        assert_eq!(world.runtime.tree().health().sentences(), ["http is parked: no address"]);
        assert_eq!(world.view("http").state, NodeState::Parked);
    });
}
