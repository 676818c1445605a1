//! Secrets at rest: master keys, data keys and the vault that seals rows with them; and where randomness comes from.

mod blob;
mod data_key;
mod key_sources;
mod keyring;
mod provider;
mod random;
mod vault;

pub use blob::Binding;
pub use data_key::{DataKey, KeyOwner, SystemKey, WrappedKey, sealing_key};
pub use key_sources::{CREDENTIAL_NAME, KEY_VARIABLE, KeySources, SANDBOX_KEYRING};
pub use keyring::{KeyId, Keyring, KeyringError};
pub use provider::install_ring_provider;
pub use random::SystemRng;
pub use vault::{Vault, VaultError};
