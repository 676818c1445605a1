//! For tests: fake ports over shared memory, a scripted platform, a seeded clock and randomness, and a whole world of them.

mod clock;
mod memory;
mod platform;
pub mod world;

pub use clock::{SeededRng, VirtualClock};
pub use memory::{LedgerEnd, LedgerEntry, MemoryStore, TELEGRAM_TAKEOVER};
pub use platform::{Arrival, Caller, Dial, FakePlatform, Fate, Handed, Passage, SentPart, Wire};
