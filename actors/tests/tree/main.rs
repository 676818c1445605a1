//! The domain tree over fake ports under virtual time: the promises of a message's life, with faults.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail loudly")]

mod world;

mod bulkheads;
mod changes;
mod follow;
mod forwarding;
mod last_look;
mod outages;
mod quota;
mod scheduler;
mod sign_ins;
mod simulation;
mod suspension;
mod takeover;
