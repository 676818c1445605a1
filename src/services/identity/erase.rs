//! Deletion of a user: at once nothing lets them in; then, in the background and across restarts, their accounts are logged
//! out at the platforms, what a provider bills is ended, the data key is erased, and the rows go.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_actors::model::{LoginSessionId, UserId};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{IdentityService, after};
use crate::config::AuthConfig;
use crate::services::accounts::Accounts;
use crate::services::caller::Caller;
use crate::services::fault::Fault;
use crate::services::page::Page;
use crate::services::subscriptions::Subscriptions;
use crate::store::Store;
use crate::store::identity::Dying;

/// What runs for users.
#[async_trait]
pub trait Running: Send + Sync {
    /// Stops what is theirs. From the answer on no send of theirs starts in this process.
    ///
    /// # Errors
    /// [`Fault`].
    async fn stop(&self, user: UserId) -> Result<(), Fault>;
}

/// Carries erasures out, one after another.
pub struct Erasures {
    wake: Arc<Notify>,
    work: JoinHandle<()>,
}

/// What one erasure needs.
#[derive(Clone)]
struct Eraser {
    store: Store,
    accounts: Arc<dyn Accounts>,
    subscriptions: Arc<dyn Subscriptions>,
    tries_max: u32,
}

impl Erasures {
    /// Goes on with what was begun before, and waits for more.
    pub(super) fn start(
        store: Store,
        accounts: Arc<dyn Accounts>,
        subscriptions: Arc<dyn Subscriptions>,
        config: &AuthConfig,
        runtime: &Handle,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let eraser = Eraser { store, accounts, subscriptions, tries_max: config.erasure_tries.get() };
        let work = runtime.spawn(watch(eraser, Arc::clone(&wake), config.erasure_retry, runtime.clone()));
        Self { wake, work }
    }

    fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Erasures {
    /// What is under way is on the disk: the next start goes on with it.
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn watch(eraser: Eraser, wake: Arc<Notify>, retry: Duration, runtime: Handle) {
    loop {
        // In a task of its own: a panic ends one round, not the watch.
        let round = eraser.clone();
        if let Err(error) = runtime.spawn(async move { round.all().await }).await {
            tracing::error!(%error, "erasure of users was cut short");
        }
        let _woken = tokio::time::timeout(retry, wake.notified()).await;
    }
}

impl Eraser {
    async fn all(&self) {
        let dying = match self.store.dying().await {
            Ok(dying) => dying,
            Err(error) => return tracing::warn!(%error, "users to be erased cannot be read"),
        };
        for one in dying {
            match self.one(one).await {
                Ok(()) => tracing::info!(user = %one.user, "user was erased"),
                Err(fault) => {
                    tracing::warn!(user = %one.user, tries = one.tries, error = %fault, "user is not erased yet");
                    if let Err(error) = self.store.note_erasure_try(one.user).await {
                        tracing::warn!(%error, "a try to erase was not counted");
                    }
                }
            }
        }
    }

    async fn one(&self, dying: Dying) -> Result<(), Fault> {
        // A platform that never confirms must not keep somebody here for ever.
        let force = dying.tries >= self.tries_max;
        self.remove_accounts(dying.user, force).await?;
        self.subscriptions.end(dying.user).await?;
        self.store.erase_data_key(dying.user).await?;
        self.store.erase_user(dying.user).await?;
        Ok(())
    }
}

impl Eraser {
    /// Signs every account out and removes it: one whose platform fails holds none of the others up.
    async fn remove_accounts(&self, user: UserId, force: bool) -> Result<(), Fault> {
        let (mut failed, mut page) = (Vec::new(), Page::default());
        loop {
            let found = self.accounts.list(Caller::User(user), page).await?;
            for account in found.items {
                match self.accounts.remove(Caller::Operator, account.id, force).await {
                    Ok(_) | Err(Fault::NotFound(_)) => {}
                    Err(fault) => failed.push(format!("account {}: {fault}", account.id)),
                }
            }
            let Some(cursor) = found.next_cursor else { break };
            page = Page { cursor: Some(cursor), ..Page::default() };
        }
        if failed.is_empty() { Ok(()) } else { Err(Fault::Unreachable(failed.join("; "))) }
    }
}

impl IdentityService {
    pub(super) async fn do_delete(&self, user: UserId, by: Option<LoginSessionId>) -> Result<(), Fault> {
        let store = &self.parts.store;
        if let Some(session) = by {
            let row = store.session(session).await?.ok_or(Fault::SessionOver)?;
            if after(row.created_at, self.parts.config.fresh_for) <= self.millis() {
                return Err(Fault::NotFresh);
            }
        }
        let person = store.person(user).await?;
        store.begin_erasure(user).await?;
        tracing::info!(%user, "user is being deleted");
        // Without it nothing is sent either: the store begins no send for them any more.
        if let Err(error) = self.parts.running.stop(user).await {
            tracing::warn!(%user, %error, "what runs for a user who is being deleted was not told");
        }
        if let Some(profile) = person.profile {
            self.write_deleted(&profile.email);
        }
        self.erasures.wake();
        Ok(())
    }
}
