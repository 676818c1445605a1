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
#[path = "semantics/restart.rs"]
mod restart;
