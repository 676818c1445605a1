//! Scripts: a branch, its children, and what happens to them step by step; random ones, and smaller ones.

use std::fmt;

use switchyard_actors::supervision::{AutoShutdown, RestartType};

/// A letter for a child of a static branch, a number for one of a dynamic branch.
pub type Id = String;

/// Strategies by OTP's names; `Dynamic` is its simple_one_for_one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OneForOne,
    OneForAll,
    RestForOne,
    Dynamic,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::OneForOne, Self::OneForAll, Self::RestForOne, Self::Dynamic];

    pub const fn word(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::Dynamic => "simple_one_for_one",
        }
    }

    pub const fn is_group(self) -> bool {
        matches!(self, Self::OneForAll | Self::RestForOne)
    }
}

/// With which reason a child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Normal,
    Shutdown,
    /// `{shutdown, _}`.
    OtherShutdown,
    Crash,
    Killed,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::OtherShutdown => "other_shutdown",
            Self::Crash => "crash",
            Self::Killed => "killed",
        }
    }
}

/// What comes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Fail,
    Ignore,
}

#[derive(Clone, Debug)]
pub struct Child {
    pub id: Id,
    pub restart: RestartType,
    pub significant: bool,
    /// How it ends when the supervisor ends it.
    pub stop: Reason,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// A child ends by itself.
    Exit(Id, Reason),
    /// What its next starts come to; those after them are well.
    Plan(Id, Vec<Outcome>),
    /// A child is added to a static branch.
    Start(Child),
    /// One more of the template.
    StartDynamic(Id),
    Terminate(Id),
    Restart(Id),
    Delete(Id),
    /// The supervisor is stopped.
    Shutdown,
    /// Other flags.
    Reload(Option<u32>, AutoShutdown),
    /// Another spec for a child, or another template.
    Respec(Id, RestartType, bool),
}

/// All children named here exist from the start; of a dynamic branch the one child is the template.
#[derive(Clone, Debug)]
pub struct Script {
    pub kind: Kind,
    /// Restarts before the supervisor gives up; `None` is never.
    pub intensity: Option<u32>,
    pub auto: AutoShutdown,
    pub children: Vec<Child>,
    /// Actions of one step meet the supervisor all at once.
    pub steps: Vec<Vec<Action>>,
}

const fn restart_word(restart: RestartType) -> &'static str {
    match restart {
        RestartType::Permanent => "permanent",
        RestartType::Transient => "transient",
        RestartType::Temporary => "temporary",
    }
}

const fn auto_word(auto: AutoShutdown) -> &'static str {
    match auto {
        AutoShutdown::Never => "never",
        AutoShutdown::AnySignificant => "any_significant",
        AutoShutdown::AllSignificant => "all_significant",
    }
}

const fn significant_word(significant: bool) -> &'static str {
    if significant { "s" } else { "-" }
}

fn intensity_word(intensity: Option<u32>) -> String {
    intensity.map_or_else(|| "infinity".into(), |intensity| intensity.to_string())
}

