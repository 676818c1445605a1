//! One-time codes: enrolled, confirmed, asked for at sign-in, ended; recovery codes in their place.

use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::UserId;

use super::{IdentityService, Origin, RecoveryCodes, SignedIn, TotpEnrolment};
use crate::crypto::{RecoveryCode, Totp};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;

impl IdentityService {
    fn authenticator(&self, secret: &[u8], account: &str) -> Result<Totp, Fault> {
        Totp::new(secret, &self.parts.config.issuer, account)
            .map_err(|error| Fault::Unavailable(error.to_string()))
    }

    fn seconds(&self) -> u64 {
        u64::try_from(self.now().timestamp()).unwrap_or(0)
    }

    pub(super) async fn do_begin_totp(&self, user: UserId) -> Result<TotpEnrolment, Fault> {
        let person = self.parts.store.person(user).await?;
        let account = person.profile.map_or_else(|| user.to_string(), |profile| profile.email);
        let secret = Totp::new_secret(self.parts.rng.as_ref());
        let shown = self
            .authenticator(&secret, &account)?
            .enrolment(&secret)
            .map_err(|error| Fault::Unavailable(error.to_string()))?;
        if !self.parts.store.begin_totp(user, &SecretSlice::from(secret.to_vec())).await? {
            return Err(Fault::Conflict("one-time codes are asked for already: end that first".to_owned()));
        }
        Ok(TotpEnrolment { secret: Sensitive::from(shown.secret), url: Sensitive::from(shown.url) })
    }

    pub(super) async fn do_confirm_totp(
        &self,
        who: SignedIn,
        from: Origin,
        code: Sensitive,
    ) -> Result<RecoveryCodes, Fault> {
        let parts = &self.parts;
        let row = parts.store.totp(who.user).await?.filter(|row| !row.confirmed);
        let row =
            row.ok_or_else(|| Fault::OutOfStep("there is nothing to confirm: begin first".to_owned()))?;
        let counted = self.begin_attempt(who.user.as_uuid().as_bytes(), from.address).await?;
        let totp = self.authenticator(row.secret.expose_secret(), "")?;
        let step = totp.accept(code.expose(), self.seconds(), None).ok_or(Fault::WrongCode)?;
        let codes: Vec<RecoveryCode> = (0..parts.config.recovery_codes.get())
            .map(|_| RecoveryCode::generate(parts.rng.as_ref()))
            .collect();
        let owner = who.user.as_uuid();
        let tags = codes.iter().map(|code| code.tag(&parts.lookup, owner.as_bytes())).collect();
        if !parts.store.confirm_totp(who.user, step, tags).await? {
            return Err(Fault::OutOfStep("there is nothing to confirm: begin first".to_owned()));
        }
        self.forgive(&counted, true).await?;
        tracing::info!(user = %who.user, "one-time codes are asked for from now on");
        Ok(RecoveryCodes { recovery_codes: codes.iter().map(|code| Sensitive::from(code.shown())).collect() })
    }

    pub(super) async fn do_end_totp(
        &self,
        who: SignedIn,
        from: Origin,
        password: Sensitive,
        code: Sensitive,
    ) -> Result<(), Fault> {
        let person = self.parts.store.person(who.user).await?;
        if !person.totp {
            return Err(Fault::OutOfStep("one-time codes are not asked for".to_owned()));
        }
        let counted = self.begin_attempt(who.user.as_uuid().as_bytes(), from.address).await?;
        if !self.is_password(&person, &password).await? {
            return Err(Fault::WrongPassword);
        }
        if !self.take_code(who.user, &code).await? {
            return Err(Fault::WrongCode);
        }
        self.forgive(&counted, true).await?;
        self.parts.store.end_totp(who.user).await?;
        tracing::info!(user = %who.user, "one-time codes are asked for no more");
        Ok(())
    }

    /// Takes a one-time code or a recovery code; each counts once, also when two ask at the same time.
    pub(super) async fn take_code(&self, user: UserId, given: &Sensitive) -> Result<bool, Fault> {
        let parts = &self.parts;
        let Some(row) = parts.store.totp(user).await?.filter(|row| row.confirmed) else { return Ok(false) };
        let totp = self.authenticator(row.secret.expose_secret(), "")?;
        if let Some(step) = totp.accept(given.expose(), self.seconds(), row.last_step) {
            return Ok(parts.store.take_totp_step(user, step).await?);
        }
        let Some(code) = RecoveryCode::parse(given.expose()) else { return Ok(false) };
        let tag = code.tag(&parts.lookup, user.as_uuid().as_bytes());
        let taken = parts.store.take_recovery_code(user, tag).await?;
        if taken {
            tracing::warn!(%user, "a recovery code was used");
        }
        Ok(taken)
    }
}
