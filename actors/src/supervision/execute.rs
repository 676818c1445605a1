//! What a supervisor's core decided is done here, in the order it was decided.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    cell::{BranchCell, Inner, tell},
    command::Command,
    core::{Action, Event, Exit, Key, Moment},
    event::{Happening, Unparker},
    failure::{Failure, Phase},
    node::{Node, lock},
    reference::AnyChild,
    state::NodeState,
};

/// Decisions for which room is kept between two events.
const ROOM: usize = 64;

/// Why an instance ended.
#[derive(Clone, Debug, Default)]
pub(crate) enum Because {
    #[default]
    Nothing,
    /// What it said.
    Said(String),
    Failed(Failure),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("ended normally"),
            Self::Said(text) => f.write_str(text),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// One thing to do, with the child it is about.
enum Work {
    /// A child is up.
    Up(AnyChild),
    OnChild(Action, AnyChild, Because),
    OnBranch(Action),
}

/// Decisions not yet carried out. Whoever finds nobody at it carries them out, so that their order is the order of the
/// decisions whatever thread they came from, and a sink may call back.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Work>,
    busy: bool,
}

impl Inner {
    /// Asks the core, and keeps what it says for whoever carries it out: true for the caller, who found nobody at it.
    pub(crate) fn decide(&mut self, event: Event, mut because: Because, now: Moment) -> bool {
        let mut actions = mem::take(&mut self.actions);
        self.core.step_into(event, now, &mut actions);
        if let Event::Up { key } = event
            && let Some(entry) = self.entries.get(&key).cloned()
        {
            self.outbox.waiting.push_back(Work::Up(entry));
        }
        let last = actions.len().saturating_sub(1);
        for (n, action) in actions.drain(..).enumerate() {
            let entry = key_of(action).and_then(|key| self.entries.get(&key).cloned());
            if let Action::Forget { key } = action {
                self.forget(key);
            }
            let work = match entry {
                Some(entry) => {
                    let because = if n == last { mem::take(&mut because) } else { because.clone() };
                    Work::OnChild(action, entry, because)
                }
                None => Work::OnBranch(action),
            };
            self.outbox.waiting.push_back(work);
        }
        // The start of very many is over at once, and would keep their room for ever.
        actions.shrink_to(ROOM);
        self.actions = actions;
        !mem::replace(&mut self.outbox.busy, true)
    }
}

impl BranchCell {
    /// Tells the core what happened and does what it says.
    pub(crate) fn step(&self, event: Event) {
        let over = matches!(event, Event::Abandon);
        self.decide(event, Because::Nothing);
        if over {
            self.nobody_settles();
        }
    }

    /// An instance of a child ended.
    pub(crate) fn exited(&self, key: Key, exit: Exit, because: Because) {
        self.decide(Event::Exited { key, exit }, because);
    }

    fn decide(&self, event: Event, because: Because) {
        let now = self.world.now();
        if lock(&self.inner).decide(event, because, now) {
            self.carry_out();
        }
    }

    /// Carries out what was decided, until nothing is left.
    pub(crate) fn carry_out(&self) {
        loop {
            let work = {
                let mut inner = lock(&self.inner);
                let work = inner.outbox.waiting.pop_front();
                inner.outbox.busy = work.is_some();
                if work.is_none() {
                    inner.outbox.waiting.shrink_to(ROOM);
                }
                work
            };
            match work {
                None => return,
                Some(Work::Up(entry)) => {
                    let node = entry.node();
                    // Since when it is running was noted a moment ago.
                    let at = node.ledger().since;
                    self.world.emit_at(node, Happening::Started { epoch: node.epoch() }, at);
                }
                Some(Work::OnChild(action, entry, because)) => self.on_child(action, &entry, because),
                Some(Work::OnBranch(action)) => self.on_branch(action),
            }
        }
    }

    fn on_child(&self, action: Action, entry: &AnyChild, because: Because) {
        let node = entry.node();
        match action {
            Action::Start { .. } => {
                node.set_state(NodeState::Starting);
                node.command(Command::Start);
            }
            Action::Restart { key, delay } => self.restart_later(node, key, delay, because),
            Action::Park { cause, probe_in, .. } => {
                let reason = because.to_string();
                self.take_down(entry, NodeState::Parked, probe_in);
                node.plan(probe_in, Some(reason.clone()));
                self.world.emit(node, Happening::Parked { cause, reason, probe_in });
            }
            Action::Probe { delay, .. } => {
                let reason = node.ledger().rare().and_then(|rare| rare.reason.clone());
                node.plan(Some(delay), reason);
                node.command(Command::Wait { due_in: Some(delay) });
            }
            Action::Unparked { by, .. } => {
                if by == Unparker::Probe {
                    node.count_restart();
                }
                self.world.emit(node, Happening::Unparked { by });
            }
            Action::Halt { deadline, down, .. } => {
                node.command(Command::Halt { deadline: self.until(deadline), down });
            }
            Action::Hold { .. } => self.take_down(entry, NodeState::Starting, None),
            Action::Shelve { .. } => {
                let state = self.own().map_or(NodeState::Parked, |(_, _, branch)| branch.state());
                let state = if state == NodeState::Stopped { state } else { NodeState::Parked };
                self.take_down(entry, state, None);
                node.plan(None, Some(format!("branch {} is {state}", self.path)));
            }
            Action::Rest { .. } => {
                self.take_down(entry, NodeState::Stopped, None);
                self.world.emit(node, Happening::Stopped { clean: true });
            }
            Action::Stop { deadline, .. } => node.command(Command::Stop { deadline: self.until(deadline) }),
            Action::Retire { .. } => end(entry, Command::End),
            Action::Forget { .. } => {
                end(entry, Command::End);
                self.world.unlist(node);
            }
            Action::Kill { .. } => end(entry, Command::Kill),
            Action::Escalating { .. } => self.escalating(node, &because),
            Action::Fail { .. }
            | Action::Finish
            | Action::Settled
            | Action::Ended
            | Action::Storm { .. }
            | Action::StormGoesOn { .. }
            | Action::StormOver => self.on_branch(action),
        }
    }

