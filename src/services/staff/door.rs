//! Signing in, renewing and signing out. A sign-in of a known admin, good or bad, stands in the audit log.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::model::{AdminId, LoginSessionId};
use uuid::Uuid;

use super::order::normal_email;
use super::{AdminTokens, DoorFault, LoginOrder, Origin, RefreshOrder, StaffService};
use crate::crypto::{PasswordError, PasswordVerdict, RefreshToken, Tag, TokenKind, Totp};
use crate::services::audit::{Asked, Change, Outcome};
use crate::services::caller::{Caller, Role};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::identity::{Attempt, AttemptLimit};
use crate::store::{AdminRow, NewAdminSession, Refreshed};

/// Where the secrets of admins' one-time codes lie.
pub(super) const TOTP: (&str, &str) = ("admins", "totp");
const KIND: TokenKind = TokenKind::AdminRefresh;

impl StaffService {
    pub(super) async fn do_login(&self, order: LoginOrder, from: Origin) -> Result<AdminTokens, DoorFault> {
        let Some(email) = normal_email(&order.email) else { return Err(DoorFault::Refused) };
        let subjects = self.begin_try(&email, from.address).await?;
        let row = self.parts.store.admin_by_email(&email).await?;
        let given = SecretString::from(order.password.expose());
        let stored = row.as_ref().map(|row| row.password.as_str());
        let verdict = self.parts.passwords.verify(&given, stored).await.map_err(busy)?;
        // From here on only somebody who is known is spoken of.
        let Some(row) = row else { return Err(DoorFault::Refused) };
        if verdict == PasswordVerdict::Wrong || !row.active {
            return self.turned_away(&row, &from, "wrong_password").await;
        }
        if row.totp_since.is_some() {
            match &order.code {
                None => {
                    self.parts.store.forgive_attempt(Vec::new(), subjects).await?;
                    return Err(DoorFault::CodeNeeded);
                }
                Some(code) if self.takes_code(&row, code, false).await? => {}
                Some(_) => return self.turned_away(&row, &from, "wrong_code").await,
            }
        }
        self.parts.store.forgive_attempt(subjects, Vec::new()).await?;
        self.come_in(&row, &from).await
    }

    /// Puts the sign-in on record, then begins it.
    async fn come_in(&self, row: &AdminRow, from: &Origin) -> Result<AdminTokens, DoorFault> {
        let parts = &self.parts;
        let open = parts.audit.asked(asked(row, from, "login_admin")?).await?;
        let session = LoginSessionId::from_uuid(parts.ids.uuid());
        let lookup = self.lookup().await?;
        let token = RefreshToken::generate(KIND, session.as_uuid(), 1, lookup, parts.rng.as_ref());
        let life = parts.config.session_idle.min(parts.config.session_lifetime);
        let new = NewAdminSession {
            id: session,
            admin: row.id,
            token: token.tag(lookup).to_vec(),
            address: from.address.to_string(),
            life,
            password: row.password.clone(),
        };
        let began = parts.store.open_admin_session(new).await?;
        let outcome = if began { Outcome::Done(200) } else { Outcome::Failed("conflict".to_owned()) };
        parts.audit.ended(open, outcome, Change::default()).await?;
        if !began {
            return Err(DoorFault::Refused);
        }
        tracing::info!(admin = %row.id, %session, from = %from.address, "admin signed in");
        self.tokens(row.id.as_uuid(), session, &token, life)
    }

    async fn turned_away<T>(&self, row: &AdminRow, from: &Origin, why: &str) -> Result<T, DoorFault> {
        tracing::warn!(admin = %row.id, from = %from.address, why, "sign-in of an admin was refused");
        self.on_record(row, from, "login_admin", Outcome::Failed(why.to_owned())).await?;
        Err(DoorFault::Refused)
    }

    async fn on_record(
        &self,
        row: &AdminRow,
        from: &Origin,
        action: &str,
        outcome: Outcome,
    ) -> Result<(), DoorFault> {
        let open = self.parts.audit.asked(asked(row, from, action)?).await?;
        Ok(self.parts.audit.ended(open, outcome, Change::default()).await?)
    }

