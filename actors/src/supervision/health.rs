//! Health of the whole tree, judged from states alone; it names what is out of service, and why, in words.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    path::ChildPath,
    state::NodeState,
    tree::{NodeView, Tree},
};

/// Where supervisors live.
const ROOT_SHARD: u16 = 0;

/// How well the tree is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that should run does.
    #[default]
    Green,
    /// Some child waits or is parked; its neighbours are not concerned.
    Yellow,
    /// A supervisor, or a child directly below the root, is out of service.
    Red,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        })
    }
}

/// A branch or a direct child of the root that is not up. Its `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concern {
    /// Where.
    pub path: ChildPath,
    /// In which state.
    pub state: NodeState,
    /// Why: what it said, or the failure that brought it there.
    pub reason: Option<String>,
}

impl Concern {
    fn of(view: NodeView) -> Self {
        let failure = |view: &NodeView| Some(view.last_failure.as_ref()?.failure.to_string());
        let reason = match view.state {
            NodeState::Backoff | NodeState::Starting => view.reason.clone().or_else(|| failure(&view)),
            _ => view.reason,
        };
        Self { path: view.path, state: view.state, reason }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.state {
            NodeState::Starting => "is starting",
            // In a list of concerns only for what it does to others.
            NodeState::Running => "is up but holds others up",
            NodeState::Backoff => "failed and waits for its next start",
            NodeState::Parked => "is parked",
            NodeState::Suspended => "is suspended",
            NodeState::Draining => "is draining",
            NodeState::Stopped => "is stopped",
        };
        write!(f, "{} {what}", self.path)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// A branch that is up and some of whose direct children are not, or were not a moment ago. Its `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Strain {
    /// The branch.
    pub path: ChildPath,
    /// Children that are out of service.
    pub parked: usize,
    /// Children that failed and wait for their next start.
    pub backoff: usize,
    /// All of its children.
    pub children: usize,
    /// Why it starts them slower, while it does.
    pub storm: Option<String>,
}

impl Strain {
    /// None for the root, whose children are judged one by one.
    fn of(view: &NodeView) -> Option<Self> {
        let view = Some(view).filter(|view| !view.path.is_root())?;
        let counts = view.children.as_ref()?;
        let count = |state| counts.get(&state).copied().unwrap_or(0);
        let (parked, backoff) = (count(NodeState::Parked), count(NodeState::Backoff));
        let children = counts.values().sum();
        let storm = view.reason.clone();
        let strained = parked > 0 || backoff > 0 || storm.is_some();
        strained.then(|| Self { path: view.path.clone(), parked, backoff, children, storm })
    }
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, parked, backoff, children, storm } = self;
        match (parked, backoff) {
            (0, 0) => write!(f, "{path}: all of {children} children up")?,
            (_, 0) => write!(f, "{path}: {parked} of {children} children parked")?,
            (0, _) => write!(f, "{path}: {backoff} of {children} children wait for their next start")?,
            _ => write!(
                f,
                "{path}: {parked} of {children} children parked, {backoff} wait for their next start"
            )?,
        }
        storm.as_ref().map_or(Ok(()), |storm| write!(f, "; {storm}"))
    }
}

/// The verdict, what it rests on, and the counts of states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// True when the root is up or coming up, and no child blocks its thread.
    pub live: bool,
    /// True when the root and all its direct children are up.
    pub ready: bool,
    /// What is out of service until somebody does something, or a probe.
    pub red: Vec<Concern>,
    /// What is not up and comes or goes by itself: branches and direct children of the root.
    pub waiting: Vec<Concern>,
    /// Branches that are up with children that are not.
    pub strained: Vec<Strain>,
    /// Children by state, branches included.
    pub counts: BTreeMap<NodeState, usize>,
}

impl Health {
    pub(crate) fn of(tree: &Tree) -> Self {
        let pillars: Vec<NodeView> = tree.pillars();
        let root = pillars.iter().find(|pillar| pillar.path.is_root()).map(|root| root.state);
        let blocked = tree.world.stalls().iter().any(|stall| stall.shard == ROOT_SHARD);
        let live = matches!(root, Some(NodeState::Running | NodeState::Starting)) && !blocked;
        let ready = !pillars.is_empty() && pillars.iter().all(|pillar| pillar.state == NodeState::Running);
        let (mut red, mut waiting, mut strained) = (Vec::new(), Vec::new(), Vec::new());
        for pillar in pillars {
            match pillar.state {
                NodeState::Parked | NodeState::Stopped => red.push(Concern::of(pillar)),
                NodeState::Running => strained.extend(Strain::of(&pillar)),
                _ => waiting.push(Concern::of(pillar)),
            }
        }
        red.extend(Self::stalled(tree));
        let counts = tree.counts();
        let count = |state| counts.get(&state).copied().unwrap_or(0);
        let troubled = count(NodeState::Parked) > 0 || count(NodeState::Backoff) > 0;
        let verdict = if !red.is_empty() || !live {
            Verdict::Red
        } else if troubled || !waiting.is_empty() || !strained.is_empty() {
            Verdict::Yellow
        } else {
            Verdict::Green
        };
        Self { verdict, live, ready, red, waiting, strained, counts }
    }

    /// Everything that is not as it should be, a sentence each, the gravest first.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let concerns = self.red.iter().chain(&self.waiting).map(ToString::to_string);
        concerns.chain(self.strained.iter().map(ToString::to_string)).collect()
    }

    /// Children that block their threads.
    fn stalled(tree: &Tree) -> Vec<Concern> {
        let reason = |shard| Some(format!("it blocks thread {shard}: everything on it waits"));
        let stalls = tree.world.stalls().into_iter();
        stalls
            .map(|stall| Concern {
                path: stall.node.path.clone(),
                state: stall.node.state(),
                reason: reason(stall.shard),
            })
            .collect()
    }
}
