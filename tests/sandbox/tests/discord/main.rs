//! The Discord server and the control API, judged by serenity and by requests made by hand, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a failed test"
)]

mod control;
mod control_shapes;
mod deletes;
mod faults;
mod gateway;
mod gateway_protocol;
mod gateway_troubles;
mod harness;
mod hostile;
mod limits;
mod persistence;
mod rest;
mod rights;
mod strangers;
mod threads;
mod webhooks;
