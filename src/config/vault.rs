//! Section `vault`: where the master key may come from. `crypto` reads it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

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
}

impl VaultConfig {
    pub(super) fn check(&mut self, check: &mut Check<'_>, sources: &Sources) {
        check.refuse_if(
            self.master_key.is_some() && self.master_key_file.is_some(),
            "vault.master_key_file",
            "vault.master_key is given too: give one of the two",
        );
        self.credentials_directory = sources.environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    }
}