impl Child {
    fn words(&self, between: &str) -> String {
        let words =
            [&self.id, restart_word(self.restart), significant_word(self.significant), self.stop.word()];
        words.join(between)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(id, reason) => write!(f, "exit {id} {}", reason.word()),
            Self::Plan(id, outcomes) => {
                write!(f, "plan {id}")?;
                outcomes.iter().try_for_each(|outcome| {
                    f.write_str(match outcome {
                        Outcome::Ok => " ok",
                        Outcome::Fail => " fail",
                        Outcome::Ignore => " ignore",
                    })
                })
            }
            Self::Start(child) => write!(f, "start {}", child.words(" ")),
            Self::StartDynamic(id) => write!(f, "start {id}"),
            Self::Terminate(id) => write!(f, "terminate {id}"),
            Self::Restart(id) => write!(f, "restart {id}"),
            Self::Delete(id) => write!(f, "delete {id}"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Reload(intensity, auto) => {
                write!(f, "reload {} {}", intensity_word(*intensity), auto_word(*auto))
            }
            Self::Respec(id, restart, significant) => {
                write!(f, "respec {id} {} {}", restart_word(*restart), significant_word(*significant))
            }
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children: Vec<_> = self.children.iter().map(|child| child.words(":")).collect();
        let intensity = intensity_word(self.intensity);
        write!(f, "{} {intensity} {};{}", self.kind.word(), auto_word(self.auto), children.join(" "))?;
        self.steps.iter().try_for_each(|step| {
            let actions: Vec<_> = step.iter().map(ToString::to_string).collect();
            write!(f, ";{}", actions.join(","))
        })
    }
}

/// SplitMix64 (prng.di.unimi.it/splitmix64.c).
pub struct Dice(u64);

impl Dice {
    /// One sequence for each script of a run.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed);
        let start = dice.next().wrapping_add(number);
        Self(Self(start).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// One of these, as often as their weights say.
    fn weighed<T: Clone>(&mut self, choices: &[(u32, T)]) -> T {
        let mut at = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if at < *weight {
                return choice.clone();
            }
            at -= weight;
        }
        unreachable!("the weights were summed up")
    }

    fn restart(&mut self) -> RestartType {
        self.weighed(&[(4, RestartType::Permanent), (4, RestartType::Transient), (2, RestartType::Temporary)])
    }

    fn auto(&mut self) -> AutoShutdown {
        self.weighed(&[
            (3, AutoShutdown::Never),
            (1, AutoShutdown::AnySignificant),
            (3, AutoShutdown::AllSignificant),
        ])
    }

    fn intensity(&mut self) -> Option<u32> {
        self.weighed(&[(4, None), (1, Some(0)), (2, Some(1)), (2, Some(2)), (2, Some(4)), (1, Some(7))])
    }

    fn reason(&mut self) -> Reason {
        self.weighed(&[
            (5, Reason::Crash),
            (2, Reason::Killed),
            (3, Reason::Normal),
            (1, Reason::Shutdown),
            (1, Reason::OtherShutdown),
        ])
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        let choices = [(6, Outcome::Fail), (2, Outcome::Ok), (2, Outcome::Ignore)];
        (0..=self.below(3)).map(|_| self.weighed(&choices)).collect()
    }
}

/// What the writer of a script keeps in mind.
struct Writer {
    dice: Dice,
    kind: Kind,
    auto: AutoShutdown,
    /// Children that were named so far.
    named: u32,
}

impl Writer {
    fn id(&mut self) -> Id {
        match self.kind {
            Kind::Dynamic => (1 + self.dice.below(self.named.max(1))).to_string(),
            _ => letter(self.dice.below(self.named)),
        }
    }

    fn child(&mut self, id: Id) -> Child {
        let restart = self.dice.restart();
        let significant = self.significant(restart);
        let stop = [(6, Reason::Shutdown), (1, Reason::Normal), (1, Reason::Crash)];
        Child { id, restart, significant, stop: self.dice.weighed(&stop) }
    }

    fn significant(&mut self, restart: RestartType) -> bool {
        let legal = self.auto != AutoShutdown::Never && restart != RestartType::Permanent;
        legal && !self.dice.one_in(3)
    }

