//! What Telegram's errors mean for a sign-in (core.telegram.org/api/auth, core.telegram.org/api/errors).

use switchyard_actors::ports::{ConnectionError, LoginError, StoreError};

use super::super::errors::{Fault, describe};
use super::super::link::CallError;

/// The name by which Telegram says that a second factor is asked for.
pub(super) const PASSWORD_NEEDED: &str = "SESSION_PASSWORD_NEEDED";

/// Names that say something of the telephone number, in words.
const PHONE: &[(&str, &str)] = &[
    ("PHONE_NUMBER_INVALID", "Telegram takes it for no telephone number"),
    ("PHONE_NUMBER_UNOCCUPIED", "it has no Telegram account: sign up with Telegram's own app first"),
    (
        "PHONE_NUMBER_APP_SIGNUP_FORBIDDEN",
        "it has no Telegram account: sign up with Telegram's own app first",
    ),
    ("PHONE_NUMBER_BANNED", "Telegram has banned it"),
    ("PHONE_NUMBER_FLOOD", "too many codes were asked for it: try again tomorrow"),
    ("PHONE_PASSWORD_FLOOD", "too many sign-ins were tried with it: try again tomorrow"),
];

/// What an error means. The text names no secret: Telegram's name of the error at most.
pub(super) fn login_error(error: &CallError) -> LoginError {
    let is = |names: &[&str]| names.iter().any(|name| error.is(name));
    if let Some((_, words)) = PHONE.iter().find(|(name, _)| error.is(name)) {
        return LoginError::Phone((*words).to_owned());
    }
    if is(&["PHONE_CODE_INVALID", "PHONE_CODE_EMPTY", "EMAIL_CODE_INVALID", "CODE_INVALID"]) {
        return LoginError::WrongCode;
    }
    if is(&["PHONE_CODE_EXPIRED", "PHONE_CODE_HASH_EMPTY", "EMAIL_VERIFY_EXPIRED", "AUTH_TOKEN_*"]) {
        return LoginError::CodeExpired;
    }
    if is(&["PASSWORD_HASH_INVALID"]) {
        return LoginError::WrongPassword;
    }
    if is(&["ACCESS_TOKEN_INVALID", "ACCESS_TOKEN_EXPIRED"]) {
        return LoginError::Refused("Telegram does not know this bot token".to_owned());
    }
    if is(&["API_ID_INVALID", "API_ID_PUBLISHED_FLOOD"]) {
        let text = "Telegram refuses this program's application (telegram.api_id and telegram.api_hash)";
        return LoginError::Unreachable(text.to_owned());
    }
    let text = text(error);
    match error.fault() {
        Fault::Wait { wait, .. } => LoginError::Wait { wait, reason: text },
        Fault::SessionDead | Fault::Quarantine | Fault::Suspect | Fault::Refused => LoginError::Refused(text),
        Fault::Store => LoginError::Store(StoreError::Failed(text)),
        Fault::Backoff | Fault::Lost | Fault::Closed | Fault::AlreadySent | Fault::Repair | Fault::Chat => {
            LoginError::Unreachable(text)
        }
    }
}

/// The error in words, without a secret.
fn text(error: &CallError) -> String {
    match error {
        CallError::Answer(error) => describe(error),
        CallError::Timeout(what, after) => format!("no answer to {what} within {} ms", after.as_millis()),
    }
}

/// What a failure before any request means.
pub(super) fn from_connection(error: ConnectionError) -> LoginError {
    match error {
        ConnectionError::NeedsLogin(text) | ConnectionError::Refused(text) => LoginError::Refused(text),
        ConnectionError::Wait { wait, reason } => LoginError::Wait { wait, reason },
        ConnectionError::Unreachable(text) | ConnectionError::ContentIntentOff { reason: text, .. } => {
            LoginError::Unreachable(text)
        }
        ConnectionError::Store(text) => LoginError::Store(StoreError::Failed(text.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grammers_mtsender::{InvocationError, RpcError};
    use grammers_tl_types as tl;

    use super::*;

    fn said(code: i32, name: &str) -> LoginError {
        let error = tl::types::RpcError { error_code: code, error_message: name.to_owned() };
        login_error(&CallError::Answer(InvocationError::Rpc(RpcError::from(error))))
    }

    #[test]
    fn every_answer_to_a_sign_in_has_its_meaning() {
        assert_eq!(said(400, "PHONE_CODE_INVALID"), LoginError::WrongCode);
        assert_eq!(said(400, "PHONE_CODE_EXPIRED"), LoginError::CodeExpired);
        assert_eq!(said(400, "AUTH_TOKEN_EXPIRED"), LoginError::CodeExpired);
        assert_eq!(said(400, "PASSWORD_HASH_INVALID"), LoginError::WrongPassword);
        assert!(matches!(said(400, "PHONE_NUMBER_INVALID"), LoginError::Phone(_)));
        assert!(matches!(said(406, "PHONE_PASSWORD_FLOOD"), LoginError::Phone(_)));
        assert!(matches!(said(400, "ACCESS_TOKEN_INVALID"), LoginError::Refused(_)));
        assert!(matches!(said(400, "API_ID_INVALID"), LoginError::Unreachable(_)));
        assert!(matches!(said(500, "INTERNAL"), LoginError::Unreachable(_)));
        assert!(matches!(said(401, "AUTH_KEY_UNREGISTERED"), LoginError::Refused(_)));
        let LoginError::Wait { wait, .. } = said(420, "FLOOD_WAIT_77") else { panic!("no wait") };
        assert_eq!(wait, Duration::from_secs(77));
        let late = CallError::Timeout("auth.sendCode", Duration::from_secs(1));
        assert!(matches!(login_error(&late), LoginError::Unreachable(_)));
    }
}
