//! Master keys and rotations, as an operator sees and orders them.

mod keeper;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

pub use keeper::{KeeperPace, KeeperParts, KeyKeeper};
pub use view::{KeyListing, KeyName, MasterKeyItem, RetiredKey, RotateOrder, RotationView};

use super::fault::Fault;
use crate::crypto::{KeyId, KeyringError};
use crate::store::{MasterKeyError, MasterKeyState, RotationKind, RotationRefused};

/// What can be done with keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The master keys and the last rotation.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]
    async fn list(&self) -> Result<KeyListing, Fault>;

    /// Makes a master key and puts it first into the keyring's file. Nothing is wrapped by it yet.
    ///
    /// # Errors
    /// [`Fault::Conflict`] where the keyring is no file that this daemon may write.
    async fn add(&self) -> Result<MasterKeyItem, Fault>;

    /// Begins a rotation. Without a key named, to the first of the keyring.
    ///
    /// # Errors
    /// [`Fault::Conflict`] while one is under way, or when a running node lacks the key; [`Fault::Invalid`] for a key that
    /// nobody has.
    async fn rotate(&self, order: RotateOrder) -> Result<RotationView, Fault>;

    /// How a rotation stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`]
    async fn rotation(&self, id: Uuid) -> Result<RotationView, Fault>;

    /// Gives a master key up, and takes it out of the keyring's file.
    ///
    /// # Errors
    /// [`Fault::Conflict`] while anything is wrapped by it or a node seals with it; [`Fault::NotFound`]
    async fn retire(&self, id: KeyName) -> Result<RetiredKey, Fault>;
}

impl From<MasterKeyError> for Fault {
    fn from(error: MasterKeyError) -> Self {
        match error {
            MasterKeyError::Store(error) => error.into(),
            MasterKeyError::Unknown(id) => Self::NotFound(format!("master key {id}")),
            other => Self::Conflict(other.to_string()),
        }
    }
}

impl From<RotationRefused> for Fault {
    fn from(error: RotationRefused) -> Self {
        let text = error.to_string();
        match error {
            RotationRefused::Store(error) => error.into(),
            RotationRefused::Unknown(_) => Self::invalid("/to", text),
            RotationRefused::Running(_) | RotationRefused::Retired(_) | RotationRefused::NodeLacks { .. } => {
                Self::Conflict(text)
            }
        }
    }
}

impl From<KeyringError> for Fault {
    fn from(error: KeyringError) -> Self {
        Self::Conflict(error.to_string())
    }
}

#[async_trait]
impl Keys for KeyKeeper {
    async fn list(&self) -> Result<KeyListing, Fault> {
        let ring: Vec<KeyId> = self.vault().keyring().ids().collect();
        let mut keys: Vec<MasterKeyItem> =
            self.store().master_keys().await?.into_iter().map(MasterKeyItem::from).collect();
        // In the order of the keyring; what is not on it comes last.
        keys.sort_by_key(|item| ring.iter().position(|id| *id == item.id.0).unwrap_or(usize::MAX));
        let rotation = self.store().latest_rotation().await?.map(RotationView::from);
        let file = self.sources().writable_file().map(|file| file.display().to_string());
        Ok(KeyListing { sealing: KeyName(self.vault().sealing()), file, keys, rotation })
    }

    async fn add(&self) -> Result<MasterKeyItem, Fault> {
        let id = self.sources().add()?;
        self.look().await?;
        let views = self.store().master_keys().await?;
        let view = views.into_iter().find(|view| view.id == id);
        let view = view.ok_or_else(|| Fault::Unavailable("the keyring has changed meanwhile".to_owned()))?;
        tracing::info!(key = %id, "a master key was added to the keyring");
        Ok(view.into())
    }

    async fn rotate(&self, order: RotateOrder) -> Result<RotationView, Fault> {
        self.look().await?;
        let target = match (order.to, order.deep) {
            (Some(KeyName(id)), _) => id,
            (None, true) => self.vault().sealing(),
            (None, false) => self.first_of_use().await?,
        };
        let kind = if order.deep { RotationKind::Deep } else { RotationKind::Wrap };
        if order.deep && target != self.vault().sealing() {
            let detail = "a deep rotation keeps the master key: rotate to the new one first, then deep";
            return Err(Fault::invalid("/to", detail));
        }
        let rotation = self.store().begin_rotation(kind, target).await?;
        tracing::info!(rotation = %rotation.id, kind = kind.as_str(), key = %target, "a rotation of keys begins");
        self.wake();
        Ok(rotation.into())
    }

    async fn rotation(&self, id: Uuid) -> Result<RotationView, Fault> {
        let found = self.store().rotation(id).await?;
        found.map(RotationView::from).ok_or_else(|| Fault::NotFound(format!("rotation {id}")))
    }

    async fn retire(&self, id: KeyName) -> Result<RetiredKey, Fault> {
        let KeyName(key) = id;
        if self.keeps_its_world() && self.vault().keyring().oldest_id() == key {
            let why = "the sandbox's world is sealed by its oldest key, which stays";
            return Err(Fault::Conflict(why.to_owned()));
        }
        self.store().retire_master_key(key).await?;
        let file: Option<PathBuf> = self.sources().remove(key)?;
        self.look().await?;
        tracing::info!(%key, "a master key was retired");
        Ok(RetiredKey { id, file: file.map(|file| file.display().to_string()) })
    }
}

impl KeyKeeper {
    /// The first key of the keyring that was not given up.
    async fn first_of_use(&self) -> Result<KeyId, Fault> {
        let views = self.store().master_keys().await?;
        let retired =
            |id: &KeyId| views.iter().any(|view| view.id == *id && view.state == MasterKeyState::Retired);
        let keyring: Arc<_> = self.vault().keyring();
        let first = keyring.ids().find(|id| !retired(id));
        first.ok_or_else(|| Fault::Conflict("every key of the keyring is retired: add one".to_owned()))
    }
}
