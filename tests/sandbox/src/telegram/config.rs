//! Bounds of the data centre.

use std::time::Duration;

/// Every bound of one data centre. The defaults are generous for tests and harmless for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelegramConfig {
    /// Connections at a time; further ones are closed at once.
    pub max_connections: usize,
    /// Bytes of one packet; Telegram itself closes connections over about a megabyte.
    pub max_packet: usize,
    /// Packets that wait for one client; a client that falls behind further is cut.
    pub max_outgoing: usize,
    /// How long a connection may take to send its first packet.
    pub first_packet: Duration,
    /// Authorization keys.
    pub max_keys: usize,
    /// Entries kept in the log of each event sequence; a difference from before is too long.
    pub update_log: usize,
    /// Messages kept in each channel and in each user's private messages.
    pub history: usize,
    /// Ids of sends remembered per user, against repeats.
    pub random_ids: usize,
    /// Events in one `updates.getDifference` when the client names no bound.
    pub difference_page: usize,
    /// Events in one `updates.getChannelDifference`, whatever the client asks
    /// (core.telegram.org/method/updates.getChannelDifference: 10 to 100 for users).
    pub channel_page: usize,
    /// How long a client may wait before it asks for a channel's difference again.
    pub channel_timeout: Duration,
    /// Sign-ins that were begun and not ended.
    pub max_logins: usize,
    /// How long a sign-in code is good.
    pub code_lifetime: Duration,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_packet: 1024 * 1024,
            max_outgoing: 8192,
            first_packet: Duration::from_secs(30),
            max_keys: 16_384,
            update_log: 50_000,
            history: 100_000,
            random_ids: 100_000,
            difference_page: 500,
            channel_page: 100,
            channel_timeout: Duration::from_secs(300),
            max_logins: 1024,
            code_lifetime: Duration::from_secs(300),
        }
    }
}
