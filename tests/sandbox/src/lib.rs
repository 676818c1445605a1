//! Loopback servers that speak the platforms' own protocols, with a control API that plays the people in their chats.
//!
//! The daemon is verified and demonstrated against this crate with its real clients. A [`Sandbox`] is a value: two of
//! them live side by side in one process, each with its own clock, seed, faults and violation counters.

pub mod bot;
pub mod clock;
pub mod config;
mod control;
pub mod discord;
pub mod faults;
mod http;
pub mod journal;
pub mod messages;
pub mod platform;
mod sandbox;
pub mod seed;
pub mod shared;
pub mod telegram;
pub mod violations;

pub use clock::ClockMode;
pub use config::{Limits, PairCounts, SandboxConfig, SeedShape, WorldKey};
pub use sandbox::{Sandbox, SandboxError};
