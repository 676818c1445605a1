//! What is asked about the staff, and the forms of e-mail addresses and passwords.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use crate::services::caller::Role;
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;

/// Longest address (RFC 5321, section 4.5.3.1.3, without the brackets), in bytes.
const EMAIL_MAX: usize = 254;
/// Least and most characters of a password.
const PASSWORD_MIN: usize = 12;
const PASSWORD_MAX: usize = 256;

/// An admin comes in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminLoginOrder")]
#[schemars(example = serde_json::json!({
    "email": "ada@example.org",
    "password": "correct horse battery staple"
}))]
pub struct LoginOrder {
    /// E-mail address.
    #[schemars(length(min = 3, max = 254), example = "ada@example.org")]
    pub email: String,
    /// Password.
    #[schemars(with = "String")]
    pub password: Sensitive,
    /// The code that the authenticator shows, where one is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub code: Option<Sensitive>,
}

/// A refresh token, to be exchanged or ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminRefreshOrder")]
#[schemars(example = serde_json::json!({ "refresh_token": "the token of the last answer" }))]
pub struct RefreshOrder {
    /// The token.
    #[schemars(with = "String")]
    pub refresh_token: Sensitive,
}

/// A first one-time code.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AdminCodeOrder")]
#[schemars(example = serde_json::json!({ "code": "123456" }))]
pub struct CodeOrder {
    /// The code that the authenticator shows.
    #[schemars(with = "String")]
    pub code: Sensitive,
}

/// A new admin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "email": "ada@example.org",
    "password": "correct horse battery staple",
    "role": "support"
}))]
pub struct AdminOrder {
    /// E-mail address.
    #[schemars(length(min = 3, max = 254), example = "ada@example.org")]
    pub email: String,
    /// Password, 12 to 256 characters.
    #[schemars(with = "String", length(min = 12, max = 256))]
    pub password: Sensitive,
    /// What they are for.
    pub role: Role,
}

/// What is to change about an admin; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "role": "content" }))]
pub struct AdminChangeOrder {
    /// Another role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether they may sign in. Disabling ends their sign-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AdminState>,
    /// Another password, 12 to 256 characters. Ends their sign-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub password: Option<Sensitive>,
    /// Takes the authenticator away, for one who lost it. Ends their sign-ins.
    #[serde(default)]
    pub without_totp: bool,
}

/// The form in which addresses are compared: lower case. None for what is no address.
pub(super) fn normal_email(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let fits = (3..=EMAIL_MAX).contains(&text.len())
        && !local.is_empty()
        && !domain.is_empty()
        && !local.contains('@')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    fits.then(|| text.to_lowercase())
}

/// Takes a password that is long enough and not the address.
pub(super) fn fitting(password: &Sensitive, email: &str) -> Result<(), Fault> {
    let count = password.expose().chars().count();
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&count) {
        let detail = format!("a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters");
        return Err(Fault::invalid("/password", detail));
    }
    if password.expose().to_lowercase().contains(email) {
        return Err(Fault::invalid("/password", "a password must not hold the e-mail address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(normal_email(" Ada@Example.ORG "), Some("ada@example.org".to_owned()));
        let long = format!("{}@x", "a".repeat(253));
        for wrong in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a\n@b", long.as_str()] {
            assert_eq!(normal_email(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn passwords_are_long_and_their_own() {
        let password = |text: &str| Sensitive::from(secrecy::SecretString::from(text));
        assert!(fitting(&password("correct horse"), "ada@example.org").is_ok());
        for wrong in ["short", "elevenchars", "ADA@example.org1"] {
            assert!(fitting(&password(wrong), "ada@example.org").is_err(), "{wrong}");
        }
    }
}
