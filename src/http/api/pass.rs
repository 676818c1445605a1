//! What a long answer keeps of its caller, so as to ask again and again whether that caller may still have it.

use std::net::IpAddr;

use actix_web::{HttpRequest, web};

use super::access::Access;
use super::admit::{Given, check, given};
use crate::http::address::caller_address;
use crate::http::problem::Problem;
use crate::http::state::{HttpState, shared};
use crate::services::entry::{Credential, EntryFault};

/// Why a caller may no longer have what was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The credential is no longer valid.
    SignedOut,
    /// The caller was suspended, or lost the right.
    Forbidden,
    /// The daemon stops.
    Draining,
}

/// See the module. The operator's token is that of this run, and lasts as long.
pub(crate) struct Pass {
    access: Access,
    credential: Option<Credential>,
    from: IpAddr,
    state: web::Data<HttpState>,
}

impl Pass {
    /// That of a request which was let in.
    pub(crate) fn of(access: Access, req: &HttpRequest) -> Result<Self, Problem> {
        let credential = match given(req.headers())? {
            Given::Key(key) => Some(Credential::ApiKey(key)),
            Given::Token(token) if access.is_staff() => Some(Credential::AdminToken(token)),
            Given::Token(token) => Some(Credential::UserToken(token)),
            Given::OperatorToken | Given::Nothing => None,
        };
        let from = caller_address(req)?.ip();
        Ok(Self { access, credential, from, state: shared::<HttpState>(req)?.clone() })
    }

    /// Whether the caller would still be let in; a store that does not answer takes no right away.
    pub(crate) async fn lapse(&self) -> Option<Lapse> {
        let Ok(services) = self.state.services() else { return Some(Lapse::Draining) };
        // The operator calls directly from this machine: no list keeps that one out.
        if self.access.is_staff() && self.credential.is_some() && !services.networks.allows(self.from).await {
            return Some(Lapse::Forbidden);
        }
        let credential = self.credential.clone()?;
        match services.entry.enter(credential, self.from).await {
            Ok(entered) if entered.suspended.is_some() => Some(Lapse::Forbidden),
            Ok(entered) => check(self.access, &entered).err().map(|_| Lapse::Forbidden),
            Err(EntryFault::Unknown | EntryFault::Expired) => Some(Lapse::SignedOut),
            Err(EntryFault::Suspended(_)) => Some(Lapse::Forbidden),
            Err(EntryFault::Unavailable(_)) => None,
        }
    }
}
