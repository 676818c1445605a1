//! What `SEMANTICS.md` promises, sentence by sentence, under paused virtual time on one arbiter.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "semantics/bench.rs"]
mod bench;
#[path = "semantics/branches.rs"]
mod branches;
#[path = "semantics/context.rs"]
mod context;
#[path = "semantics/core.rs"]
mod core;
#[path = "semantics/limits.rs"]
mod limits;
#[path = "semantics/mailbox.rs"]
mod mailbox;
#[path = "semantics/panics.rs"]
mod panics;
#[path = "semantics/parking.rs"]
mod parking;
#[path = "semantics/puppet.rs"]
mod puppet;
#[path = "semantics/replay.rs"]
mod replay;
#[path = "semantics/restart.rs"]
mod restart;
#[path = "semantics/stopping.rs"]
mod stopping;
#[path = "semantics/view.rs"]
mod view;
