//! What a child costs, counted and not timed: as much among many siblings as among few.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use switchyard_actors::supervision::{
    Branch, BranchSpec, NodeState, Order, RestartType,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy},
};

use crate::{
    bench::{World, run, secs},
    puppet::{Do, Rope, puppet},
    runners::slot,
};

/// Tasks that actix's thread polls in one round at most; then whoever waits for the round is polled.
const TASKS_A_ROUND: usize = 61;

/// What a supervisor was told and what it decided, in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decided {
    steps: usize,
    actions: BTreeMap<&'static str, usize>,
}

const fn name(action: Action) -> &'static str {
    match action {
        Action::Start { .. } => "start",
        Action::Restart { .. } => "restart",
        Action::Stop { .. } => "stop",
        Action::Retire { .. } => "retire",
        Action::Forget { .. } => "forget",
        Action::Settled => "settled",
        Action::Ended => "ended",
        _ => "other",
    }
}

/// A decision core whose children do at once what is decided.
struct Toy {
    core: Core,
    decided: Decided,
}

impl Toy {
    /// Told one thing, and everything that follows from it.
    fn tell(&mut self, event: Event) {
        let mut waiting = VecDeque::from([event]);
        while let Some(event) = waiting.pop_front() {
            self.decided.steps += 1;
            for action in self.core.step(event, Duration::ZERO) {
                *self.decided.actions.entry(name(action)).or_default() += 1;
                waiting.extend(match action {
                    Action::Start { key } => Some(Event::Up { key }),
                    Action::Restart { key, .. } => Some(Event::Due { key }),
                    Action::Stop { key, .. } => Some(Event::Exited { key, exit: Exit::Stopped }),
                    _ => None,
                });
            }
        }
    }
}

/// The whole life of a branch: so many children are added, started, fail or end once each, and are stopped.
fn life(order: Order, restart: RestartType, exit: Exit, children: Key) -> Decided {
    let mut toy = Toy { core: Core::new(CorePolicy::new(order)), decided: Decided::default() };
    let policy = SlotPolicy { restart, ..slot() };
    for key in 0..children {
        toy.tell(Event::Added { key, policy: SlotPolicy { jitter_key: key, ..policy } });
    }
    toy.tell(Event::Begin);
    for key in 0..children {
        toy.tell(Event::Exited { key, exit });
    }
    toy.tell(Event::End { how: EndHow::Stop, deadline: None });
    toy.decided
}

#[test]
fn a_child_takes_as_many_decisions_among_a_hundred_thousand_as_among_a_thousand() {
    for (count, children) in [(1_000_usize, 1_000), (10_000, 10_000), (100_000, 100_000)] {
        for order in [Order::Ordered, Order::Concurrent] {
            let permanent = life(order, RestartType::Permanent, Exit::Failed, children);
            // Added, up, failed, due, up again, stopped; and the branch begins and ends.
            let actions = [
                ("start", 2 * count),
                ("restart", count),
                ("stop", count),
                ("retire", count),
                ("settled", 1),
                ("ended", 1),
            ];
            assert_eq!(permanent, Decided { steps: 6 * count + 2, actions: actions.into() }, "{order:?}");
            let temporary = life(order, RestartType::Temporary, Exit::Normal, children);
            // Added, up, ended: nothing is left of it for the branch to stop.
            let actions = [("start", count), ("forget", count), ("settled", 1), ("ended", 1)];
            assert_eq!(temporary, Decided { steps: 3 * count + 2, actions: actions.into() }, "{order:?}");
        }
    }
}

/// Waits for something and counts the rounds of tasks that it took.
async fn rounds<T>(wait: impl Future<Output = T>) -> usize {
    let (mut wait, mut rounds) = (pin!(wait), 0);
    poll_fn(|task| {
        rounds += 1;
        // Polled in every round, whether there is news or not.
        task.waker().wake_by_ref();
        wait.as_mut().poll(task).map(drop)
    })
    .await;
    rounds
}

/// Waits, round by round, until so many children of a branch are up.
async fn up(world: &World, count: usize) {
    poll_fn(|task| {
        task.waker().wake_by_ref();
        let up = world.view("x").children.unwrap()[&NodeState::Running];
        if up == count { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn fill(branch: &Branch, children: usize, restart: RestartType) {
    for n in 0..children {
        branch.add(puppet(&format!("{n:06}"), &Rope::default()).restart(restart)).unwrap();
    }
}

/// Rounds of a start, and of a stop, of a branch with so many children.
fn start_and_stop(spec: BranchSpec, children: usize) -> [usize; 2] {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(spec).unwrap();
        fill(&branch, children, RestartType::Permanent);
        drop(world.runtime.start());
        let start = rounds(up(&world, children)).await;
        let stop = rounds(world.runtime.drain(secs(60))).await;
        assert_eq!(world.runtime.tree().counts()[&NodeState::Stopped], children + 2);
        [start, stop]
    })
}

/// Rounds until so many temporary children have ended by themselves and are forgotten.
fn temporary_children_end(children: usize) -> [usize; 1] {
    run(async {
        let world = World::new();
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        fill(&branch, children, RestartType::Temporary);
        drop(world.runtime.start());
        up(&world, children).await;
        for id in branch.ids() {
            branch.get::<crate::puppet::Puppet>(&id).unwrap().tell(Do::it(|_, cx| cx.stop())).unwrap();
        }
        let end = rounds(up(&world, 0)).await;
        assert!(branch.ids().is_empty());
        [end]
    })
}

/// Ten times the children take at most ten times the rounds, and no child more than a few turns of its runner.
fn is_linear<const N: usize>(what: &str, cost: impl Fn(usize) -> [usize; N]) {
    let (few, many) = (cost(1_000), cost(10_000));
    for (few, many) in few.into_iter().zip(many) {
        assert!(few > 1_000 / TASKS_A_ROUND, "{what}: {few} rounds cannot have reached everybody");
        assert!(many <= 11 * few, "{what}: {few} rounds for 1,000 children, {many} for 10,000");
        assert!(many * TASKS_A_ROUND <= 8 * 10_000, "{what}: {many} rounds for 10,000 children");
    }
}

#[test]
fn a_child_takes_as_many_turns_to_start_and_stop_among_ten_thousand_as_among_a_thousand() {
    is_linear("ordered", |children| start_and_stop(BranchSpec::ordered("x"), children));
    is_linear("dynamic", |children| start_and_stop(BranchSpec::dynamic("x"), children));
}

#[test]
fn a_temporary_child_takes_as_many_turns_to_end_among_ten_thousand_as_among_a_thousand() {
    is_linear("temporary", temporary_children_end);
}
