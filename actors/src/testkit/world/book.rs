//! The book of one run: what was written, handed over, posted and told, against which the promises are held.

mod copies;
mod holds;
mod limits;
mod pauses;
mod sends;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::copies::Copies;
use self::holds::Holds;
use self::limits::Limits;
use self::pauses::Pauses;
pub(super) use self::pauses::Subject;
use self::sends::Sends;
use super::fault::Scope;
use super::log::Log;
use super::plan::Plan;
use super::promise::{Broken, Promise};
use crate::model::{NodeId, PairId};

/// One node at one time: it is another after each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) node: usize,
    pub(super) number: u32,
}

/// Something that disturbs pairs for a while.
struct Disturbance {
    from: Duration,
    /// None while it lasts.
    to: Option<Duration>,
    scope: Scope,
}

struct Pages {
    broken: Option<Broken>,
    copies: Copies,
    sends: Sends,
    holds: Holds,
    limits: Limits,
    pauses: Pauses,
    disturbances: Vec<Disturbance>,
    lives: BTreeMap<usize, Life>,
    crashes: BTreeMap<PairId, u64>,
    counts: BTreeMap<&'static str, u64>,
    /// Orders what happens at the same virtual time.
    tick: u64,
}

/// See the module.
pub(super) struct Book {
    pub(super) log: Log,
    pub(super) plan: Arc<Plan>,
    pages: Mutex<Pages>,
}

impl Book {
    /// An empty book of a plan.
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let pages = Pages {
            broken: None,
            copies: Copies::new(&plan),
            sends: Sends::default(),
            holds: Holds::default(),
            limits: Limits::new(&plan),
            pauses: Pauses::default(),
            disturbances: Vec::new(),
            lives: BTreeMap::new(),
            crashes: BTreeMap::new(),
            counts: BTreeMap::new(),
            tick: 0,
        };
        Self { log: Log::new(plan.names()), plan, pages: Mutex::new(pages) }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A promise is broken. The first one is told; what follows may follow from it.
    pub(super) fn breaks(&self, promise: Promise, how: &str) {
        self.log.note(&format!("BROKEN {promise:?}: {how}"));
        let how = self.log.named(how);
        self.pages().broken.get_or_insert(Broken { promise, how });
    }

    /// What was broken first.
    pub(super) fn broken(&self) -> Option<Broken> {
        self.pages().broken.clone()
    }

    /// Counts something for the run's statistics.
    pub(super) fn count(&self, what: &'static str) {
        let mut pages = self.pages();
        let count = pages.counts.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    /// All counts.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.pages().counts.clone()
    }

    /// Something begins that may delay these pairs; its number.
    pub(super) fn disturbed(&self, scope: &Scope) -> usize {
        let from = self.log.now();
        let mut pages = self.pages();
        pages.disturbances.push(Disturbance { from, to: None, scope: scope.clone() });
        pages.disturbances.len().saturating_sub(1)
    }

    /// It is over.
    pub(super) fn calmed(&self, number: usize) {
        let to = self.log.now();
        if let Some(disturbance) = self.pages().disturbances.get_mut(number) {
            disturbance.to.get_or_insert(to);
        }
    }

    /// A node begins another life.
    pub(super) fn born(&self, node: usize) -> Life {
        let mut pages = self.pages();
        let number = pages.lives.get(&node).map_or(1, |life| life.number.saturating_add(1));
        let life = Life { node, number };
        pages.lives.insert(node, life);
        life
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        let index = (0..self.plan.nodes).find(|index| super::plan::node_id(*index) == node)?;
        self.pages().lives.get(&index).copied()
    }
}

impl Pages {
    const fn next_tick(&mut self) -> u64 {
        self.tick = self.tick.saturating_add(1);
        self.tick
    }

    /// Whether nothing touched a pair from one time to another.
    fn was_calm(&self, pair: PairId, from: Duration, to: Duration) -> bool {
        !self.disturbances.iter().any(|disturbance| {
            let touches = match &disturbance.scope {
                Scope::All => true,
                Scope::Pairs(pairs) => pairs.contains(&pair),
            };
            touches && disturbance.from <= to && disturbance.to.is_none_or(|end| end >= from)
        })
    }
}

impl Book {
    /// Instances of a pair ended.
    pub(super) fn crashed(&self, pair: PairId, times: u64) {
        let mut pages = self.pages();
        let crashes = pages.crashes.entry(pair).or_default();
        *crashes = crashes.saturating_add(times);
    }

    /// A whole node ended.
    pub(super) fn crash_all(&self) {
        for pair in &self.plan.pairs {
            self.crashed(pair.id, 1);
        }
    }

    fn crashes(&self, pair: PairId) -> u64 {
        self.pages().crashes.get(&pair).copied().unwrap_or(0)
    }
}
