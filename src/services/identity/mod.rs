//! Identity: users register, sign in, prove themselves, see and change what is known of them, and go.

mod address;
mod entry;
mod erase;
mod export;
mod keys;
mod letters;
mod order;
mod profile;
mod reset;
mod second_factor;
mod sign_in;
mod view;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use switchyard_actors::model::{ApiKeyId, IdSource, LoginSessionId, UserId};
use switchyard_actors::ports::{Clock, Mailer, Rng};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::accounts::Accounts;
use super::fault::Fault;
use super::sensitive::Sensitive;
use super::subscriptions::Subscriptions;
use crate::config::AuthConfig;
use crate::crypto::{AccessTokens, LookupKey, Passwords};
use crate::store::Store;

pub use crate::store::identity::UserState;
pub use address::EmailAddress;
pub use entry::UserEntry;
pub use erase::{Erasures, Running};
pub use order::{ApiKeyOrder, LoginOrder, ProfileChange, RegisterOrder};
pub use view::{
    ApiKeyMade, ApiKeyView, Export, ExportedSection, ProfileView, RecoveryCodes, SessionView, TokenPair,
    TotpEnrolment,
};

/// From where something is asked.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The caller's address.
    pub address: IpAddr,
    /// What the caller's program says of itself.
    pub agent: Option<String>,
}

/// A user by their sign-in.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// By which sign-in.
    pub session: LoginSessionId,
}

/// What can be asked about users as people who sign in.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Makes a user. Whether the address was free is told to the address alone.
    ///
    /// # Errors
    /// [`Fault`].
    async fn register(&self, order: RegisterOrder) -> Result<(), Fault>;

    /// Lets a user in.
    ///
    /// # Errors
    /// [`Fault::SignInRefused`], [`Fault::SecondFactorNeeded`], [`Fault::SlowDown`].
    async fn login(&self, order: LoginOrder, from: Origin) -> Result<TokenPair, Fault>;

    /// Exchanges a refresh token, which counts once, for a new pair.
    ///
    /// # Errors
    /// [`Fault::SessionOver`]; [`Fault::Conflict`] when it was used a moment ago.
    async fn refresh(&self, token: Sensitive) -> Result<TokenPair, Fault>;

    /// Ends the sign-in of a refresh token. One that does not count changes nothing.
    ///
    /// # Errors
    /// [`Fault`].
    async fn logout(&self, token: Sensitive) -> Result<(), Fault>;

    /// Mails a token that sets a new password. The answer is the same whether there is such a user.
    ///
    /// # Errors
    /// [`Fault`].
    async fn forgot(&self, email: String) -> Result<(), Fault>;

    /// Sets a new password by a mailed token, and ends all sign-ins.
    ///
    /// # Errors
    /// [`Fault::SessionOver`] for a token that does not count.
    async fn reset(&self, token: Sensitive, password: Sensitive) -> Result<(), Fault>;

    /// What is known of a user.
    ///
    /// # Errors
    /// [`Fault`].
    async fn profile(&self, user: UserId) -> Result<ProfileView, Fault>;

    /// Changes what a user says of themselves; with `version`, only if it is still that one.
    ///
    /// # Errors
    /// [`Fault::Stale`].
    async fn change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        version: Option<i64>,
    ) -> Result<ProfileView, Fault>;

    /// Sets a new password by the present one, and ends all other sign-ins.
    ///
    /// # Errors
    /// [`Fault::WrongPassword`].
    async fn change_password(
        &self,
        who: SignedIn,
        from: Origin,
        present: Sensitive,
        new: Sensitive,
    ) -> Result<(), Fault>;

    /// A user's sign-ins, newest first; `present` is marked.
    ///
    /// # Errors
    /// [`Fault`].
    async fn sessions(
        &self,
        user: UserId,
        present: Option<LoginSessionId>,
    ) -> Result<Vec<SessionView>, Fault>;

    /// Ends one sign-in.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn end_session(&self, user: UserId, session: LoginSessionId) -> Result<(), Fault>;

    /// Begins to ask for one-time codes: the secret for an authenticator. It counts when it is confirmed.
    ///
    /// # Errors
    /// [`Fault::Conflict`] when codes are asked for already.
    async fn begin_totp(&self, user: UserId) -> Result<TotpEnrolment, Fault>;

    /// Confirms with a first code; from now on codes are asked for.
    ///
    /// # Errors
    /// [`Fault::WrongCode`], [`Fault::SlowDown`].
    async fn confirm_totp(
        &self,
        who: SignedIn,
        from: Origin,
        code: Sensitive,
    ) -> Result<RecoveryCodes, Fault>;

    /// Asks for codes no more.
    ///
    /// # Errors
    /// [`Fault::WrongPassword`], [`Fault::WrongCode`], [`Fault::SlowDown`].
    async fn end_totp(
        &self,
        who: SignedIn,
        from: Origin,
        password: Sensitive,
        code: Sensitive,
    ) -> Result<(), Fault>;

    /// A user's API keys, oldest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKeyView>, Fault>;

    /// Makes an API key, which is shown this once.
    ///
    /// # Errors
    /// [`Fault`].
    async fn make_api_key(&self, user: UserId, order: ApiKeyOrder) -> Result<ApiKeyMade, Fault>;

    /// Revokes an API key.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn remove_api_key(&self, user: UserId, key: ApiKeyId) -> Result<(), Fault>;

    /// Everything that is kept of a user, without secrets.
    ///
    /// # Errors
    /// [`Fault`].
    async fn export(&self, user: UserId) -> Result<Export, Fault>;

    /// Deletes a user. Nothing lets them in from the answer on; what is theirs is erased in the background, also across a
    /// restart.
    ///
    /// # Errors
    /// [`Fault::NotFresh`] when `by` is a sign-in of long ago; none is needed of staff.
    async fn delete(&self, user: UserId, by: Option<LoginSessionId>) -> Result<(), Fault>;
}

