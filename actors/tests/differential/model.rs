//! The core's side: runners that carry out its actions at once, as OTP's supervisor does within one message.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use switchyard_actors::supervision::{
    AutoShutdown, Backoff, Intensity, Order, RestartType, Strategy,
    core::{self, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy},
};

use super::orders::{counted, within_period};
use super::script::{Action, Child, Id, Kind, Outcome, Reason, Script};

/// Longer than any script.
pub const PERIOD: Duration = Duration::from_secs(1_000_000);

/// A core that is wrong on purpose: what its policies are turned into.
#[derive(Clone, Copy)]
pub struct Twist {
    pub branch: fn(CorePolicy) -> CorePolicy,
    pub child: fn(SlotPolicy) -> SlotPolicy,
}

impl Twist {
    /// As it should be.
    pub const NONE: Self = Self { branch: |policy| policy, child: |policy| policy };
}

/// An action that OTP and the core answer differently on purpose (`README.md` has the reasons), by step and place.
#[derive(Clone, Copy)]
pub struct Outside {
    step: usize,
    place: usize,
}

/// The script without what lies outside of the subset, and the core's log of it.
pub fn play(script: &Script, twist: Twist) -> (Script, String) {
    let mut script = script.clone();
    loop {
        match Model::new(&script, twist).run(&script) {
            Ok(parts) => return (script, parts.join("; ")),
            Err(Outside { step, place }) => {
                script.steps[step].remove(place);
                if script.steps[step].is_empty() {
                    script.steps.remove(step);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No instance.
    Idle,
    /// Its start failed, which is still to be told.
    Failed,
    Up,
    /// Its end is still to be told.
    Dead(Exit),
    Gone,
}

pub struct Runner {
    pub id: Id,
    pub restart: RestartType,
    pub significant: bool,
    pub stop: Reason,
    pub state: State,
}

/// What the supervisor has yet to meet.
pub enum Message {
    /// The end of a child, and its place in the step. Of a start that failed too: to count it and to try again OTP
    /// sends itself a message.
    Exited(Key, Exit, Option<usize>),
    /// An order, its place in the step, and how often its child was started when it was given.
    Order(Action, usize, u32),
}

/// What follows from a decision before anything else is met.
enum Reaction {
    Step(Event),
    Attempt(Key),
}

pub struct Model {
    pub kind: Kind,
    pub auto: AutoShutdown,
    pub twist: Twist,
    core: Core,
    now: Duration,
    pub runners: BTreeMap<Key, Runner>,
    /// Of a dynamic branch.
    pub template: Option<Child>,
    starts: BTreeMap<Id, u32>,
    /// With the step and the place that set them.
    pub plans: BTreeMap<Id, (VecDeque<Outcome>, Outside)>,
    pub messages: VecDeque<Message>,
    reactions: VecDeque<Reaction>,
    /// The plan that turned out to lie outside.
    outside: Option<Outside>,
    notes: Vec<String>,
    pub ended: bool,
}

impl Model {
    fn new(script: &Script, twist: Twist) -> Self {
        let (order, strategy) = match script.kind {
            Kind::OneForOne => (Order::Ordered, Strategy::OneForOne),
            Kind::OneForAll => (Order::Ordered, Strategy::OneForAll),
            Kind::RestForOne => (Order::Ordered, Strategy::RestForOne),
            Kind::Dynamic => (Order::Concurrent, Strategy::OneForOne),
        };
        // A branch without an intensity keeps no history by which a later one could judge; OTP always does.
        let changes = script.steps.iter().flatten().any(|action| matches!(action, Action::Reload(..)));
        let intensity = if changes { counted(script.intensity) } else { script.intensity.map(within_period) };
        let policy = CorePolicy { strategy, intensity, auto_shutdown: script.auto, ..CorePolicy::new(order) };
        Self {
            kind: script.kind,
            auto: script.auto,
            twist,
            core: Core::new((twist.branch)(policy)),
            now: Duration::ZERO,
            runners: BTreeMap::new(),
            template: script.children.first().filter(|_| script.kind == Kind::Dynamic).cloned(),
            starts: BTreeMap::new(),
            plans: BTreeMap::new(),
            messages: VecDeque::new(),
            reactions: VecDeque::new(),
            outside: None,
            notes: Vec::new(),
            ended: false,
        }
    }

    fn run(mut self, script: &Script) -> Result<Vec<String>, Outside> {
        if self.template.is_none() {
            script.children.iter().for_each(|child| self.add(child.clone()));
        }
        self.step(Event::Begin);
        self.react();
        let mut parts = vec![self.part(&[])];
        for (step, actions) in script.steps.iter().enumerate() {
            let answers = self.perform(actions, step).map_err(|place| Outside { step, place })?;
            if let Some(outside) = self.outside {
                return Err(outside);
            }
            parts.push(self.part(&answers));
            if self.ended {
                return Ok(parts);
            }
        }
        self.shut_down();
        parts.push(self.part(&[]));
        Ok(parts)
    }

    fn part(&mut self, answers: &[String]) -> String {
        let mut notes = std::mem::take(&mut self.notes);
        if self.kind == Kind::Dynamic {
            sort_ends(&mut notes);
        }
        format!("{} | {} | {}", answers.join(" "), notes.join(" "), self.shown())
    }

    fn shown(&self) -> String {
        if self.ended {
            return "ended shutdown".into();
        }
        let show = |runner: &Runner| {
            let sign = if runner.state == State::Up { '+' } else { '-' };
            format!("{}={}{sign}", runner.id, self.started(&runner.id))
        };
        let there = |runner: &&Runner| match self.kind {
            Kind::Dynamic => runner.state == State::Up,
            _ => runner.state != State::Gone,
        };
        self.runners.values().filter(there).map(show).collect::<Vec<_>>().join(" ")
    }

    pub fn started(&self, id: &Id) -> u32 {
        self.starts.get(id).copied().unwrap_or(0)
    }

    // Steps.

    /// The answers; or the place of the action that lies outside.
    fn perform(&mut self, actions: &[Action], step: usize) -> Result<Vec<String>, usize> {
        let mut answers = vec!["ended".to_owned(); actions.len()];
        for (place, action) in actions.iter().enumerate() {
            if let Action::Plan(id, outcomes) = action {
                let plan = (outcomes.iter().copied().collect(), Outside { step, place });
                self.plans.insert(id.clone(), plan);
                answers[place] = "done".into();
            } else if let Some(answer) = self.happen(action, place, actions.len() == 1)? {
                answers[place] = answer.into();
            }
        }
        while let Some(message) = self.messages.pop_front().filter(|_| !self.ended) {
            match message {
                Message::Exited(key, exit, place) => {
                    // For OTP those of the group that are still to be started are not there.
                    let among_missing = self.is_group_incomplete() && self.runners[&key].significant;
                    if let Some(place) = place.filter(|_| among_missing) {
                        return Err(place);
                    }
                    self.runner(key).state = State::Idle;
                    self.step(Event::Exited { key, exit });
                }
                Message::Order(action, place, starts) => {
                    answers[place] = self.order(&action, starts).ok_or(place)?.into();
                }
            }
            self.react();
        }
        Ok(answers)
    }

    pub fn shut_down(&mut self) {
        self.step(Event::End { how: EndHow::Stop, deadline: None });
        self.react();
    }

    // Children.

    pub fn present(&self) -> impl Iterator<Item = Key> + '_ {
        self.runners.iter().filter(|(_, runner)| runner.state != State::Gone).map(|(key, _)| *key)
    }

    pub fn find(&self, id: &Id) -> Option<Key> {
        self.present().find(|key| self.runners[key].id == *id)
    }

    pub fn runner(&mut self, key: Key) -> &mut Runner {
        self.runners.get_mut(&key).unwrap()
    }

    pub fn add(&mut self, Child { id, restart, significant, stop }: Child) {
        let key = self.runners.len().try_into().unwrap();
        self.runners.insert(key, Runner { id, restart, significant, stop, state: State::Idle });
        let policy = self.policy(key);
        self.step(Event::Added { key, policy });
    }

    pub fn policy(&self, key: Key) -> SlotPolicy {
        let Runner { restart, significant, .. } = self.runners[&key];
        (self.twist.child)(SlotPolicy {
            restart,
            backoff: Backoff { base: Duration::ZERO, ..Backoff::default() },
            intensity: Intensity::new(u32::MAX, PERIOD),
            probe: None,
            significant,
            jitter_key: key,
        })
    }

    // Decisions and what follows from them.

    pub fn step(&mut self, event: Event) {
        self.now += Duration::from_millis(1);
        for action in self.core.step(event, self.now) {
            self.carry_out(action);
        }
    }

    pub fn react(&mut self) {
        while let Some(reaction) = self.reactions.pop_front() {
            match reaction {
                Reaction::Step(event) => self.step(event),
                Reaction::Attempt(key) => self.attempt(key),
            }
        }
    }

    fn attempt(&mut self, key: Key) {
        let id = self.runners[&key].id.clone();
        let planned = self.plans.get_mut(&id).and_then(|(plan, by)| Some((plan.pop_front()?, *by)));
        let outcome = planned.map_or(Outcome::Ok, |(outcome, _)| outcome);
        // OTP keeps a child without a pid in the place of a dynamic one whose restart is ignored, and trips over it.
        if outcome == Outcome::Ignore && self.kind == Kind::Dynamic && self.started(&id) > 0 {
            self.outside = planned.map(|(_, by)| by);
        }
        match outcome {
            Outcome::Ok => {
                *self.starts.entry(id.clone()).or_default() += 1;
                self.notes.push(format!("+{id}"));
                self.runner(key).state = State::Up;
                self.step(Event::Up { key });
            }
            Outcome::Fail => {
                self.notes.push(format!("!{id}"));
                self.runner(key).state = State::Failed;
                self.messages.push_back(Message::Exited(key, Exit::Failed, None));
            }
            Outcome::Ignore => {
                self.notes.push(format!("~{id}"));
                self.step(Event::Ignored { key });
            }
        }
    }

    fn carry_out(&mut self, action: core::Action) {
        use core::Action as Act;
        match action {
            Act::Start { key } => {
                assert_eq!(self.leave(key), State::Idle, "two instances");
                self.reactions.push_back(Reaction::Attempt(key));
            }
            Act::Restart { key, delay } => {
                assert_eq!(delay, Duration::ZERO);
                assert_eq!(self.leave(key), State::Idle);
                self.reactions.push_back(Reaction::Step(Event::Due { key }));
            }
            Act::Hold { key } | Act::Rest { key } => drop(self.leave(key)),
            Act::Halt { key, .. } => self.end(key, Exit::Halted),
            Act::Stop { key, .. } => self.end(key, Exit::Stopped),
            Act::Retire { key } | Act::Forget { key } => self.runner(key).state = State::Gone,
            Act::Escalating { .. } => self.notes.push("x".into()),
            Act::Fail { .. } | Act::Finish | Act::Ended => self.ended = true,
            Act::Settled => {}
            Act::Park { .. }
            | Act::Probe { .. }
            | Act::Unparked { .. }
            | Act::Shelve { .. }
            | Act::Kill { .. }
            | Act::Storm { .. }
            | Act::StormGoesOn { .. }
            | Act::StormOver => panic!("{action:?} has no counterpart in OTP"),
        }
    }

    /// A child is ended; one that is dead already ends with its own reason, which nobody else will meet.
    fn end(&mut self, key: Key, asked: Exit) {
        let exit = match self.leave(key) {
            State::Dead(exit) => exit,
            State::Up => {
                self.notes.push(format!("-{}", self.runners[&key].id));
                let crashes = self.runners[&key].stop == Reason::Crash && asked == Exit::Halted;
                if crashes { Exit::Failed } else { asked }
            }
            State::Idle | State::Failed | State::Gone => asked,
        };
        self.reactions.push_back(Reaction::Step(Event::Exited { key, exit }));
    }

    /// The child's state before; afterwards it has no instance, and nothing of it is on its way.
    fn leave(&mut self, key: Key) -> State {
        let before = std::mem::replace(&mut self.runner(key).state, State::Idle);
        self.messages.retain(|message| !matches!(message, Message::Exited(other, ..) if *other == key));
        before
    }
}

/// Children of a dynamic branch are ended all at once: which of them is first says nothing.
pub fn sort_ends(notes: &mut [String]) {
    let is_end = |note: &String| note.starts_with('-');
    for run in notes.chunk_by_mut(|one, next| is_end(one) && is_end(next)) {
        run.sort();
    }
}
