//! A text that callers hand in or are given and that nobody else sees: tokens, codes, passwords, sign-in links.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sensitive text. On the wire it is a string; in logs and errors it is nothing.
#[derive(Clone)]
pub struct Sensitive(SecretString);

impl Sensitive {
    /// Longest text that is taken, in bytes: the longest of them, a session string, has some 370.
    pub const LENGTH_MAX: usize = 4_096;

    /// The text, for the one who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The text as it is handed on.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl JsonSchema for Sensitive {
    fn schema_name() -> Cow<'static, str> {
        "Sensitive".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "password",
            "minLength": 1,
            "maxLength": Self::LENGTH_MAX,
            "description": "A secret: never shown again, never logged.",
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl From<SecretString> for Sensitive {
    fn from(text: SecretString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Sensitive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    /// The usual error for a wrong type shows the value; these do not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |text: &str| serde::de::Error::custom(text);
        let too_long = format!("it must not be longer than {} bytes", Self::LENGTH_MAX);
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) if text.trim().is_empty() => Err(wrong("it must not be empty")),
            serde_json::Value::String(text) if text.len() > Self::LENGTH_MAX => Err(wrong(&too_long)),
            serde_json::Value::String(text) => Ok(Self(SecretString::from(text.trim()))),
            _ => Err(wrong("it must be a text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_shows_what_was_given() {
        for given in ["4711", "{\"a\":4711}", "[4711]", "\" \"", &format!("\"{}\"", "4711".repeat(2_000))] {
            let error = serde_json::from_str::<Sensitive>(given).unwrap_err().to_string();
            assert!(!error.contains("4711"), "{error}");
        }
        let kept: Sensitive = serde_json::from_str("\" 4711\\n\"").unwrap();
        assert_eq!((kept.expose(), format!("{kept:?}").as_str()), ("4711", "[redacted]"));
    }
}
