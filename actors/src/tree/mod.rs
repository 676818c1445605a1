//! The actors of the supervision tree, one file each, and the root that builds it.

mod alerts;
mod allowance;
mod changes;
mod deps;
mod failpoint;
mod latest;
mod links;
mod notifier;
mod pair;
mod queue;
mod root;
mod roster;
mod scheduler;
mod session;
mod sign_in;
mod supervision;
mod takeover;
mod throttle;

pub use allowance::{AllowanceView, Allowances};
pub use changes::ChangeError;
pub use deps::{Assignments, Deps, TreeConfig};
pub use failpoint::{FailpointError, Failpoints};
pub use links::Links;
pub use notifier::{PaceLimits, Post, PostConfig, Window};
pub use root::{Operator, ReconnectError, Reconnected, RestartError, Root, RootError};
pub use scheduler::JobView;
pub use session::{ConnectionId, GetChats};
pub use sign_in::{
    Admission, AdmissionError, Admitted, SignInBounds, SignInError, SignInInput, SignInOrder, SignInStage,
    SignInStatus, SignInWay, SignIns,
};
pub use supervision::{SuperviseError, Supervision};
