//! What users ask for, as it comes in. Unknown fields are refused.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::services::caller::Scope;
use crate::services::sensitive::Sensitive;

/// Somebody who registers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "email": "ann@example.org",
    "password": "correct horse battery staple",
    "locale": "en-GB"
}))]
pub struct RegisterOrder {
    /// E-mail address.
    #[schemars(example = "ann@example.org")]
    pub email: String,
    /// Password, 10 to 256 characters.
    pub password: Sensitive,
    /// Shown name.
    #[serde(default)]
    pub name: Option<String>,
    /// Language tag (BCP 47).
    #[serde(default)]
    #[schemars(example = "en-GB")]
    pub locale: Option<String>,
    /// Time zone: a name of the IANA database, such as `Europe/London`.
    #[serde(default)]
    #[schemars(example = "Europe/London")]
    pub time_zone: Option<String>,
}

/// Somebody who signs in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserLoginOrder")]
#[schemars(example = serde_json::json!({
    "email": "ann@example.org",
    "password": "correct horse battery staple"
}))]
pub struct LoginOrder {
    /// E-mail address.
    #[schemars(example = "ann@example.org")]
    pub email: String,
    /// Password.
    pub password: Sensitive,
    /// One-time code or recovery code, where codes are asked for.
    #[serde(default)]
    pub code: Option<Sensitive>,
}

/// Fields of a profile to be changed: what is not named stays, `null` clears.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "Ann", "time_zone": "Europe/London" }))]
pub struct ProfileChange {
    /// Shown name.
    #[serde(default, deserialize_with = "named")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Option<String>>,
    /// Language tag (BCP 47).
    #[serde(default, deserialize_with = "named")]
    #[schemars(with = "Option<String>")]
    pub locale: Option<Option<String>>,
    /// Time zone: a name of the IANA database, such as `Europe/London`.
    #[serde(default, deserialize_with = "named")]
    #[schemars(with = "Option<String>")]
    pub time_zone: Option<Option<String>>,
}

/// Tells `null` from a field that is not there.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// An API key to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "name": "nightly export", "scopes": ["pairs:read", "deliveries:read"]
}))]
pub struct ApiKeyOrder {
    /// What its owner calls it.
    #[schemars(example = "nightly export")]
    pub name: String,
    /// What it is for: at least one.
    #[schemars(length(min = 1))]
    pub scopes: BTreeSet<Scope>,
    /// From when on it does not count; none: until it is revoked.
    #[serde(default, deserialize_with = "crate::services::moment::given")]
    pub expires_at: Option<DateTime<Utc>>,
}
