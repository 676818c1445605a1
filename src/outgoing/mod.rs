//! Connections to addresses that users give (webhooks, proxies): to the public internet and nowhere else.
//!
//! [`OutgoingGuard::resolve`] answers with the addresses to connect to, and they are used as they are: looking the name
//! up again could lead elsewhere.

mod address;
mod guard;

pub use address::{NotPublic, public};
pub use guard::{GuardConfig, Names, OutgoingGuard, SystemNames, TargetError};
