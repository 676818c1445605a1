//! What users are shown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_actors::model::{ApiKeyId, LoginSessionId, UserId};

use crate::services::caller::Scope;
use crate::services::sensitive::Sensitive;
use crate::store::identity::UserState;

/// What lets a user's program in: a token for every request, and one that renews it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenPair {
    /// The sign-in.
    pub session: LoginSessionId,
    /// For `Authorization: Bearer …`.
    pub access_token: Sensitive,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds for which the access token counts.
    pub expires_in: u64,
    /// Exchanged once for a new pair. One that is used twice ends the sign-in.
    pub refresh_token: Sensitive,
    /// Until when the refresh token counts.
    pub refresh_expires_at: DateTime<Utc>,
}

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileView {
    /// The user.
    pub id: UserId,
    /// E-mail address; none of users that the operator made.
    pub email: Option<String>,
    /// Shown name.
    pub name: Option<String>,
    /// Language tag (BCP 47).
    pub locale: Option<String>,
    /// Time zone (IANA).
    pub time_zone: Option<String>,
    /// What the user may do at all.
    pub state: UserState,
    /// Why the user is suspended.
    pub state_reason: Option<String>,
    /// Whether one-time codes are asked for.
    pub totp: bool,
    /// Recovery codes that are left.
    pub recovery_codes_left: u64,
    /// Since when the user is here.
    pub created_at: DateTime<Utc>,
    /// Grows with every change; the `ETag` of the answer.
    pub version: i64,
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// The sign-in.
    pub id: LoginSessionId,
    /// Whether it is the one that asks.
    pub present: bool,
    /// From which address it came.
    pub address: Option<String>,
    /// What the program said of itself.
    pub agent: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute or so.
    pub last_used_at: DateTime<Utc>,
    /// Until when, unless it is used.
    pub expires_at: DateTime<Utc>,
}

/// What goes into an authenticator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TotpEnrolment {
    /// The secret in base 32.
    pub secret: Sensitive,
    /// The same as `otpauth://` address, for a QR code.
    pub url: Sensitive,
}

/// Codes that stand in for a lost authenticator, each once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodes {
    /// The codes. They are shown this once.
    pub recovery_codes: Vec<Sensitive>,
}

/// An API key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyView {
    /// The key's id.
    pub id: ApiKeyId,
    /// What its owner calls it.
    pub name: String,
    /// Its first letters.
    pub begins: String,
    /// What it is for.
    pub scopes: BTreeSet<Scope>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// From when on it does not count.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// An API key that was made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyMade {
    /// The key itself, for `X-Api-Key`. It is shown this once.
    pub secret: Sensitive,
    /// What is known of it.
    pub key: ApiKeyView,
}

/// Everything that is kept of a user.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The profile.
    pub profile: ProfileView,
    /// Sign-ins.
    pub sessions: Vec<SessionView>,
    /// API keys, without the keys.
    pub api_keys: Vec<ApiKeyView>,
    /// Everything else, by kind.
    pub sections: BTreeMap<String, ExportedSection>,
}

/// One kind of things in an export, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExportedSection {
    /// The things.
    pub items: Vec<Value>,
    /// Whether there are older ones that did not fit.
    pub truncated: bool,
}
