//! Telegram over MTProto, by the grammers crates: sessions of users and bots, as sources and targets.
//!
//! `connector` connects, `identity` says who is signed in, `session` keeps keys and access hashes in our store, `link`
//! is one connection, `sources` and `resolve` find the chats, `pump` (with `difference`, `history`, `feed` and `ledger`)
//! reads updates, `sender` (with `answer` and `lookup`) writes, `convert` (with `events`, `entities`, `media`, `book`)
//! turns updates into the model, `errors` is the one table of Telegram's errors.

mod answer;
mod auth_key;
mod book;
mod chats;
mod connector;
mod convert;
mod difference;
mod entities;
pub mod errors;
mod events;
mod feed;
mod history;
mod identity;
mod ledger;
mod link;
mod login;
mod lookup;
mod media;
pub mod probe;
mod pump;
mod record;
mod resolve;
#[cfg(test)]
mod samples;
mod sender;
mod session;
mod sight;
mod sources;

pub use auth_key::{AuthKeySource, ClientExchange, SandboxKeys};
pub use connector::TelegramConnector;
pub use login::{TelegramLogin, session_parts};
