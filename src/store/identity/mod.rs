//! Users as people who sign in: what they are known by, their sign-ins, keys, codes and failures, and their end.

mod erasure;
mod export;
mod failures;
mod keys;
mod people;
mod resets;
mod sessions;
mod totp;

use std::str::FromStr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::error::unreadable;
use super::sealing::{open_secret, seal_secret};
use crate::crypto::DataKey;

pub use erasure::Dying;
pub use export::{EXPORTED, ExportSection, Kind, Owned};
pub use failures::{Attempt, AttemptLimit};
pub use keys::{ApiKeyDetails, ApiKeyRow, KeyHolder, NewApiKey};
pub use people::{NewPerson, Person};
pub use sessions::{Access, Device, NewSession, Rotation, SessionRow};
pub use totp::TotpRow;

/// Where sealed things of users lie.
const PROFILE: (&str, &str) = ("users", "profile");
const PASSWORD: (&str, &str) = ("users", "password");

/// What a user says of themselves. Sealed as a whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// E-mail address as it was typed.
    pub email: String,
    /// Shown name.
    pub name: Option<String>,
    /// Language tag (BCP 47).
    pub locale: Option<String>,
    /// Name of a time zone (IANA).
    pub time_zone: Option<String>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profile([redacted])")
    }
}

/// What a user may do at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// Everything that is theirs.
    Active,
    /// See, but not change.
    Suspended,
    /// Nothing: they are being erased.
    Deleting,
}

impl UserState {
    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }
}

impl FromStr for UserState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Active, Self::Suspended, Self::Deleting]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state of a user {text:?}"))
    }
}

fn user_row(user: UserId) -> [u8; 16] {
    *user.as_uuid().as_bytes()
}

/// Seals a value as JSON.
fn seal_json<T: Serialize>(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: Uuid,
    value: &T,
) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec(value).map_err(|failure| unreadable(place.0, failure))?;
    seal_secret(key, place, row.as_bytes(), &SecretSlice::from(text))
}

fn open_json<T: for<'de> Deserialize<'de>>(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: Uuid,
    blob: &[u8],
) -> Result<T, StoreError> {
    let text = open_secret(key, place, row.as_bytes(), blob)?;
    serde_json::from_slice(text.expose_secret()).map_err(|failure| unreadable(place.0, failure))
}

fn seal_text(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: &[u8],
    text: &SecretString,
) -> Result<Vec<u8>, StoreError> {
    let bytes = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
    seal_secret(key, place, row, &bytes)
}

fn open_text(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: &[u8],
    blob: &[u8],
) -> Result<SecretString, StoreError> {
    let bytes = open_secret(key, place, row, blob)?;
    let text = std::str::from_utf8(bytes.expose_secret()).map_err(|failure| unreadable(place.0, failure))?;
    Ok(SecretString::from(text))
}