    fn action(&mut self) -> Action {
        let dynamic = self.kind == Kind::Dynamic;
        let starts = if dynamic { 5 } else { 2 };
        match self.dice.weighed(&[(12, 0), (6, 1), (starts, 2), (3, 3), (3, 4), (2, 5)]) {
            0 => Action::Exit(self.id(), self.dice.reason()),
            // Of one that is still to be started.
            1 if dynamic && self.dice.one_in(3) => {
                Action::Plan((self.named + 1).to_string(), vec![Outcome::Ignore])
            }
            1 => Action::Plan(self.id(), self.dice.outcomes()),
            2 if dynamic => {
                self.named += 1;
                Action::StartDynamic(self.named.to_string())
            }
            2 => {
                // Sometimes one that is there.
                let id = if self.dice.one_in(4) { self.id() } else { letter(self.named) };
                self.named = (self.named + 1).min(8);
                Action::Start(self.child(id))
            }
            3 => Action::Terminate(self.id()),
            4 if !dynamic => Action::Restart(self.id()),
            5 if !dynamic => Action::Delete(self.id()),
            _ => Action::Exit(self.id(), Reason::Crash),
        }
    }

    /// A child that fails, and a start after it that does not go well.
    fn failed_restart(&mut self) -> Vec<Action> {
        let (child, other) = (self.id(), self.id());
        vec![Action::Plan(child, self.dice.outcomes()), Action::Exit(other, Reason::Crash)]
    }

    fn change(&mut self) -> Action {
        if self.dice.one_in(2) {
            self.auto = self.dice.auto();
            return Action::Reload(self.dice.intensity(), self.auto);
        }
        let (id, restart) = (self.id(), self.dice.restart());
        let significant = self.significant(restart);
        Action::Respec(id, restart, significant)
    }

    fn step(&mut self) -> Vec<Action> {
        if self.dice.one_in(12) {
            return vec![self.change()];
        }
        let count = self.dice.weighed(&[(12, 1), (3, 2), (2, 3), (1, 5)]);
        let mut actions: Vec<_> = (0..count).map(|_| self.action()).collect();
        if self.dice.one_in(6) {
            actions.splice(0..0, self.failed_restart());
        }
        if count > 1 && self.dice.one_in(30) {
            actions.push(Action::Shutdown);
        }
        actions
    }
}

fn letter(n: u32) -> Id {
    char::from(b'a' + u8::try_from(n).unwrap()).to_string()
}

impl Script {
    /// The script of this number in the run of this seed.
    pub fn random(seed: u64, number: u64) -> Self {
        let mut dice = Dice::new(seed, number);
        let kind = dice.weighed(&Kind::ALL.map(|kind| (if kind == Kind::Dynamic { 2 } else { 3 }, kind)));
        let (intensity, auto) = (dice.intensity(), dice.auto());
        let mut writer = Writer { dice, kind, auto, named: 0 };
        let children = if kind == Kind::Dynamic {
            // Three are started first.
            writer.named = 3;
            vec![writer.child("*".into())]
        } else {
            writer.named = 1 + writer.dice.below(5);
            (0..writer.named).map(|n| writer.child(letter(n))).collect()
        };
        let mut steps: Vec<_> = (0..=writer.dice.below(14)).map(|_| writer.step()).collect();
        if kind == Kind::Dynamic {
            steps.insert(0, (1..=3).map(|n| Action::StartDynamic(n.to_string())).collect());
        }
        Self { kind, intensity, auto, children, steps }
    }

    /// Everything that is this script with one thing less.
    pub fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut script = self.clone();
            change(&mut script);
            smaller.push(script);
        };
        for at in (0..self.steps.len()).rev() {
            with(&|script| drop(script.steps.remove(at)));
        }
        for (at, step) in self.steps.iter().enumerate() {
            for n in 0..step.len() {
                if step.len() > 1 {
                    with(&|script| drop(script.steps[at].remove(n)));
                }
                if matches!(&step[n], Action::Plan(_, outcomes) if outcomes.len() > 1) {
                    with(&|script| {
                        let Action::Plan(_, outcomes) = &mut script.steps[at][n] else { return };
                        outcomes.pop();
                    });
                }
            }
        }
        if self.kind != Kind::Dynamic {
            for at in (0..self.children.len()).rev() {
                with(&|script| drop(script.children.remove(at)));
            }
        }
        if self.intensity.is_some() {
            with(&|script| script.intensity = None);
        }
        smaller
    }
}
