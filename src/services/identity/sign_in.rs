//! Register, sign in, renew, sign out.

use std::net::IpAddr;
use std::sync::Arc;

use switchyard_actors::model::{LoginSessionId, UserId};
use switchyard_actors::ports::StoreError;

use super::address::{EmailAddress, address, fits};
use super::reset::Mailed;
use super::{IdentityService, LoginOrder, Origin, RegisterOrder, TokenPair, after, profile, time};
use tracing::Instrument;

use crate::crypto::{RefreshToken, Tag, TokenKind};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::identity::{
    Attempt, AttemptLimit, Device, NewPerson, NewSession, Profile, Rotation, UserState,
};

/// Longest text that a program says of itself and that is kept, in characters.
const AGENT_MAX: usize = 200;

/// An attempt that was counted as failed and may be forgiven.
pub(super) struct Counted {
    /// Forgotten after a success: this address with this account.
    pair: Tag,
    /// One less after a success: the address, the account.
    others: Vec<Tag>,
}

impl IdentityService {
    pub(super) async fn do_register(&self, order: RegisterOrder) -> Result<(), Fault> {
        if !self.parts.config.registration {
            return Err(Fault::Closed("registration is closed here: ask the operator".to_owned()));
        }
        let email = address(&order.email, "/email")?;
        fits(&order.password, Some(email.as_typed()), "/password")?;
        let profile = Profile {
            email: email.as_typed().to_owned(),
            name: profile::name(order.name)?,
            locale: profile::locale(order.locale)?,
            time_zone: profile::time_zone(order.time_zone)?,
        };
        // The hash takes nearly all of the time, whether the address is taken or not.
        let password = self.hashed(&order.password).await?;
        let id = UserId::from_uuid(self.parts.ids.uuid());
        let tag = email.tag(&self.parts.lookup);
        let made =
            self.parts.store.register_person(NewPerson { id, email_tag: tag, profile, password }).await?;
        if made {
            tracing::info!(user = %id, "user registered");
            self.write_welcome(email.as_typed());
        } else {
            self.tell_owner(email);
        }
        Ok(())
    }

    pub(super) async fn do_login(&self, order: LoginOrder, from: Origin) -> Result<TokenPair, Fault> {
        let Ok(email) = EmailAddress::parse(&order.email) else { return Err(Fault::SignInRefused) };
        let tag = email.tag(&self.parts.lookup);
        let counted = self.begin_attempt(&tag, from.address).await?;
        let person = self.parts.store.person_by_email(tag).await?;
        let person = person.filter(|person| person.state != UserState::Deleting);
        let Some(person) = person else {
            let given = secrecy::SecretString::from(order.password.expose());
            self.parts.passwords.verify(&given, None).await?;
            return Err(Fault::SignInRefused);
        };
        if !self.is_password(&person, &order.password).await? {
            tracing::info!(user = %person.id, "sign-in with a wrong password");
            return Err(Fault::SignInRefused);
        }
        if person.totp {
            match &order.code {
                None => {
                    // The password was right: this was no guess. A success is it only with the code.
                    self.forgive(&counted, false).await?;
                    return Err(Fault::SecondFactorNeeded);
                }
                Some(code) if self.take_code(person.id, code).await? => {}
                Some(_) => {
                    tracing::info!(user = %person.id, "sign-in with a wrong code");
                    return Err(Fault::SignInRefused);
                }
            }
        }
        self.forgive(&counted, true).await?;
        self.open(person.id, person.password_at, from).await
    }

    /// Behind the answer, whose length tells nothing so.
    fn tell_owner(&self, email: EmailAddress) {
        let Ok(place) = Arc::clone(&self.letters).try_acquire_owned() else { return };
        let this = self.clone();
        let work = async move {
            let _held = place;
            if let Err(fault) = this.mail_token(&email, Mailed::Taken).await {
                tracing::warn!(error = %fault, "a letter about an address that is taken was not made");
            }
        };
        self.parts.runtime.spawn(work.in_current_span());
    }

    async fn open(&self, user: UserId, password_at: Option<i64>, from: Origin) -> Result<TokenPair, Fault> {
        let parts = &self.parts;
        let id = LoginSessionId::from_uuid(parts.ids.uuid());
        let kind = TokenKind::UserRefresh;
        let token = RefreshToken::generate(kind, id.as_uuid(), 1, &parts.lookup, parts.rng.as_ref());
        let expires_at = after(self.millis(), parts.config.session_idle);
        let agent =
            from.agent.map(|agent| agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect());
        let device = Device { address: from.address.to_string(), agent };
        let keep = parts.config.sessions_max.get();
        let tag = token.tag(&parts.lookup);
        let new = NewSession { id, user, tag, device, expires_at, keep, password_at };
        if !parts.store.open_session(new).await? {
            tracing::info!(%user, "password was changed while somebody signed in by it");
            return Err(Fault::SignInRefused);
        }
        tracing::info!(%user, session = %id, "user signed in");
        self.pair(user, id, &token, expires_at)
    }

    fn pair(
        &self,
        user: UserId,
        session: LoginSessionId,
        token: &RefreshToken,
        expires_at: i64,
    ) -> Result<TokenPair, Fault> {
        let parts = &self.parts;
        let access =
            parts.tokens.issue(user.as_uuid(), session.as_uuid(), parts.ids.uuid(), parts.clock.now());
        let access = access.ok_or_else(|| Fault::Unavailable("no key signs access tokens".to_owned()))?;
        Ok(TokenPair {
            session,
            access_token: Sensitive::from(access),
            token_type: "Bearer".to_owned(),
            expires_in: parts.tokens.lifetime().as_secs(),
            refresh_token: Sensitive::from(token.secret().clone()),
            refresh_expires_at: time(expires_at),
        })
    }

