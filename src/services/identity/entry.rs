//! The users' door: access tokens and API keys. Everything but the token's genuineness is read from the store.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::model::{LoginSessionId, UserId};
use switchyard_actors::ports::{Clock, StoreError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::after;
use crate::crypto::{AccessTokens, JwtFault, LookupKey, Token, TokenKind};
use crate::services::caller::Caller;
use crate::services::entry::{Credential, Entered, Entry, EntryFault, Via};
use crate::services::fault::store_said;
use crate::store::Store;
use crate::store::identity::{Access, UserState};

/// Uses that are being noted at the same time; of more the next use is noted.
const NOTES_MAX: usize = 16;

/// Lets users in.
pub struct UserEntry {
    store: Store,
    clock: Arc<dyn Clock>,
    tokens: Arc<AccessTokens>,
    lookup: LookupKey,
    seen_interval: Duration,
    runtime: Handle,
    notes: Arc<Semaphore>,
}

impl UserEntry {
    /// A door over a store. `seen_interval`: how often a use is noted.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        tokens: Arc<AccessTokens>,
        lookup: LookupKey,
        seen_interval: Duration,
        runtime: Handle,
    ) -> Self {
        let notes = Arc::new(Semaphore::new(NOTES_MAX));
        Self { store, clock, tokens, lookup, seen_interval, runtime, notes }
    }

    async fn by_token(&self, token: &SecretString) -> Result<Entered, EntryFault> {
        let claims =
            self.tokens.verify(token.expose_secret(), self.clock.now()).map_err(|fault| match fault {
                JwtFault::Invalid => EntryFault::Unknown,
                JwtFault::Expired => EntryFault::Expired,
            })?;
        let session = LoginSessionId::from_uuid(claims.session);
        let access = self.store.session_access(session).await.map_err(unavailable)?;
        let access = access.filter(|access| access.user == UserId::from_uuid(claims.subject));
        let access = access.ok_or(EntryFault::Unknown)?;
        let entered = let_in(&access, Via::Session(session), None)?;
        let store = self.store.clone();
        self.note(access.last_used_at, async move { store.touch_session(session, access.user).await });
        Ok(entered)
    }

    async fn by_key(&self, key: &SecretString) -> Result<Entered, EntryFault> {
        let token = Token::parse(TokenKind::ApiKey, key.expose_secret()).ok_or(EntryFault::Unknown)?;
        let holder = self.store.key_holder(token.tag(&self.lookup)).await.map_err(unavailable)?;
        let holder = holder.ok_or(EntryFault::Unknown)?;
        let scopes = holder.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
        let entered = let_in(&holder.access, Via::ApiKey(holder.id), Some(scopes))?;
        let (store, id, user) = (self.store.clone(), holder.id, holder.access.user);
        self.note(holder.access.last_used_at, async move { store.touch_api_key(id, user).await });
        Ok(entered)
    }

    /// Notes a use, now and then, behind the answer.
    fn note(&self, last: i64, write: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let due = after(last, self.seen_interval) <= self.clock.now().timestamp_millis();
        let Some(place) = due.then(|| Arc::clone(&self.notes).try_acquire_owned().ok()).flatten() else {
            return;
        };
        self.runtime.spawn(async move {
            let _held = place;
            if let Err(error) = write.await {
                tracing::debug!(%error, "a use was not noted");
            }
        });
    }
}

fn unavailable(error: StoreError) -> EntryFault {
    EntryFault::Unavailable(store_said(&error))
}

fn let_in(
    access: &Access,
    via: Via,
    scopes: Option<std::collections::BTreeSet<crate::services::caller::Scope>>,
) -> Result<Entered, EntryFault> {
    let suspended = match access.state {
        UserState::Active => None,
        UserState::Suspended => Some(access.reason.clone().unwrap_or_else(|| "ask the support".to_owned())),
        UserState::Deleting => return Err(EntryFault::Unknown),
    };
    Ok(Entered { caller: Caller::User(access.user), via, scopes, suspended })
}

#[async_trait]
impl Entry for UserEntry {
    async fn enter(&self, credential: Credential, _from: IpAddr) -> Result<Entered, EntryFault> {
        match credential {
            Credential::UserToken(token) => self.by_token(&token).await,
            Credential::ApiKey(key) => self.by_key(&key).await,
            Credential::AdminToken(_) => Err(EntryFault::Unknown),
        }
    }
}
