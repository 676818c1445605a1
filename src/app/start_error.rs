//! Why a daemon could not be started.

use std::net::SocketAddr;

use switchyard_actors::ports::StoreError;
use switchyard_actors::tree::{FailpointError, RootError};
use thiserror::Error;

use crate::adapters::discord::DiscordError;
use crate::crypto::KeyringError;
use crate::http::TlsError;
use crate::services::sandbox::AttachError;
use crate::store::{LockError, MasterKeyError, OpenError, OwnerError};

/// Why a daemon could not be started. The command line chooses the exit code by the variant.
#[derive(Debug, Error)]
pub enum StartError {
    /// The API's port cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data folder is not to be had.
    #[error(transparent)]
    DataDir(#[from] LockError),
    /// There is no master key.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The certificate cannot be used.
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
    /// The store cannot be opened or migrated.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store is somebody else's.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The store's master key is not on the keyring.
    #[error("{0}")]
    MasterKey(MasterKeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plans do not fit together.
    #[error("plans: {0}")]
    Plans(String),
    /// The failpoints are wrong, or not allowed here.
    #[error("SWITCHYARD_FAILPOINTS: {0}")]
    Failpoints(#[from] FailpointError),
    /// Failpoints outside the sandbox.
    #[error("SWITCHYARD_FAILPOINTS is for the sandbox only: start with --sandbox, or unset it")]
    FailpointsOutsideSandbox,
    /// No sandbox there.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The embedded sandbox cannot start.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Sandbox(#[from] switchyard_sandbox::SandboxError),
    /// Built without a sandbox.
    #[error("this build has no sandbox of its own: name one by --sandbox=URL")]
    NoSandbox,
    /// Discord's client cannot be made.
    #[error(transparent)]
    Discord(#[from] DiscordError),
    /// The tree cannot be built.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A client cannot be made, a file cannot be written.
    #[error("{what}: {error}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the system says.
        error: String,
    },
}
