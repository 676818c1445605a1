//! The staff's own routes: their door, who they are, from where they may call, and the record of what they do.

mod admins;
mod allowlist;
mod audit;
mod auth;
mod users;

use crate::http::api::Endpoint;

pub use admins::AdminList;
pub use users::{PlanOrder, SuspendOrder};

pub(super) fn endpoints() -> Vec<Endpoint> {
    [auth::endpoints(), admins::endpoints(), allowlist::endpoints(), audit::endpoints(), users::endpoints()]
        .into_iter()
        .flatten()
        .collect()
}
