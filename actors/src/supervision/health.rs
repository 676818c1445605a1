//! Health of the whole tree, judged from states alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    path::ChildPath,
    state::NodeState,
    tree::{NodeView, Tree},
};

/// How well the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that should run does.
    Green,
    /// Some child waits or is parked; its neighbours are not concerned.
    Yellow,
    /// A supervisor, or a child directly below the root, is out of service.
    Red,
}

/// A branch or a direct child of the root that is not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concern {
    /// Where.
    pub path: ChildPath,
    /// In which state.
    pub state: NodeState,
    /// Why.
    pub reason: Option<String>,
}

/// The verdict, what it rests on, and the counts of states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The verdict.
    pub verdict: Verdict,
    /// True when the root and all its direct children are up.
    pub ready: bool,
    /// What is red.
    pub red: Vec<Concern>,
    /// Children by state, branches included.
    pub counts: BTreeMap<NodeState, usize>,
}

impl Health {
    pub(crate) fn of(tree: &Tree) -> Self {
        let pillars: Vec<NodeView> = tree.pillars();
        let ready = !pillars.is_empty() && pillars.iter().all(|pillar| pillar.state == NodeState::Running);
        let red = pillars
            .into_iter()
            .filter(|pillar| matches!(pillar.state, NodeState::Parked | NodeState::Stopped))
            .map(|pillar| Concern { path: pillar.path, state: pillar.state, reason: pillar.reason })
            .collect::<Vec<_>>();
        let red = red.into_iter().chain(Self::stalled(tree)).collect::<Vec<_>>();
        let counts = tree.counts();
        let count = |state| counts.get(&state).copied().unwrap_or(0);
        let waiting = count(NodeState::Parked) > 0 || count(NodeState::Backoff) > 0;
        let verdict = if !red.is_empty() {
            Verdict::Red
        } else if waiting {
            Verdict::Yellow
        } else {
            Verdict::Green
        };
        Self { verdict, ready, red, counts }
    }

    /// Children that block their threads.
    fn stalled(tree: &Tree) -> Vec<Concern> {
        let reason = |shard| Some(format!("it blocks thread {shard}: everything on it waits"));
        let stalls = tree.world.stalls().into_iter();
        stalls
            .filter_map(|stall| {
                let state = tree.world.find(&stall.path)?.node.state();
                Some(Concern { path: stall.path, state, reason: reason(stall.shard) })
            })
            .collect()
    }
}
