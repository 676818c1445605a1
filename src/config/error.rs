//! What is wrong with a configuration: one sentence per key, with the layer it came from.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// One key at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `http.listen`.
    pub key: String,
    /// Where its value came from, such as `environment variable SWITCHYARD_HTTP__LISTEN`.
    pub layer: String,
    /// What is wrong, never with a secret in it.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): {}", self.key, self.layer, self.reason)
    }
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file given by `--config` cannot be read.
    #[error("configuration file {} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
    /// A layer is not TOML.
    #[error("{layer} is not valid TOML: {reason}")]
    Syntax {
        /// The layer.
        layer: String,
        /// Where and why.
        reason: String,
    },
    /// Keys that are unknown, of a wrong type, or dangerous.
    #[error("configuration is refused: {}", join(.0))]
    Refused(Vec<Fault>),
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl ConfigError {
    /// The keys at fault, none when a whole layer is.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Refused(faults) => faults,
            Self::Unreadable { .. } | Self::Syntax { .. } => &[],
        }
    }
}
