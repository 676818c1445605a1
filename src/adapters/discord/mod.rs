//! Discord by serenity: bots as sources and targets, webhooks as targets, over REST and gateway.
//!
//! `connector` connects, `gateway` is a bot's session (on the thread of `runtime`), `rest` makes calls, `sender` sends
//! parts, `look` finds what may have been sent, `limits`, `gates` and `errors` read answers, `form` is what calls say.
//! `source` reads channels, with `inspect`. `webhook` connects webhooks (`hook_address`), `webhook_sender` sends
//! through them under an `author_name`. `login` says whose a credential is.

mod author_name;
mod bot_token;
mod chats;
mod connector;
mod errors;
mod form;
mod gates;
mod gateway;
mod hook_address;
mod inspect;
mod limits;
mod login;
mod look;
mod permissions;
pub mod probe;
mod rest;
mod runtime;
#[cfg(test)]
mod samples;
mod sender;
mod source;
mod webhook;
mod webhook_sender;

pub use connector::{DiscordConnector, DiscordError, TOKEN};
pub use login::DiscordLogin;
