//! What is counted of each kind of child: how many are in which state, and what happened to them since the runtime was made.
//!
//! Kinds are types, so that there are as many of them as the program has, whatever its users do.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    event::{Happening, ParkCause, Unparker},
    failure::{Failure, Phase},
    node::lock,
    state::{Counts, NodeState, Refusal},
};

/// What happened to the children of one kind since the runtime was made, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindHistory {
    /// Starts that came up: the first of each child, those after a backoff, by a probe, by an order, with a group or a branch.
    pub starts: u64,
    /// Restarts after a failure or an end.
    pub restarts: u64,
    /// Failures by what the child was doing.
    pub failures: BTreeMap<Phase, u64>,
    /// Failures that changed nothing by themselves: in a destructor, in a snapshot, while stopping.
    pub contained: BTreeMap<Phase, u64>,
    /// Parkings by cause.
    pub parks: BTreeMap<ParkCause, u64>,
    /// Parked children that were started again, by whom.
    pub unparks: BTreeMap<Unparker, u64>,
    /// Branches that exceeded their intensity.
    pub escalations: u64,
    /// Branches that began to start their children slower because too many failed.
    pub storms: u64,
    /// Children that did not give their threads back in time.
    pub stalls: u64,
    /// Children that ended and stay down: by themselves, by an order, or because everything stopped.
    pub stops: u64,
    /// Those of them that were killed, or lost queued messages or running work.
    pub unclean_stops: u64,
}

/// One kind of child: how many are in which state, and what happened to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindTotals {
    /// `Child::KIND`; `supervisor` for branches.
    pub kind: &'static str,
    /// Children by state.
    pub states: BTreeMap<NodeState, usize>,
    /// What happened to them.
    pub history: KindHistory,
    /// Messages that mailboxes refused and handed back, by why.
    pub refused: BTreeMap<Refusal, u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) kind: &'static str,
    pub(crate) counts: Counts,
    refused: [AtomicU64; 4],
    history: Mutex<KindHistory>,
}

impl Tally {
    fn new(kind: &'static str) -> Self {
        Self { kind, counts: Counts::default(), refused: Default::default(), history: Mutex::default() }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(cell) = self.refused.get(refusal.index()) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        add(lock(&self.history).failures.entry(failure.phase).or_default());
    }

    pub(crate) fn happened(&self, what: &Happening) {
        let mut history = lock(&self.history);
        match what {
            Happening::Started { .. } => add(&mut history.starts),
            Happening::Restarting { .. } => add(&mut history.restarts),
            Happening::Parked { cause, .. } => add(history.parks.entry(*cause).or_default()),
            Happening::Unparked { by } => add(history.unparks.entry(*by).or_default()),
            Happening::Escalated { .. } => add(&mut history.escalations),
            Happening::Storm { .. } => add(&mut history.storms),
            Happening::Stalled { .. } => add(&mut history.stalls),
            Happening::StormOver | Happening::StallOver { .. } => {}
            Happening::Stopped { clean } => {
                add(&mut history.stops);
                if !clean {
                    add(&mut history.unclean_stops);
                }
            }
            Happening::Contained { failure } => {
                add(history.contained.entry(failure.phase).or_default());
            }
        }
    }

    fn totals(&self) -> KindTotals {
        let count = |refusal: Refusal| {
            let cell = self.refused.get(refusal.index());
            (refusal, cell.map_or(0, |cell| cell.load(Ordering::Relaxed)))
        };
        KindTotals {
            kind: self.kind,
            states: self.counts.by_state(),
            history: lock(&self.history).clone(),
            refused: Refusal::ALL.into_iter().map(count).collect(),
        }
    }
}

fn add(number: &mut u64) {
    *number = number.saturating_add(1);
}

/// The tallies of all kinds that there ever were.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<BTreeMap<&'static str, Arc<Tally>>>);

impl Tallies {
    pub(crate) fn of(&self, kind: &'static str) -> Arc<Tally> {
        Arc::clone(lock(&self.0).entry(kind).or_insert_with(|| Arc::new(Tally::new(kind))))
    }

    pub(crate) fn totals(&self) -> Vec<KindTotals> {
        lock(&self.0).values().map(|tally| tally.totals()).collect()
    }

    /// Children of all kinds by state.
    pub(crate) fn by_state(&self) -> BTreeMap<NodeState, usize> {
        let tallies = lock(&self.0);
        let count = |state| tallies.values().map(|tally| tally.counts.of(state)).sum();
        NodeState::ALL.into_iter().map(|state| (state, count(state))).collect()
    }
}