/// What [`IdentityService`] is put together from.
pub struct IdentityParts {
    /// The store.
    pub store: Store,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Makes ids.
    pub ids: IdSource,
    /// Where work goes on that nobody waits for.
    pub runtime: Handle,
    /// Section `auth`.
    pub config: AuthConfig,
    /// Users' access tokens.
    pub tokens: Arc<AccessTokens>,
    /// By which tokens and addresses are found.
    pub lookup: LookupKey,
    /// Passwords.
    pub passwords: Arc<Passwords>,
    /// Letters.
    pub mailer: Arc<dyn Mailer>,
    /// Accounts, which go with their user.
    pub accounts: Arc<dyn Accounts>,
    /// What runs for users, which stops when they go.
    pub running: Arc<dyn Running>,
    /// What a provider bills.
    pub subscriptions: Arc<dyn Subscriptions>,
}

/// Letters about forgotten passwords that are being made at the same time.
const LETTERS_AT_ONCE: usize = 64;

/// Users of a running daemon. Cloning shares it.
#[derive(Clone)]
pub struct IdentityService {
    parts: Arc<IdentityParts>,
    erasures: Arc<Erasures>,
    exports: Arc<Semaphore>,
    letters: Arc<Semaphore>,
}

impl IdentityService {
    /// Over its parts; erasures that were begun go on.
    #[must_use]
    pub fn new(parts: IdentityParts) -> Self {
        let erasures = Erasures::start(
            parts.store.clone(),
            Arc::clone(&parts.accounts),
            Arc::clone(&parts.subscriptions),
            &parts.config,
            &parts.runtime,
        );
        let exports = Arc::new(Semaphore::new(parts.config.exports_at_once.get()));
        let letters = Arc::new(Semaphore::new(LETTERS_AT_ONCE));
        Self { parts: Arc::new(parts), erasures: Arc::new(erasures), exports, letters }
    }

    fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    fn millis(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Compares the password of somebody who has one.
    async fn is_password(
        &self,
        person: &crate::store::identity::Person,
        given: &Sensitive,
    ) -> Result<bool, Fault> {
        use secrecy::ExposeSecret;
        let stored = person.password.as_ref().map(ExposeSecret::expose_secret);
        let given = SecretString::from(given.expose());
        match self.parts.passwords.verify(&given, stored).await? {
            crate::crypto::PasswordVerdict::Wrong => Ok(false),
            crate::crypto::PasswordVerdict::Right { rehashed } => {
                if let Some(rehashed) = rehashed {
                    let rehashed = SecretString::from(rehashed);
                    // Where another was set meanwhile, the new one stays.
                    self.parts.store.set_password(person.id, person.password_at, &rehashed, None).await?;
                }
                Ok(true)
            }
        }
    }

    async fn hashed(&self, password: &Sensitive) -> Result<SecretString, Fault> {
        let password = SecretString::from(password.expose());
        Ok(SecretString::from(self.parts.passwords.hash(&password).await?))
    }
}

/// After so long from now, Unix milliseconds.
fn after(now: i64, span: std::time::Duration) -> i64 {
    now.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}