    pub(super) async fn do_refresh(&self, given: Sensitive) -> Result<TokenPair, Fault> {
        let parts = &self.parts;
        let kind = TokenKind::UserRefresh;
        let given = RefreshToken::parse(kind, given.expose(), &parts.lookup).ok_or(Fault::SessionOver)?;
        let session = LoginSessionId::from_uuid(given.session);
        let row = parts.store.session(session).await?.ok_or(Fault::SessionOver)?;
        let person = match parts.store.person(row.user).await {
            // They went while their sign-in was looked at.
            Err(StoreError::NotFound(_)) => return Err(Fault::SessionOver),
            person => person?,
        };
        if person.state == UserState::Deleting {
            return Err(Fault::SessionOver);
        }
        let next = given.generation.saturating_add(1);
        let token = RefreshToken::generate(kind, given.session, next, &parts.lookup, parts.rng.as_ref());
        let longest = after(row.created_at, parts.config.session_lifetime);
        let expires_at = after(self.millis(), parts.config.session_idle).min(longest);
        let rotation = Rotation {
            session,
            generation: i64::try_from(given.generation).unwrap_or(i64::MAX),
            from: given.tag(&parts.lookup),
            to: token.tag(&parts.lookup),
            expires_at,
        };
        if parts.store.rotate_session(rotation).await? {
            return self.pair(row.user, session, &token, expires_at);
        }
        self.used_again(session, rotation.generation).await
    }

    /// A token that was made here and does not count. In the moment after its exchange it is perhaps a second window of the
    /// same program, which finds the new token where the first one put it; later somebody has a copy. Neither gets one.
    async fn used_again(&self, session: LoginSessionId, generation: i64) -> Result<TokenPair, Fault> {
        let row = self.parts.store.session(session).await?.ok_or(Fault::SessionOver)?;
        if row.ended || row.expires_at <= self.millis() || generation >= row.generation {
            return Err(Fault::SessionOver);
        }
        let just_now = after(row.rotated_at, self.parts.config.refresh_race) > self.millis();
        if just_now && generation.saturating_add(1) == row.generation {
            return Err(Fault::Conflict(
                "the refresh token was used a moment ago: use the pair that it was exchanged for".to_owned(),
            ));
        }
        let cause = "a refresh token was used twice";
        self.parts.store.end_sessions(row.user, Some(session), cause).await?;
        tracing::warn!(user = %row.user, %session, "a refresh token was used twice, the sign-in was ended");
        if let Some(profile) = self.parts.store.person(row.user).await?.profile {
            self.write_stolen(&profile.email);
        }
        Err(Fault::SessionOver)
    }

    pub(super) async fn do_logout(&self, given: Sensitive) -> Result<(), Fault> {
        let parts = &self.parts;
        let kind = TokenKind::UserRefresh;
        let Some(given) = RefreshToken::parse(kind, given.expose(), &parts.lookup) else { return Ok(()) };
        let session = LoginSessionId::from_uuid(given.session);
        // Also with a token that was exchanged since: whoever had it wants the sign-in to end.
        if let Some(row) = parts.store.session(session).await? {
            parts.store.end_sessions(row.user, Some(session), "signed out").await?;
        }
        Ok(())
    }

    /// Counts an attempt against the account, the address, and the two together.
    pub(super) async fn begin_attempt(&self, account: &[u8], from: IpAddr) -> Result<Counted, Fault> {
        let (parts, config) = (&self.parts, &self.parts.config);
        let prefix = prefix(from);
        let limit = |free: u32, longest| AttemptLimit { free, first: config.delay_first, longest };
        let pair =
            parts.lookup.tag("failed sign-ins of an address with a user", &[account, &prefix].concat());
        let address = parts.lookup.tag("failed sign-ins of an address", &prefix);
        let user = parts.lookup.tag("failed sign-ins with a user", account);
        let attempt = Attempt {
            subjects: vec![
                (pair, limit(config.failures_free, config.lockout)),
                (address, limit(config.failures_free_address, config.lockout)),
                (user, limit(config.failures_free_account, config.account_delay_max)),
            ],
            kept: config.failures_kept,
            rows_max: config.failures_max.get(),
        };
        match parts.store.begin_attempt(attempt).await? {
            None => Ok(Counted { pair, others: vec![address, user] }),
            Some(until) => {
                let left = u64::try_from(until.saturating_sub(self.millis())).unwrap_or(0);
                tracing::info!(left_ms = left, "sign-in was slowed down");
                Err(Fault::SlowDown { wait: std::time::Duration::from_millis(left) })
            }
        }
    }

    /// The attempt was no failure; with `success`, the address may begin anew with the account.
    pub(super) async fn forgive(&self, counted: &Counted, success: bool) -> Result<(), Fault> {
        let (forgotten, mut lowered) = (vec![counted.pair], counted.others.clone());
        if success {
            return Ok(self.parts.store.forgive_attempt(forgotten, lowered).await?);
        }
        lowered.extend(forgotten);
        Ok(self.parts.store.forgive_attempt(Vec::new(), lowered).await?)
    }
}

/// What counts as one address: all of IPv4's bits, the first 64 of IPv6's, which one household has as a whole (RFC 6177).
fn prefix(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().iter().take(8).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_is_one_address() {
        let of = |text: &str| prefix(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
