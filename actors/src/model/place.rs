//! Where messages live: platforms, chats, threads and message ids.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A messaging platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Telegram, over MTProto.
    Telegram,
    /// Discord, over REST and gateway.
    Discord,
}

impl Platform {
    /// The name in API, store and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "telegram" => Ok(Self::Telegram),
            "discord" => Ok(Self::Discord),
            _ => Err(ParsePlaceError::Platform(text.to_owned())),
        }
    }
}

/// Why a place could not be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParsePlaceError {
    /// Not a platform's name.
    #[error("unknown platform {0:?}: expected \"telegram\" or \"discord\"")]
    Platform(String),
    /// Not a decimal number, or zero.
    #[error("{what} {text:?} is not a platform id: expected a decimal number other than zero")]
    Number {
        /// Which kind of id.
        what: &'static str,
        /// What was given.
        text: String,
    },
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(inline, extend("pattern" = "^-?[0-9]{1,19}$"))]
        pub struct $name(#[schemars(with = "String")] i64);

        impl $name {
            /// Wraps a platform's number.
            ///
            /// # Errors
            /// Zero names nothing on either platform.
            pub fn new(value: i64) -> Result<Self, ParsePlaceError> {
                if value == 0 {
                    return Err(ParsePlaceError::Number { what: $what, text: "0".to_owned() });
                }
                Ok(Self(value))
            }

            /// The platform's number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = ParsePlaceError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let wrong = |_: ParseIntError| ParsePlaceError::Number { what: $what, text: text.to_owned() };
                Self::new(text.parse().map_err(wrong)?)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParsePlaceError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

number_id!(
    /// A chat. Telegram: the dialog id in the Bot API's form (users positive, basic groups negative, channels and
    /// supergroups `-100…`; core.telegram.org/api/bots/ids). Discord: the channel's snowflake. In JSON a string.
    ChatId,
    "chat"
);
number_id!(
    /// A thread: Telegram forum topic or Discord thread channel.
    ThreadId,
    "thread"
);
number_id!(
    /// A message inside its chat. Both platforms number upwards in time. In JSON a string.
    MessageId,
    "message"
);

/// A chat of a platform, or a thread in it: one end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The platform.
    pub platform: Platform,
    /// The chat.
    pub chat: ChatId,
    /// The thread, where only that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_only_by_parsing() {
        assert_eq!("-1001000000001".parse::<ChatId>().unwrap().get(), -1_001_000_000_001);
        assert_eq!(
            "12x".parse::<MessageId>().unwrap_err().to_string(),
            "message \"12x\" is not a platform id: expected a decimal number other than zero"
        );
        assert!(serde_json::from_str::<ChatId>("\"0\"").is_err());
        assert_eq!(serde_json::to_string(&ChatId::new(7).unwrap()).unwrap(), "\"7\"");
    }
}
