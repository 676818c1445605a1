//! Section `vault`: where the master key may come from. `crypto` reads it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::layers::Sources;
use super::secret::{self, Secret};
use super::units;

/// The vault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// The master key itself.
    #[serde(deserialize_with = "secret::maybe")]
    pub master_key: Option<Secret>,
    /// Keyring file, outside the data folder. Not read here: it may hold older keys beside the active one.
    #[serde(deserialize_with = "units::path")]
    pub master_key_file: Option<PathBuf>,
    /// Folder in which systemd hands over credentials (`$CREDENTIALS_DIRECTORY`, systemd.io/CREDENTIALS).
    #[serde(skip)]
    pub credentials_directory: Option<PathBuf>,
    /// Users' data keys kept unwrapped in memory.
    pub data_keys_cached: NonZeroUsize,
    /// How long one is used before the store is asked again.
    #[serde(deserialize_with = "units::positive")]
    pub data_key_ttl: Duration,
    /// Between two looks at the keyring's file and the sealing key.
    #[serde(deserialize_with = "units::positive")]
    pub watch_interval: Duration,
    /// How long a deep rotation waits for other nodes between its parts.
    #[serde(deserialize_with = "units::positive")]
    pub key_grace: Duration,
    /// Keys or rows of one step of a rotation.
    pub rotation_batch: NonZeroU32,
    /// Pause between two steps of a rotation.
    #[serde(deserialize_with = "units::positive")]
    pub rotation_pause: Duration,
}

impl VaultConfig {
    pub(super) fn check(&mut self, check: &mut Check<'_>, sources: &Sources) {
        check.refuse_if(
            self.master_key.is_some() && self.master_key_file.is_some(),
            "vault.master_key_file",
            "vault.master_key is given too: give one of the two",
        );
        check.refuse_if(
            self.key_grace <= self.data_key_ttl,
            "vault.key_grace",
            "it must be longer than vault.data_key_ttl: a node may still seal with a key that goes",
        );
        self.credentials_directory = sources.environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    }
}
