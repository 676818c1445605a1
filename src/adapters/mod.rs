//! Adapters: thin implementations of the domain's ports over the platforms' real clients.

pub mod bot;
mod connectors;
pub mod discord;
mod egress;
mod logins;
pub mod mail;
pub mod telegram;
mod threads;

pub use connectors::Connectors;
pub use logins::Logins;
pub use threads::OnThreads;
