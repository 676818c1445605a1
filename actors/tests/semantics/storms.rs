//! Storm mode: many children fail at once, and the branch lives.

use std::{num::NonZeroU32, sync::Arc};

use switchyard_actors::supervision::{
    Backoff, BranchSpec, Happening, Intensity, NodeState, OnExceed, Policy, Storm, SupervisionEvent,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Poison, Rope, puppet},
};

const CHILDREN: usize = 1_000;
const RATE: u32 = 50;

fn stormy() -> BranchSpec {
    let rate = NonZeroU32::new(RATE).unwrap();
    BranchSpec::dynamic("x")
        .intensity(Some(Intensity::new(100, secs(10))))
        .on_exceed(OnExceed::Storm(Storm { floor: secs(5), starts_per_second: rate }))
}

/// The first backoff, and the longest wait for a place among the starts.
fn base() -> std::time::Duration {
    secs(1) + secs(1) / RATE
}

/// Milliseconds of all starts after the first ones.
fn restarts(events: &[SupervisionEvent]) -> Vec<i64> {
    let again = |event: &&SupervisionEvent| matches!(event.what, Happening::Started { epoch } if epoch > 1);
    events.iter().filter(again).map(|event| event.at.timestamp_millis()).collect()
}

#[test]
fn s25_a_thousand_failures_at_once_are_restarted_slowly() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(stormy()).unwrap();
        let jittered = Policy { backoff: Backoff::default(), ..exact() };
        let rope = Rope::default();
        let children: Vec<_> = (0..CHILDREN)
            .map(|n| branch.add(puppet(&n.to_string(), &rope).policy(jittered.clone())).unwrap())
            .collect();
        world.runtime.start().await;
        let sink = Arc::clone(&world.sink);
        for child in &children {
            child.tell(Poison).unwrap();
        }
        settle().await;
        let storms = |what: &Happening| matches!(what, Happening::Storm { .. });
        let calms = |what: &Happening| matches!(what, Happening::StormOver);
        assert_eq!((sink.count("x", storms), sink.count("x", calms)), (1, 0));
        assert!(world.view("x").reason.unwrap().starts_with("storm: "), "operators see it");
        assert_eq!(world.view("x").state, NodeState::Running, "it lives");
        // At the rate it takes 20 s; the floor and the jitter come before.
        pass(secs(40)).await;
        assert!(children.iter().all(|child| (child.status(), child.epoch()) == (NodeState::Running, 2)));
        let mut starts = restarts(&sink.0.lock().unwrap());
        starts.sort_unstable();
        assert_eq!(starts.len(), CHILDREN);
        for (n, first) in starts.iter().enumerate() {
            let within = starts[n..].iter().take_while(|start| **start < first + 1_000).count();
            assert!(within <= usize::try_from(RATE).unwrap(), "{within} starts within a second");
        }
        // The window of the failures is long over: so is the storm.
        assert_eq!((sink.count("x", storms), sink.count("x", calms)), (1, 1));
        assert_eq!(world.view("x").reason, None);
    });
}

#[test]
fn a_storm_raises_the_floor_and_ends_with_its_window() {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(stormy()).unwrap();
        let rope = Rope::default();
        let one = branch.add(puppet("one", &rope)).unwrap();
        let many: Vec<_> = (0..101).map(|n| branch.add(puppet(&format!("m{n}"), &rope)).unwrap()).collect();
        world.runtime.start().await;
        one.tell(Poison).unwrap();
        pass(secs(1)).await;
        assert_eq!(
            (one.epoch(), one.status()),
            (2, NodeState::Running),
            "in fair weather its own backoff counts"
        );
        for child in &many {
            child.tell(Poison).unwrap();
        }
        settle().await;
        one.tell(Poison).unwrap();
        pass(millis(4_999)).await;
        assert_eq!(one.status(), NodeState::Backoff, "the floor");
        pass(secs(30)).await;
        assert_eq!(one.status(), NodeState::Running);
        let calms = |what: &Happening| matches!(what, Happening::StormOver);
        assert_eq!(world.sink.count("x", calms), 1);
        let before = one.epoch();
        pass(secs(200)).await;
        one.tell(Poison).unwrap();
        pass(base()).await;
        assert_eq!(one.epoch(), before + 1, "as before the storm");
    });
}
