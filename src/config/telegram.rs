//! Section `telegram`: the application under which user and bot sessions sign in, and their timeouts.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
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
    /// Between two pings; one that stays unanswered for `request_timeout` ends the connection.
    #[serde(deserialize_with = "units::positive")]
    pub ping_interval: Duration,
    /// Before a channel's difference is asked for again after the server could not give it.
    #[serde(deserialize_with = "units::positive")]
    pub difference_retry: Duration,
    /// How much later positions are recorded that move without an event.
    #[serde(deserialize_with = "units::positive")]
    pub cursor_interval: Duration,
    /// Between two pages of history.
    #[serde(deserialize_with = "units::positive")]
    pub history_interval: Duration,
    /// Messages in a page of history.
    pub history_page: i32,
    /// Steps of one channel difference.
    pub channel_difference_limit: i32,
    /// Events of a chat that are read back to find the id of a message that Telegram says it has.
    pub sent_lookback: i32,
    /// Chats that one request asks for.
    pub chats_per_request: NonZeroUsize,
    /// Pages of dialogs that are read to find source chats whose access hash is not known.
    pub dialog_pages_max: u32,
    /// Update containers that wait to be recorded.
    pub updates_capacity: NonZeroUsize,
    /// Live events in one unit of intake.
    pub events_per_unit: NonZeroUsize,
    /// Names of people and chats kept in memory per account.
    pub names_max: usize,
    /// Whether the server itself signs people in by telephone number and code. `auto`: in a sandbox only.
    pub server_login: ServerLogin,
    /// How long the list of an account's chats is good.
    #[serde(deserialize_with = "units::positive")]
    pub chats_age_max: Duration,
    /// Whether proxies of accounts may stand in private networks: `limits.private_targets`, and always in a sandbox.
    #[serde(skip)]
    pub private_proxies: bool,
}

/// Whether the server signs people in by telephone number: their code and password then pass through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerLogin {
    /// In a sandbox.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Before this the server hangs up on a client that is silent: the takeover of a session relies on it.
const PING_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The most that Telegram gives a user in one answer.
const PAGE_MAX: i32 = 100;

impl TelegramConfig {
    /// Points at a sandbox, unless another address is configured, under the application that it names.
    pub fn use_sandbox(&mut self, address: SocketAddr, api_id: i32, api_hash: &str) {
        self.address.get_or_insert(address);
        self.private_proxies = true;
        self.api_id = api_id;
        self.api_hash = Secret::new(api_hash);
    }

    pub(super) fn check(&mut self, check: &mut Check<'_>) {
        check.secret("telegram.api_hash", &mut self.api_hash, self.api_hash_file.as_ref());
        check.refuse_if(self.api_id < 0, "telegram.api_id", "it must not be negative");
        check.refuse_if(self.device.trim().is_empty(), "telegram.device", "it must not be empty");
        check.refuse_if(
            self.ping_interval > PING_INTERVAL_MAX,
            "telegram.ping_interval",
            "it must be at most \"60s\": the server hangs up after 75 s of silence",
        );
        for (key, value) in [
            ("telegram.history_page", self.history_page),
            ("telegram.channel_difference_limit", self.channel_difference_limit),
            ("telegram.sent_lookback", self.sent_lookback),
        ] {
            check.refuse_if(!(1..=PAGE_MAX).contains(&value), key, "it must be from 1 to 100");
        }
        let chats = self.chats_per_request.get();
        check.refuse_if(chats > 100, "telegram.chats_per_request", "it must be from 1 to 100");
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let expected = "an address with its port, such as 127.0.0.1:443";
    units::text(deserializer)?
        .map(|text| text.parse().map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &expected)))
        .transpose()
}
