//! Secrets at rest: master keys, data keys and the vault that seals rows with them; passwords, one-time codes and tokens by
//! which people and programs are known; and where randomness comes from.

mod blob;
mod data_key;
mod jwt;
mod key_sources;
mod keyring;
mod lookup;
mod password;
mod provider;
mod random;
mod sealed_box;
mod token;
mod totp;
mod vault;

pub use blob::Binding;
pub use data_key::{DataKey, KeyOwner, SystemKey, WrappedKey, sealing_key};
pub use jwt::{AccessClaims, AccessTokens, Audience, JwtFault};
pub use key_sources::{CREDENTIAL_NAME, KEY_VARIABLE, KeySources, SANDBOX_KEYRING};
pub use keyring::{KeyId, Keyring, KeyringError};
pub use lookup::{LookupKey, Tag};
pub use password::{PasswordError, PasswordParams, PasswordVerdict, Passwords};
pub use provider::install_ring_provider;
pub use random::SystemRng;
pub use sealed_box::{PUBLIC_KEY_LEN, SealedBox, SealedBoxError, UploadKey, key_id, seal};
pub use token::{RefreshToken, Token, TokenKind};
pub use totp::{Enrolment, RecoveryCode, Totp, TotpError};
pub use vault::{Vault, VaultError};
