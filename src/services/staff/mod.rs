//! The staff: how admins come in, and who they are. Role and state are read from the store at every request.

mod door;
mod entry;
mod order;
mod people;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AdminId, IdSource, LoginSessionId};
use switchyard_actors::ports::{Clock, Rng, StoreError};
use thiserror::Error;
use tokio::sync::OnceCell;

use super::audit::Audit;
use super::caller::Role;
use super::fault::Fault;
use super::sensitive::Sensitive;
use crate::crypto::{AccessTokens, LookupKey, Passwords};
use crate::store::Store;

pub use entry::StaffEntry;
pub use order::{AdminChangeOrder, AdminOrder, CodeOrder, LoginOrder, RefreshOrder};

/// From where something is asked, and under which id.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The caller's address.
    pub address: IpAddr,
    /// The request's id.
    pub request_id: String,
}

/// Why somebody does not come in. Nothing in it says whether there is such an admin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DoorFault {
    /// Address, password or code is wrong, or the admin is disabled.
    #[error("e-mail address, password or one-time code is wrong")]
    Refused,
    /// The password is right, and a one-time code is needed beside it.
    #[error("a one-time code is needed: send the one that the authenticator shows")]
    CodeNeeded,
    /// After too many failures.
    #[error("too many failed sign-ins: try again in {} s", .0.as_secs().max(1))]
    SlowDown(Duration),
    /// The sign-in has ended, or the token is none.
    #[error("the sign-in has ended: sign in again")]
    SessionOver,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Fault),
}

impl From<StoreError> for DoorFault {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

/// What lets an admin's program in: a token for every request, and one that renews it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdminTokens {
    /// The sign-in.
    pub session: LoginSessionId,
    /// For `Authorization: Bearer …`.
    #[schemars(with = "String")]
    pub access_token: Sensitive,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds for which the access token counts.
    pub expires_in: u64,
    /// Exchanged once for a new pair. One that is used twice ends the sign-in.
    #[schemars(with = "String")]
    pub refresh_token: Sensitive,
    /// Until when the refresh token counts.
    pub refresh_expires_at: DateTime<Utc>,
}

/// What goes into an authenticator. It counts when a first code confirmed it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TotpOffer {
    /// The secret in base 32.
    #[schemars(with = "String")]
    pub secret: Sensitive,
    /// The same as `otpauth://` address, for a QR code.
    #[schemars(with = "String")]
    pub url: Sensitive,
}

/// Whether an admin may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// They may.
    Active,
    /// They may not.
    Disabled,
}

/// One of the staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminView {
    /// Who.
    pub id: AdminId,
    /// E-mail address.
    pub email: String,
    /// What they are for.
    pub role: Role,
    /// Whether they may sign in.
    pub state: AdminState,
    /// Whether one-time codes are asked for.
    pub totp_enrolled: bool,
    /// When they were made.
    pub created_at: DateTime<Utc>,
    /// When they signed in last.
    pub signed_in_at: Option<DateTime<Utc>>,
}

/// What can be asked about the staff.
#[async_trait]
pub trait Staff: Send + Sync {
    /// Lets an admin in.
    ///
    /// # Errors
    /// [`DoorFault`].
    async fn login(&self, order: LoginOrder, from: Origin) -> Result<AdminTokens, DoorFault>;

    /// Exchanges a refresh token, which counts once, for a new pair.
    ///
    /// # Errors
    /// [`DoorFault::SessionOver`].
    async fn refresh(&self, order: RefreshOrder, from: Origin) -> Result<AdminTokens, DoorFault>;

    /// Ends the sign-in of a refresh token. One that does not count changes nothing.
    ///
    /// # Errors
    /// [`DoorFault::Other`].
    async fn logout(&self, order: RefreshOrder, from: Origin) -> Result<(), DoorFault>;

    /// Offers a secret for one-time codes to an admin who has none yet.
    ///
    /// # Errors
    /// [`Fault::Conflict`].
    async fn offer_totp(&self, admin: AdminId) -> Result<TotpOffer, Fault>;

    /// Asks for one-time codes from now on, if this is one of the offered secret's.
    ///
    /// # Errors
    /// [`Fault::WrongCode`], [`Fault::Conflict`].
    async fn confirm_totp(&self, admin: AdminId, order: CodeOrder) -> Result<(), Fault>;

    /// Everybody, oldest first.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    async fn list(&self) -> Result<Vec<AdminView>, Fault>;

    /// One of them.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn get(&self, id: AdminId) -> Result<AdminView, Fault>;

    /// Makes an admin.
    ///
    /// # Errors
    /// [`Fault::Invalid`], [`Fault::Conflict`], [`Fault::TooMany`].
    async fn add(&self, order: AdminOrder) -> Result<AdminView, Fault>;

    /// Changes an admin. The last active owner stays one.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::Invalid`], [`Fault::Conflict`].
    async fn change(&self, id: AdminId, order: AdminChangeOrder) -> Result<AdminView, Fault>;
}

/// Bounds of the staff's sign-ins.
#[derive(Clone, Debug)]
pub struct StaffConfig {
    /// Name in authenticators.
    pub issuer: String,
    /// How long a sign-in lasts that is not used.
    pub session_idle: Duration,
    /// How long a sign-in lasts in all.
    pub session_lifetime: Duration,
    /// Most admins.
    pub admins_max: u64,
    /// Failures that cost nothing but the answer.
    pub failures_free: u32,
    /// The first delay; each further failure doubles it.
    pub delay_first: Duration,
    /// The longest delay.
    pub lockout: Duration,
    /// After how long without a failure the earlier ones are forgotten.
    pub failures_kept: Duration,
    /// Failures that are remembered in all.
    pub failures_max: u32,
}

/// What the service is put together from.
pub struct StaffParts {
    /// Where admins are.
    pub store: Store,
    /// Hashes passwords.
    pub passwords: Arc<Passwords>,
    /// Signs access tokens for admins.
    pub tokens: AccessTokens,
    /// Keeps the record of sign-ins.
    pub audit: Arc<dyn Audit>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Makes ids.
    pub ids: IdSource,
    /// Bounds.
    pub config: StaffConfig,
}

/// The staff over the store.
pub struct StaffService {
    parts: StaffParts,
    lookup: OnceCell<LookupKey>,
}

impl StaffService {
    /// Over its parts.
    #[must_use]
    pub fn new(parts: StaffParts) -> Self {
        Self { parts, lookup: OnceCell::new() }
    }

    /// The key of the hashes of tokens and addresses is the store's, the same on every node.
    async fn lookup(&self) -> Result<&LookupKey, StoreError> {
        let make = || async { Ok(LookupKey::new(&*self.parts.store.derive("sign-ins of admins").await?)) };
        self.lookup.get_or_try_init(make).await
    }
}
