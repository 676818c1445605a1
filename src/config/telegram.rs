//! Section `telegram`: the application under which user and bot sessions sign in, and their timeouts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::check::Check;
use super::secret::{self, Secret};
use super::units;

/// Telegram.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The application's id from my.telegram.org; 0 means that there is none.
    pub api_id: i32,
    /// The application's hash.
    #[serde(deserialize_with = "secret::maybe")]
    pub api_hash: Option<Secret>,
    /// File that holds the hash.
    #[serde(deserialize_with = "units::path")]
    pub api_hash_file: Option<PathBuf>,
    /// Name of the device, as the account's owner sees it in the list of sessions.
    pub device: String,
    /// A data centre to use instead of Telegram's own.
    #[serde(deserialize_with = "address")]
    pub address: Option<SocketAddr>,
    /// Longest time to connect and sign in.
    #[serde(deserialize_with = "units::positive")]
    pub connect_timeout: Duration,
    /// Longest time for the answer to a request.
    #[serde(deserialize_with = "units::positive")]
    pub request_timeout: Duration,
    /// After this long without an update the account's differences are asked for.
    #[serde(deserialize_with = "units::positive")]
    pub difference_interval: Duration,
}

impl TelegramConfig {
    pub(super) fn check(&mut self, check: &mut Check<'_>) {
        check.secret("telegram.api_hash", &mut self.api_hash, self.api_hash_file.as_ref());
        check.refuse_if(self.api_id < 0, "telegram.api_id", "it must not be negative");
        check.refuse_if(self.device.trim().is_empty(), "telegram.device", "it must not be empty");
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let expected = "an address with its port, such as 127.0.0.1:443";
    units::text(deserializer)?
        .map(|text| text.parse().map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &expected)))
        .transpose()
}
