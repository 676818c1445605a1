//! Collects what is dangerous or impossible in values that were read well.

use std::path::PathBuf;

use figment::Figment;

use super::error::{ConfigError, Fault};
use super::secret::Secret;

/// Faults found so far, and the layers, so that each is named with its fault.
pub(super) struct Check<'a> {
    figment: &'a Figment,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    pub(super) const fn new(figment: &'a Figment) -> Self {
        Self { figment, faults: Vec::new() }
    }

    /// Refuses the key's value when `wrong`.
    pub(super) fn refuse_if(&mut self, wrong: bool, key: &str, reason: impl Into<String>) {
        if wrong {
            self.refuse(key, reason);
        }
    }

    /// Refuses the key's value.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.faults.push(Fault { key: key.to_owned(), layer: self.layer(key), reason: reason.into() });
    }

    /// Reads a secret from its twin's file, unless the key itself gives it; both is one too many.
    pub(super) fn secret(&mut self, key: &str, value: &mut Option<Secret>, file: Option<&PathBuf>) {
        let twin = format!("{key}_file");
        match (&value, file) {
            (_, None) => {}
            (Some(_), Some(_)) => self.refuse(&twin, format!("{key} is given too: give one of the two")),
            (None, Some(path)) => match Secret::read(path) {
                Ok(secret) => *value = Some(secret),
                Err(reason) => self.refuse(&twin, reason),
            },
        }
    }

    /// The layer that set the key.
    pub(super) fn layer(&self, key: &str) -> String {
        self.figment
            .find_metadata(key)
            .map_or_else(|| "the compiled-in config.toml".to_owned(), |metadata| metadata.name.to_string())
    }

    /// # Errors
    /// [`ConfigError::Refused`] with every fault found.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigError::Refused(self.faults)) }
    }
}
