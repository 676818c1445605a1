//! The keeper of keys: notices when the keyring's file or the sealing key changes, and carries rotations on.

use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::ports::StoreError;
use tokio::sync::Notify;

use crate::crypto::{KeySources, Vault};
use crate::services::fault::Fault;
use crate::store::{RotationPace, Stepped, Store};

/// How often it looks, and how fast a rotation goes.
#[derive(Clone, Copy, Debug)]
pub struct KeeperPace {
    /// Between two looks at the keyring and at other nodes' orders.
    pub interval: Duration,
    /// Of the steps of a rotation.
    pub steps: RotationPace,
    /// Between two steps, so that messages have the store to themselves.
    pub pause: Duration,
}

/// What a keeper is put together from.
#[derive(Clone)]
pub struct KeeperParts {
    /// The store.
    pub store: Store,
    /// The store's vault.
    pub vault: Arc<Vault>,
    /// Where master keys come from.
    pub sources: KeySources,
    /// Whether a sandbox inside this daemon keeps its world under the oldest key.
    pub keeps_world: bool,
    /// How fast.
    pub pace: KeeperPace,
}

/// The keeper of keys.
pub struct KeyKeeper {
    parts: KeeperParts,
    woken: Notify,
}

impl KeyKeeper {
    /// A keeper, which does nothing before [`Self::watch`].
    #[must_use]
    pub fn new(parts: KeeperParts) -> Arc<Self> {
        Arc::new(Self { parts, woken: Notify::new() })
    }

    pub(super) const fn store(&self) -> &Store {
        &self.parts.store
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.parts.vault
    }

    pub(super) const fn sources(&self) -> &KeySources {
        &self.parts.sources
    }

    pub(super) const fn keeps_its_world(&self) -> bool {
        self.parts.keeps_world
    }

    /// Looks at once.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Watches for ever.
    pub async fn watch(self: Arc<Self>) {
        let mut said = None;
        loop {
            let trouble = match self.look().await {
                Ok(()) => self.carry_on().await.err().map(|error| error.to_string()),
                Err(fault) => Some(fault.to_string()),
            };
            // The same trouble is told once.
            if let Some(trouble) = trouble.as_ref().filter(|trouble| said.as_ref() != Some(*trouble)) {
                tracing::warn!(%trouble, "keys cannot be looked after");
            }
            said = trouble;
            tokio::select! {
                () = tokio::time::sleep(self.parts.pace.interval) => {}
                () = self.woken.notified() => {}
            }
        }
    }

    /// Reads the keyring anew, takes the store's sealing key into use and tells the other nodes.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let sources = self.parts.sources.clone();
        let read = tokio::task::spawn_blocking(move || sources.load()).await;
        let keyring = read.map_err(|error| Fault::Unavailable(error.to_string()))??;
        let changed = !keyring.ids().eq(self.vault().keyring().ids());
        if changed {
            let ids: Vec<String> = keyring.ids().map(|id| id.to_string()).collect();
            let lacks = |error| Fault::Conflict(format!("the keyring was changed and is not taken: {error}"));
            self.vault().replace_keyring(keyring).map_err(lacks)?;
            tracing::info!(keys = ids.join(" "), "the keyring has changed");
        }
        self.store().settle_master_key().await?;
        Ok(self.store().publish_keys().await?)
    }

    /// Takes the steps of the rotation that is under way, until it ends or has to wait.
    async fn carry_on(&self) -> Result<(), StoreError> {
        while let Some(rotation) = self.store().running_rotation().await? {
            match self.store().step_rotation(rotation.id, self.parts.pace.steps).await {
                Ok(Stepped::Onward) => tokio::time::sleep(self.parts.pace.pause).await,
                Ok(Stepped::Waiting) => return Ok(()),
                Ok(Stepped::Finished) => {
                    tracing::info!(rotation = %rotation.id, "a rotation of keys is finished");
                }
                Err(error) => {
                    self.store().note_rotation(rotation.id, Some(error.to_string())).await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
