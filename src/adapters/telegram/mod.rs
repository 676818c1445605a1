//! Telegram over MTProto, by the grammers crates: user sessions as sources.
//!
//! `connector` connects, `session` keeps keys and access hashes in our store, `link` is one connection, `pump` (with
//! `difference`, `history`, `feed` and `ledger`) reads updates, `convert` (with `events`, `entities`, `media`, `book`)
//! turns them into the model, `errors` is the one table of Telegram's errors.

mod auth_key;
mod book;
mod connector;
mod convert;
mod difference;
mod entities;
pub mod errors;
mod events;
mod feed;
mod history;
mod ledger;
mod link;
mod login;
mod media;
pub mod probe;
mod pump;
mod record;
#[cfg(test)]
mod samples;
mod session;
mod sources;

pub use auth_key::{AuthKeySource, ClientExchange, SandboxKeys};
pub use connector::TelegramConnector;
pub use login::TelegramLogin;
