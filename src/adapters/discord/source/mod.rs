//! Discord bots as sources: gateway events and history as units of intake.
//!
//! `reader` is the event source, `catch_up` its calls, `channel` the state of one source channel, `lookup` finds the
//! channels when connecting, `fetch` reads by REST, `told` reads the gateway's events, `wire` and `convert` messages,
//! `names` resolves mentions.

mod catch_up;
mod channel;
mod convert;
mod fetch;
mod lookup;
mod names;
mod reader;
mod told;
mod wire;

pub(super) use fetch::Fetcher;
pub(super) use lookup::{Sources, look_up};
pub(super) use reader::{Reader, ReaderParts, SameSources};
pub(super) use told::Interest;
