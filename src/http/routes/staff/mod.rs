//! The staff's own routes: their door, who they are, from where they may call, and the record of what they do.

mod admins;
mod allowlist;
mod audit;
mod auth;

use crate::http::api::Endpoint;

pub use admins::AdminList;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [auth::endpoints(), admins::endpoints(), allowlist::endpoints(), audit::endpoints()]
        .into_iter()
        .flatten()
        .collect()
}
