//! The staff's own routes: from where they may call, and the record of what they do.

mod allowlist;
mod audit;

use crate::http::api::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    [allowlist::endpoints(), audit::endpoints()].into_iter().flatten().collect()
}
