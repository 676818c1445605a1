//! Discord by serenity: bots as targets, over REST and gateway.
//!
//! `connector` connects, `gateway` is a bot's session (on the thread of `runtime`), `rest` makes calls, `sender` sends
//! parts, `look` finds what may have been sent, `limits` and `errors` read answers.

mod connector;
mod errors;
mod gateway;
mod limits;
mod look;
mod rest;
mod runtime;
#[cfg(test)]
mod samples;
mod sender;

pub use connector::{DiscordConnector, DiscordError, TOKEN};
