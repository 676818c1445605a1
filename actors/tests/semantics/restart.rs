//! Restart in place: what survives, what does not, what callers see.

use switchyard_actors::supervision::{AskError, NodeState};

use crate::bench::{Add, Poison, Rope, World, millis, pass, puppet, run, secs, settle};

#[test]
fn s07_only_the_poisoned_caller_sees_the_crash_and_the_queue_is_answered_in_order() {
    run(async {
        let world = World::new();
        let rope = Rope::default();
        let child = world.runtime.root().add(puppet("a", &rope)).unwrap();
        world.runtime.start().await;
        let poisoned = child.ask(Poison);
        let queued: Vec<_> = (1..10).map(|n| child.ask(Add(n))).collect();
        settle().await;
        assert_eq!(poisoned.await, Err(AskError::ChildCrashed { epoch: 1 }));
        assert_eq!(child.status(), NodeState::Backoff);
        assert_eq!(child.depth(), 9);
        pass(millis(999)).await;
        assert_eq!(child.epoch(), 1);
        pass(millis(1)).await;
        let mut sum = 0;
        for (n, answer) in (1..10).zip(queued) {
            sum += n;
            assert_eq!(answer.await, Ok((sum, 2)));
        }
        assert_eq!(child.depth(), 0);
        pass(secs(1)).await;
        assert_eq!(world.view("a").restarts_total, 1);
    });
}
