//! Access tokens of admins: what they say is checked against the store at every request.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use switchyard_actors::model::{AdminId, LoginSessionId};

use super::StaffService;
use super::door::role;
use crate::crypto::JwtFault;
use crate::services::caller::Caller;
use crate::services::entry::{Credential, Entered, Entry, EntryFault, Via};
use crate::services::fault::store_said;

/// Lets admins in by their access tokens.
#[derive(Clone)]
pub struct StaffEntry(Arc<StaffService>);

impl StaffEntry {
    /// Over the staff.
    #[must_use]
    pub const fn new(staff: Arc<StaffService>) -> Self {
        Self(staff)
    }
}

#[async_trait]
impl Entry for StaffEntry {
    async fn enter(&self, credential: Credential, _: IpAddr) -> Result<Entered, EntryFault> {
        let Credential::AdminToken(token) = credential else { return Err(EntryFault::Unknown) };
        let parts = &self.0.parts;
        let claims =
            parts.tokens.verify(token.expose_secret(), parts.clock.now()).map_err(|fault| match fault {
                JwtFault::Invalid => EntryFault::Unknown,
                JwtFault::Expired => EntryFault::Expired,
            })?;
        let session = LoginSessionId::from_uuid(claims.session);
        let found = parts.store.admin_of_session(session).await;
        let found = found.map_err(|error| EntryFault::Unavailable(store_said(&error)))?;
        let (row, _) = found.ok_or(EntryFault::Unknown)?;
        if row.id != AdminId::from_uuid(claims.subject) {
            return Err(EntryFault::Unknown);
        }
        let role = role(&row).map_err(|fault| EntryFault::Unavailable(fault.to_string()))?;
        Ok(Entered {
            caller: Caller::Admin(row.id, role),
            via: Via::Session(session),
            scopes: None,
            suspended: None,
        })
    }
}