    fn tokens(
        &self,
        admin: Uuid,
        session: LoginSessionId,
        token: &RefreshToken,
        life: Duration,
    ) -> Result<AdminTokens, DoorFault> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let access = parts.tokens.issue(admin, session.as_uuid(), parts.ids.uuid(), now);
        let access = access.ok_or_else(|| Fault::Unavailable("no key signs access tokens".to_owned()))?;
        Ok(AdminTokens {
            session,
            access_token: Sensitive::from(access),
            token_type: "Bearer".to_owned(),
            expires_in: parts.tokens.lifetime().as_secs(),
            refresh_token: Sensitive::from(SecretString::from(token.secret().expose_secret())),
            refresh_expires_at: later(now, life),
        })
    }

    pub(super) async fn do_refresh(
        &self,
        order: RefreshOrder,
        from: Origin,
    ) -> Result<AdminTokens, DoorFault> {
        let parts = &self.parts;
        let lookup = self.lookup().await?;
        let given = RefreshToken::parse(KIND, order.refresh_token.expose(), lookup);
        let given = given.ok_or(DoorFault::SessionOver)?;
        let session = LoginSessionId::from_uuid(given.session);
        let found = parts.store.admin_of_session(session).await?;
        let (row, began) = found.ok_or(DoorFault::SessionOver)?;
        let left = later(began, parts.config.session_lifetime) - parts.clock.now();
        let left = left.to_std().map_err(|_| DoorFault::SessionOver)?;
        let life = parts.config.session_idle.min(left);
        let generation = given.generation.saturating_add(1);
        let next = RefreshToken::generate(KIND, given.session, generation, lookup, parts.rng.as_ref());
        let (old, new) = (given.tag(lookup).to_vec(), next.tag(lookup).to_vec());
        match parts.store.refresh_admin_session(session, old, new, life).await? {
            Refreshed::Renewed(admin) => self.tokens(admin.as_uuid(), session, &next, life),
            Refreshed::Reused(admin) => {
                tracing::warn!(%admin, %session, from = %from.address, "refresh token was used twice, sign-in ended");
                self.on_record(&row, &from, "refresh_admin", Outcome::Failed("token_reused".to_owned()))
                    .await?;
                Err(DoorFault::SessionOver)
            }
            Refreshed::Unknown => Err(DoorFault::SessionOver),
        }
    }

    pub(super) async fn do_logout(&self, order: RefreshOrder, from: Origin) -> Result<(), DoorFault> {
        let lookup = self.lookup().await?;
        let Some(given) = RefreshToken::parse(KIND, order.refresh_token.expose(), lookup) else {
            return Ok(());
        };
        let session = LoginSessionId::from_uuid(given.session);
        // Also with a token that was exchanged since: whoever had it wants the sign-in to end.
        let Some((row, _)) = self.parts.store.admin_of_session(session).await? else { return Ok(()) };
        self.parts.store.end_admin_session(session).await?;
        self.on_record(&row, &from, "logout_admin", Outcome::Done(204)).await
    }

    /// Whether this is a code of now that was not taken yet; it is taken then.
    pub(super) async fn takes_code(
        &self,
        row: &AdminRow,
        code: &Sensitive,
        confirm: bool,
    ) -> Result<bool, Fault> {
        let Some(sealed) = &row.totp else { return Ok(false) };
        let secret = self.parts.store.open_system(TOTP, row.id.as_uuid().as_bytes(), sealed).await?;
        let totp = Totp::new(secret.expose_secret(), &self.parts.config.issuer, &row.email)
            .map_err(|error| Fault::Unavailable(error.to_string()))?;
        let now = u64::try_from(self.parts.clock.now().timestamp()).unwrap_or(0);
        let Some(step) = totp.accept(code.expose(), now, None) else { return Ok(false) };
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Ok(self.parts.store.take_admin_totp(row.id, step, confirm).await?)
    }

    /// Counts a try as failed before it is looked at. Whether there is such an admin makes no difference.
    async fn begin_try(&self, email: &str, from: IpAddr) -> Result<Vec<Tag>, DoorFault> {
        let config = &self.parts.config;
        let lookup = self.lookup().await?;
        let limit =
            AttemptLimit { free: config.failures_free, first: config.delay_first, longest: config.lockout };
        let subject = lookup.tag("failed sign-ins of an admin", email.as_bytes());
        let attempt = Attempt {
            subjects: vec![(subject, limit)],
            kept: config.failures_kept,
            rows_max: config.failures_max,
        };
        let Some(until) = self.parts.store.begin_attempt(attempt).await? else { return Ok(vec![subject]) };
        let wait = until.saturating_sub(self.parts.clock.now().timestamp_millis());
        tracing::warn!(%from, wait_ms = wait, "sign-in of an admin was tried too often");
        Err(DoorFault::SlowDown(Duration::from_millis(u64::try_from(wait).unwrap_or(0))))
    }

    /// Forgets the failures with an address, when its password was set anew.
    pub(super) async fn unlock(&self, email: &str) -> Result<(), Fault> {
        let subject = self.lookup().await?.tag("failed sign-ins of an admin", email.as_bytes());
        Ok(self.parts.store.forgive_attempt(vec![subject], Vec::new()).await?)
    }
}

fn asked(row: &AdminRow, from: &Origin, action: &str) -> Result<Asked, Fault> {
    Ok(Asked {
        caller: Caller::Admin(row.id, role(row)?),
        address: from.address,
        request_id: from.request_id.clone(),
        action: action.to_owned(),
        target: Some(AdminId::to_string(&row.id)),
    })
}

pub(super) fn role(row: &AdminRow) -> Result<Role, Fault> {
    row.role.parse().map_err(Fault::Unavailable)
}

pub(super) fn busy(error: PasswordError) -> Fault {
    match error {
        PasswordError::Busy => Fault::TooMany(error.to_string()),
        PasswordError::Failed(_) => Fault::Unavailable(error.to_string()),
    }
}

fn later(time: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    time + TimeDelta::from_std(by).unwrap_or(TimeDelta::zero())
}
