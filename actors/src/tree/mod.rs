//! The actors of the supervision tree, one file each, and the root that builds it.

mod alerts;
mod changes;
mod deps;
mod failpoint;
mod links;
mod notifier;
mod pair;
mod queue;
mod root;
mod roster;
mod scheduler;
mod session;
mod throttle;

pub use changes::ChangeError;
pub use deps::{Assignments, Deps, TreeConfig};
pub use failpoint::{FailpointError, Failpoints};
pub use links::Links;
pub use notifier::{PaceLimits, Post, PostConfig, Window};
pub use root::{Operator, ReconnectError, Reconnected, RestartError, Root, RootError};
pub use scheduler::JobView;
