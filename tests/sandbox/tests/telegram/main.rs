//! The Telegram data centre under an unmodified grammers client, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail loudly"
)]

mod bots;
mod differences;
mod ends;
mod fault_targets;
mod faults;
mod harness;
mod hostile;
mod identity;
mod kill;
mod messages;
mod persistence;
mod protocol;
mod refusals;
mod second_factor;
mod sign_in;
mod strangers;
mod updates;
