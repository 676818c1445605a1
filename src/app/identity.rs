//! What identity is put together from: keys from vault and store, passwords, letters.

use std::sync::Arc;

use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Mailer, Rng};
use tokio::runtime::Handle;

use super::{StartError, io};
use crate::adapters::mail::FolderMailer;
use crate::config::Config;
use crate::crypto::{AccessTokens, Audience, LookupKey, PasswordParams, Passwords, Vault};
use crate::services::accounts::Accounts;
use crate::services::entry::Entry;
use crate::services::identity::{Identity, IdentityParts, IdentityService, Running, UserEntry};
use crate::services::subscriptions::Subscriptions;
use crate::store::Store;

/// Folder of letters in the data folder.
const LETTERS: &str = "mail";

/// By which the store finds tokens, keys and addresses: one key for the life of the store.
const LOOKUP: &str = "lookup of identities";

/// What identity needs before the tree runs.
pub(super) struct Kit {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) ids: IdSource,
    pub(super) lookup: LookupKey,
    pub(super) passwords: Arc<Passwords>,
    pub(super) mailer: Arc<dyn Mailer>,
    tokens: Arc<AccessTokens>,
}

impl Kit {
    pub(super) async fn new(
        config: &Config,
        store: Store,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, StartError> {
        let auth = &config.auth;
        let ids = IdSource::new(Arc::clone(&clock), Arc::clone(&rng));
        let lookup = LookupKey::new(&*store.derive(LOOKUP).await?);
        let params = PasswordParams {
            memory_kib: u32::try_from(auth.password_memory.bytes() / 1_024).unwrap_or(u32::MAX),
            passes: auth.password_passes.get(),
            lanes: auth.password_lanes.get(),
            at_once: auth.password_at_once.get(),
            waiting_max: auth.password_waiting_max,
        };
        let passwords = Passwords::new(params, Arc::clone(&rng));
        let passwords = Arc::new(passwords.map_err(|error| io("section auth", error))?);
        let folder = config.data_dir.join(LETTERS);
        let keep = config.mail.letters_max.get();
        let mailer = FolderMailer::new(folder, &config.mail.from, keep, Arc::clone(&clock), ids.clone());
        let mailer = Arc::new(mailer.map_err(|error| io("mail.from", error))?);
        let tokens = AccessTokens::new(vault, Audience::User, &auth.issuer, auth.access_lifetime);
        Ok(Self { store, clock, rng, ids, lookup, passwords, mailer, tokens: Arc::new(tokens) })
    }

    /// Identity over the running tree, and the users' door.
    pub(super) fn open(
        self,
        config: &Config,
        (accounts, running): (Arc<dyn Accounts>, Arc<dyn Running>),
        subscriptions: Arc<dyn Subscriptions>,
    ) -> (Arc<dyn Identity>, Arc<dyn Entry>) {
        let Self { store, clock, rng, ids, lookup, passwords, mailer, tokens } = self;
        let runtime = Handle::current();
        let door = UserEntry::new(
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&tokens),
            lookup.clone(),
            config.auth.seen_interval,
            runtime.clone(),
        );
        let identity = IdentityService::new(IdentityParts {
            store,
            clock,
            rng,
            ids,
            runtime,
            config: config.auth.clone(),
            tokens,
            lookup,
            passwords,
            mailer,
            accounts,
            running,
            subscriptions,
        });
        (Arc::new(identity), Arc::new(door))
    }
}
