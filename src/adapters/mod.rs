//! Adapters: thin implementations of the domain's ports over the platforms' real clients.

pub mod telegram;
