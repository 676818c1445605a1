//! New passwords: by the present one, or by a mailed token.

use std::sync::Arc;

use tracing::Instrument;

use super::address::{EmailAddress, fits};
use super::{IdentityService, Origin, SignedIn, after};
use crate::crypto::{Token, TokenKind};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::identity::UserState;

/// Why a token for a new password is mailed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mailed {
    /// Somebody asked for it.
    Forgotten,
    /// Somebody wanted to register with the address again.
    Taken,
}

impl IdentityService {
    /// The work goes on behind the answer, whose length tells nothing so.
    pub(super) fn do_forgot(&self, email: &str) -> Result<(), Fault> {
        let Ok(email) = EmailAddress::parse(email) else { return Ok(()) };
        let place = Arc::clone(&self.letters).try_acquire_owned();
        let place = place
            .map_err(|_| Fault::TooMany("too many letters at once: try again in a moment".to_owned()))?;
        let this = self.clone();
        let work = async move {
            let _held = place;
            if let Err(fault) = this.mail_token(&email, Mailed::Forgotten).await {
                tracing::warn!(error = %fault, "a letter about a forgotten password was not made");
            }
        };
        self.parts.runtime.spawn(work.in_current_span());
        Ok(())
    }

    /// Writes to the owner of an address, not more often than `auth.reset_gap` allows.
    pub(super) async fn mail_token(&self, email: &EmailAddress, why: Mailed) -> Result<(), Fault> {
        let parts = &self.parts;
        let Some(person) = parts.store.person_by_email(email.tag(&parts.lookup)).await? else {
            return Ok(());
        };
        let (Some(profile), false) = (person.profile, person.state == UserState::Deleting) else {
            return Ok(());
        };
        let token = Token::generate(TokenKind::PasswordReset, parts.rng.as_ref());
        let expires_at = after(self.millis(), parts.config.reset_lifetime);
        let gap = after(0, parts.config.reset_gap);
        if parts.store.add_reset(person.id, token.tag(&parts.lookup), expires_at, gap).await? {
            match why {
                Mailed::Forgotten => self.write_reset(&profile.email, token.secret()),
                Mailed::Taken => self.write_taken(&profile.email, token.secret()),
            }
            tracing::info!(user = %person.id, ?why, "a letter with a token for a new password was written");
        }
        Ok(())
    }

    pub(super) async fn do_reset(&self, token: Sensitive, password: Sensitive) -> Result<(), Fault> {
        let parts = &self.parts;
        let token = Token::parse(TokenKind::PasswordReset, token.expose()).ok_or(Fault::SessionOver)?;
        let tag = token.tag(&parts.lookup);
        let user = parts.store.reset_owner(tag).await?.ok_or(Fault::SessionOver)?;
        let person = parts.store.person(user).await?;
        let email = person.profile.map(|profile| profile.email);
        fits(&password, email.as_deref(), "/password")?;
        let hashed = self.hashed(&password).await?;
        if !parts.store.reset_password(user, tag, &hashed).await? {
            return Err(Fault::SessionOver);
        }
        tracing::info!(%user, "password was reset by a mailed token");
        if let Some(email) = email {
            self.write_password_reset(&email);
        }
        Ok(())
    }

    pub(super) async fn do_change_password(
        &self,
        who: SignedIn,
        from: Origin,
        present: Sensitive,
        new: Sensitive,
    ) -> Result<(), Fault> {
        let person = self.parts.store.person(who.user).await?;
        let email = person.profile.as_ref().map(|profile| profile.email.clone());
        fits(&new, email.as_deref(), "/new")?;
        let counted = self.begin_attempt(who.user.as_uuid().as_bytes(), from.address).await?;
        if !self.is_password(&person, &present).await? {
            return Err(Fault::WrongPassword);
        }
        self.forgive(&counted, true).await?;
        let hashed = self.hashed(&new).await?;
        let ends = Some((Some(who.session.as_uuid()), "the password was changed"));
        if !self.parts.store.set_password(who.user, person.password_at, &hashed, ends).await? {
            tracing::info!(user = %who.user, "another password was set meanwhile");
            return Err(Fault::WrongPassword);
        }
        tracing::info!(user = %who.user, "password was changed");
        if let Some(email) = email {
            self.write_password_changed(&email);
        }
        Ok(())
    }
}
