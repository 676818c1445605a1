//! A whole system under a seed: one or two nodes over one store and one platform, in virtual time, with faults drawn
//! from the seed, held against what the product promises.
//!
//! [`run`] plays one seed from the first start to the last drain. Everything random comes from the seed, so the same seed
//! gives the same log, byte for byte. What a run checks is in [`Promise`]; a [`Sabotage`] breaks the world on purpose, to
//! show that each check can fail.

mod book;
mod dice;
mod fault;
mod log;
mod node;
mod operator;
mod plan;
mod play;
mod promise;
mod store;
mod weather;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::plan::Profile;
pub use self::play::run;
pub use self::promise::{Broken, Promise};

/// What of a run is not drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What kind of trouble there is; drawn if not given.
    pub profile: Option<Profile>,
    /// How many nodes; drawn if not given.
    pub nodes: Option<usize>,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// Breaks the world on purpose, so that a promise is broken and must be seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sabotage {
    /// The platform forgets every key.
    KeysAreForgotten,
    /// The store forgets the newest delivery.
    DeliveriesAreLost,
    /// The store tells a lane backwards.
    NewestGoesFirst,
    /// The store tells other texts than were written.
    TextsAreGarbled,
    /// Edits are answered and not carried out.
    EditsAreNotCarriedOut,
    /// A wait is told shorter than the platform means it.
    WaitsAreToldShort,
    /// The store writes a shorter lease than the node believes.
    LeasesAreShorter,
    /// The store takes writes of everybody, and assigns accounts to whoever asks.
    NoFences,
    /// Pauses are answered and not written.
    PausesAreForgotten,
    /// While one target is sick, everything else is slow.
    OneTargetBlocksAll,
    /// The store tells all of a lane whatever was asked for.
    ReadsAreEndless,
    /// An operator suspends a child and forgets it.
    SuspendedStayBehind,
    /// What actors write when they end hangs.
    FarewellsHang,
    /// Something of every life is kept.
    StoresAreKept,
    /// The accounts' throttles know of no limits.
    LimitsAreUnknown,
    /// Something random does not come from the seed.
    OutsideRandomness,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What trouble it saw.
    pub profile: Profile,
    /// How many nodes ran.
    pub nodes: usize,
    /// What was broken first, if anything.
    pub broken: Option<Broken>,
    /// Everything that happened, with virtual times.
    pub log: String,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// How long it took in the world.
    pub lasted: Duration,
}

impl Outcome {
    /// The last lines of the log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }
}
