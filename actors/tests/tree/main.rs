//! The domain tree over fake ports under virtual time: the promises of a message's life, with faults.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail loudly")]

mod world;

mod bulkheads;
<<<<<<< HEAD
mod follow;
=======
mod changes;
>>>>>>> a1a8ddf (Tree: accounts and pairs come, change and go while it runs)
mod forwarding;
mod outages;
