//! What a branch remembers of the time before it was started again: the decision core alone.

use std::time::Duration;

use switchyard_actors::supervision::{
    Backoff, Intensity, Order, Probe, RestartType,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, SlotPolicy},
};

use crate::bench::secs;

const CHILD: u64 = 1;

fn slot(restarts: u32) -> SlotPolicy {
    SlotPolicy {
        restart: RestartType::Permanent,
        backoff: Backoff { jitter_percent: 0, ..Backoff::default() },
        intensity: Intensity::new(restarts, secs(3_600)),
        probe: Some(Probe { interval: secs(10), cap: secs(10) }),
        significant: false,
        jitter_key: 0,
    }
}

/// A branch with one child that is up.
fn branch(policy: CorePolicy, restarts: u32) -> Core {
    let mut core = Core::new(policy);
    core.step(Event::Added { key: CHILD, policy: slot(restarts) }, Duration::ZERO);
    core.step(Event::Begin, Duration::ZERO);
    core.step(Event::Up { key: CHILD }, Duration::ZERO);
    core
}

fn fails(core: &mut Core, at: Duration) -> Vec<Action> {
    core.step(Event::Exited { key: CHILD, exit: Exit::Failed }, at)
}

/// Down, and up again with its child.
fn again(core: &mut Core, at: Duration) {
    core.step(Event::End { how: EndHow::Halt, deadline: None }, at);
    core.step(Event::Exited { key: CHILD, exit: Exit::Halted }, at);
    assert!(core.step(Event::Begin, at).contains(&Action::Start { key: CHILD }));
    core.step(Event::Up { key: CHILD }, at);
}

#[test]
fn a_branch_that_is_started_again_knows_of_no_failures() {
    let intensity = Some(Intensity::new(1, secs(3_600)));
    let mut core = branch(CorePolicy { intensity, ..CorePolicy::new(Order::Ordered) }, 5);
    assert!(matches!(fails(&mut core, secs(1))[..], [Action::Restart { .. }]));
    again(&mut core, secs(2));
    assert!(matches!(fails(&mut core, secs(3))[..], [Action::Restart { .. }]), "its own window is empty");

    let mut core = branch(CorePolicy::new(Order::Concurrent), 1);
    assert!(matches!(fails(&mut core, secs(1))[..], [Action::Restart { .. }]));
    again(&mut core, secs(2));
    assert!(matches!(fails(&mut core, secs(3))[..], [Action::Restart { .. }]), "so is its child's");
    core.step(Event::Due { key: CHILD }, secs(9));
    core.step(Event::Up { key: CHILD }, secs(9));
    assert!(matches!(fails(&mut core, secs(10))[..], [Action::Park { .. }]), "from then on it counts");
}

#[test]
fn a_probe_that_was_due_while_its_branch_was_down_is_made_when_it_is_up() {
    let mut core = branch(CorePolicy::new(Order::Concurrent), 0);
    let parked = fails(&mut core, secs(1));
    assert!(matches!(parked[..], [Action::Park { probe_in: Some(_), .. }]), "{parked:?}");
    core.step(Event::End { how: EndHow::Halt, deadline: None }, secs(2));
    assert_eq!(core.step(Event::Due { key: CHILD }, secs(11)), [], "its branch is down");
    let up = core.step(Event::Begin, secs(20));
    assert!(up.contains(&Action::Probe { key: CHILD, delay: Duration::ZERO }), "{up:?}");
    assert_eq!(core.step(Event::Due { key: CHILD }, secs(20)), [Action::Start { key: CHILD }]);

    core.step(Event::Exited { key: CHILD, exit: Exit::Failed }, secs(21));
    core.step(Event::End { how: EndHow::Halt, deadline: None }, secs(22));
    let up = core.step(Event::Begin, secs(23));
    assert!(!up.iter().any(|action| matches!(action, Action::Probe { .. })), "its timer still runs: {up:?}");
}
