//! Section `discord`: where the API is, and its timeouts.

use std::num::NonZeroUsize;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use super::check::Check;
use super::units::{self, ByteSize};

/// Discord.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// Base of the API without its version. Never left for another one when it fails.
    pub api_base: String,
    /// Longest time to connect and sign in.
    #[serde(deserialize_with = "units::positive")]
    pub connect_timeout: Duration,
    /// Longest time for the answer to a request.
    #[serde(deserialize_with = "units::positive")]
    pub request_timeout: Duration,
    /// How long after a send its nonce is trusted to stop a repeat; later the channel is looked at first.
    #[serde(deserialize_with = "units::positive")]
    pub nonce_life: Duration,
    /// How far back a look at the channel begins before the send in question: clocks differ.
    #[serde(deserialize_with = "units::positive")]
    pub look_margin: Duration,
    /// Pages of 100 messages that a look reads at most.
    pub look_pages_max: u32,
    /// Wait after a refusal that names none: what the proxy before the API shows a blocked address.
    #[serde(deserialize_with = "units::positive")]
    pub block_wait: Duration,
    /// Longest answer that is read.
    pub answer_max: ByteSize,
    /// Between two identifications of one bot.
    #[serde(deserialize_with = "units::positive")]
    pub identify_gap: Duration,
    /// Identifications of the day that are left unused.
    pub identify_reserve: u64,
    /// Words, separated by commas, that no author's name may have under which a webhook writes.
    pub author_names_refused: String,
    /// Gateway events of one bot that wait to be recorded.
    pub events_capacity: NonZeroUsize,
    /// Live events in one unit of intake.
    pub events_per_unit: NonZeroUsize,
    /// Calls of one bot that read history at the same time.
    pub history_calls: NonZeroUsize,
    /// Between two calls of one bot that read history.
    #[serde(deserialize_with = "units::positive")]
    pub history_interval: Duration,
    /// Until history is asked for again after a failure that passes.
    #[serde(deserialize_with = "units::positive")]
    pub history_retry: Duration,
    /// Until a source channel is asked for again that the bot may not read.
    #[serde(deserialize_with = "units::positive")]
    pub source_retry: Duration,
    /// Messages of each source channel that are read again after connecting, for edits and deletions; 0: none.
    pub reread_messages: usize,
    /// Edits that are older than this are not looked for.
    #[serde(deserialize_with = "units::positive")]
    pub reread_age: Duration,
    /// Names of channels and of roles kept in memory per bot.
    pub names_max: usize,
    /// Until a bot whose message content intent is off is looked at again.
    #[serde(deserialize_with = "units::positive")]
    pub intent_retry: Duration,
    /// How long the list of an account's chats is good.
    #[serde(deserialize_with = "units::positive")]
    pub chats_age_max: Duration,
    /// Servers whose channels are asked for when a bot's chats are listed.
    pub chats_guilds_max: usize,
    /// Whether proxies of accounts may stand in private networks: `limits.private_targets`, and always in a sandbox.
    #[serde(skip)]
    pub private_proxies: bool,
}

/// The most that Discord gives in one answer.
const REREAD_MAX: usize = 100;
/// Discord's own address: what config.toml names.
const PUBLIC: &str = "https://discord.com";

impl DiscordConfig {
    /// Points at a sandbox, unless another base is configured: beside a sandbox the public one is never called.
    pub fn use_sandbox(&mut self, api_base: &str) {
        self.private_proxies = true;
        if self.api_base == PUBLIC {
            api_base.clone_into(&mut self.api_base);
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        if let Err(reason) = web_address(&self.api_base) {
            check.refuse("discord.api_base", reason);
        }
        let wrong = self.reread_messages > REREAD_MAX;
        check.refuse_if(wrong, "discord.reread_messages", "it must be from 0 to 100");
    }
}

/// An address to which a token may be sent: by TLS, or to this machine.
pub(super) fn web_address(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "it is not a web address")?;
    let local = url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => {
            Err("it must begin with https:// unless it is on this machine: a token would go in plain text")
        }
        _ => Err("it must begin with https:// or http://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for address in
            ["https://discord.com", "http://127.0.0.1:80", "http://[::1]:80/x", "http://localhost:1"]
        {
            assert_eq!(web_address(address), Ok(()), "{address}");
        }
        for address in [
            "http://discord.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "discord.com",
            "",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(web_address(address).is_err(), "{address}");
        }
    }
}
