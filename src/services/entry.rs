//! How a request's credential becomes a caller. What the credential's owner may do is read from the store at every request.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use secrecy::SecretString;
use switchyard_actors::model::{ApiKeyId, LoginSessionId};
use thiserror::Error;

use super::caller::{Caller, Scope};

/// What a request brought to prove who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token of a user.
    UserToken(SecretString),
    /// An access token of an admin.
    AdminToken(SecretString),
    /// A user's API key.
    ApiKey(SecretString),
}

/// By what a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// The operator's token of this run.
    OperatorToken,
    /// A sign-in of a user or an admin.
    Session(LoginSessionId),
    /// A user's API key.
    ApiKey(ApiKeyId),
}

/// Who asks, as the store says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Who.
    pub caller: Caller,
    /// By what.
    pub via: Via,
    /// What an API key is for; none where everything is allowed.
    pub scopes: Option<BTreeSet<Scope>>,
    /// Why the holder is suspended, if so: sees, but does not change.
    pub suspended: Option<String>,
}

/// Why a credential is no way in. None of them says more than its holder knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryFault {
    /// It is nobody's, was revoked, or is not meant for this.
    #[error("the credential is not valid")]
    Unknown,
    /// It was valid until a moment ago.
    #[error("the access token has expired: refresh it")]
    Expired,
    /// Its owner is suspended.
    #[error("the account is suspended: {0}")]
    Suspended(String),
    /// The store does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// Turns credentials into callers.
#[async_trait]
pub trait Entry: Send + Sync {
    /// Who holds this credential.
    ///
    /// # Errors
    /// [`EntryFault`].
    async fn enter(&self, credential: Credential, from: IpAddr) -> Result<Entered, EntryFault>;
}

/// The doors of users and of the staff as one.
#[derive(Clone, Default)]
pub struct Entries {
    /// Takes users' access tokens and API keys.
    pub users: Option<std::sync::Arc<dyn Entry>>,
    /// Takes admins' access tokens.
    pub staff: Option<std::sync::Arc<dyn Entry>>,
}

#[async_trait]
impl Entry for Entries {
    async fn enter(&self, credential: Credential, from: IpAddr) -> Result<Entered, EntryFault> {
        let door = match credential {
            Credential::UserToken(_) | Credential::ApiKey(_) => &self.users,
            Credential::AdminToken(_) => &self.staff,
        };
        match door {
            Some(door) => door.enter(credential, from).await,
            None => Err(EntryFault::Unknown),
        }
    }
}
