//! The platforms that the sandbox plays.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A platform with chats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Telegram, over MTProto.
    Telegram,
    /// Discord, over REST and the gateway.
    Discord,
    /// Telegram's Bot API, over HTTP.
    Bot,
}

impl Platform {
    /// The name used in URLs, JSON and file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Bot => "bot",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
