//! A configured secret: shown to nobody, read from a key or from the file that its `_file` twin names.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// A secret text, never empty.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a text; `None` for an empty one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(SecretString::from(text)))
    }

    /// The text itself, for the one who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first line of a file, without its end.
    ///
    /// # Errors
    /// A sentence without the content: the file cannot be read, or it is empty.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))?;
        Self::new(text.lines().next().unwrap_or_default().trim())
            .ok_or_else(|| format!("the file {} is empty", path.display()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// For `deserialize_with`: a secret, of which `""` means that there is none.
pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Secret::new(&String::deserialize(deserializer)?))
}