    fn on_branch(&self, action: Action) {
        match action {
            Action::Settled => {
                if let Some((parent, key, node)) = self.own() {
                    let reason = node.ledger().rare().and_then(|rare| rare.reason.clone());
                    node.set_state(NodeState::Running);
                    if lock(&self.inner).core.is_storming() {
                        // It began before all were up, and goes on.
                        node.plan(None, reason);
                    }
                    parent.step(Event::Up { key });
                }
                let waiters = mem::take(&mut lock(&self.inner).settled);
                waiters.into_iter().for_each(tell);
            }
            Action::Ended => {
                self.nobody_settles();
                let waiters = mem::take(&mut lock(&self.inner).ended);
                waiters.into_iter().for_each(tell);
            }
            Action::Fail { .. } => {
                self.nobody_settles();
                self.fail();
            }
            Action::Finish => {
                self.nobody_settles();
                if let Some((_, _, node)) = self.own() {
                    node.command(Command::Finish);
                }
            }
            Action::Storm { restarts_in_window, check_in } => self.storm(restarts_in_window, check_in),
            Action::StormGoesOn { check_in } => self.look_again(check_in),
            Action::StormOver => self.storm_over(),
            // About a child that is forgotten already.
            _ => {}
        }
    }

    /// The branch ends: whoever waits for its children's first attempts waits no longer.
    fn nobody_settles(&self) {
        let waiters = mem::take(&mut lock(&self.inner).settled);
        drop(waiters);
    }

    /// The branch starts its children slower from now on, and says so.
    fn storm(&self, restarts_in_window: u32, check_in: Duration) {
        if let Some((_, _, node)) = self.own() {
            node.plan(None, Some(format!("storm: {restarts_in_window} restarts in its window")));
            self.world.emit(&node, Happening::Storm { restarts_in_window });
        }
        self.look_again(check_in);
    }

    fn storm_over(&self) {
        if let Some((_, _, node)) = self.own() {
            node.plan(None, None);
            self.world.emit(&node, Happening::StormOver);
        }
    }

    /// Asks the core again when its storm may be over.
    fn look_again(&self, check_in: Duration) {
        let me = Weak::clone(&self.me);
        let _gone = self.world.shards.run(0, move || {
            actix_rt::spawn(async move {
                tokio::time::sleep(check_in).await;
                if let Some(branch) = me.upgrade() {
                    branch.step(Event::StormDue);
                }
            });
        });
    }

    fn restart_later(&self, node: &Arc<Node>, key: Key, delay: Duration, because: Because) {
        let now = self.world.wall();
        node.back_off(delay, now);
        node.command(Command::Wait { due_in: Some(delay) });
        let restarts_in_window = self.slot(key).map_or(0, |slot| slot.restarts_in_window);
        let failure = match because {
            Because::Failed(failure) => Some(failure),
            Because::Nothing | Because::Said(_) => None,
        };
        self.world.emit_at(node, Happening::Restarting { failure, delay, restarts_in_window }, now);
    }

    /// A child without an instance stays down; what is below one that is out of service refuses too.
    fn take_down(&self, entry: &AnyChild, state: NodeState, due_in: Option<Duration>) {
        entry.node().set_state(state);
        entry.node().command(Command::Wait { due_in });
        if let Some(branch) = entry.branch().filter(|_| state.is_out_of_service()) {
            branch.step(Event::Shelve);
        }
    }

    fn until(&self, deadline: Option<Duration>) -> Option<tokio::time::Instant> {
        deadline.map(|moment| self.world.instant(moment))
    }

    /// The branch gives up: the chain of causes, leaf last, goes with its own failure.
    fn escalating(&self, culprit: &Node, because: &Because) {
        let chain = format!("{} gave up: too many restarts, last of {}: {because}", self.path, culprit.path);
        lock(&self.inner).chain = Some(chain.clone());
        if let Some((_, _, node)) = self.own() {
            self.world.emit(&node, Happening::Escalated { chain });
        }
    }

    /// All children are down after giving up.
    fn fail(&self) {
        let chain = lock(&self.inner).chain.take().unwrap_or_default();
        if let Some((_, _, node)) = self.own() {
            node.command(Command::Fail(Box::new(Failure::whole(Phase::Escalation, chain))));
        }
    }
}

/// A child ends for good without ceremony; so does everything below it.
fn end(entry: &AnyChild, command: Command) {
    entry.node().command(command);
    if let Some(branch) = entry.branch() {
        branch.step(Event::Abandon);
    }
}

/// The child an action is about.
const fn key_of(action: Action) -> Option<Key> {
    match action {
        Action::Start { key }
        | Action::Restart { key, .. }
        | Action::Park { key, .. }
        | Action::Probe { key, .. }
        | Action::Unparked { key, .. }
        | Action::Halt { key, .. }
        | Action::Hold { key }
        | Action::Shelve { key }
        | Action::Rest { key }
        | Action::Stop { key, .. }
        | Action::Retire { key }
        | Action::Forget { key }
        | Action::Kill { key } => Some(key),
        Action::Escalating { culprit } => Some(culprit),
        Action::Fail { .. }
        | Action::Finish
        | Action::Settled
        | Action::Ended
        | Action::Storm { .. }
        | Action::StormGoesOn { .. }
        | Action::StormOver => None,
    }
}
