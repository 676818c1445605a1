//! Errors as the API tells them (core.telegram.org/api/errors).

use std::borrow::Cow;
use std::time::Duration;

use grammers_tl_types::{Serializable, enums, types};

use super::super::view::entities::TextError;
use crate::journal::JournalError;

/// An `rpc_error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: Cow<'static, str>,
}

impl RpcError {
    /// An error with a fixed name.
    pub(crate) const fn new(code: i32, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message) }
    }

    /// The request is wrong.
    pub(crate) const fn bad(message: &'static str) -> Self {
        Self::new(400, message)
    }

    /// The caller may not do this.
    pub(crate) const fn forbidden(message: &'static str) -> Self {
        Self::new(403, message)
    }

    /// The key is not signed in.
    pub(crate) const fn unregistered() -> Self {
        Self::new(401, "AUTH_KEY_UNREGISTERED")
    }

    /// The key waits for the password of its sign-in.
    pub(crate) const fn password_needed() -> Self {
        Self::new(401, "SESSION_PASSWORD_NEEDED")
    }

    /// The server failed.
    pub(crate) const fn internal() -> Self {
        Self::new(500, "INTERNAL")
    }

    /// The caller must wait; seconds are rounded up and at least one.
    pub(crate) fn flood_wait(wait: Duration) -> Self {
        let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        Self { code: 420, message: Cow::Owned(format!("FLOOD_WAIT_{}", whole.max(1))) }
    }

    /// The caller must wait before the next message in this chat.
    pub(crate) fn slowmode_wait(wait: Duration) -> Self {
        let RpcError { code, message } = Self::flood_wait(wait);
        Self { code, message: Cow::Owned(message.replace("FLOOD", "SLOWMODE")) }
    }

    /// The error as the result of a call.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let error_message = self.message.clone().into_owned();
        enums::RpcError::Error(types::RpcError { error_code: self.code, error_message }).to_bytes()
    }
}

impl From<JournalError> for RpcError {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "the journal refused an operation of a Telegram client");
        Self::internal()
    }
}

impl From<TextError> for RpcError {
    fn from(error: TextError) -> Self {
        Self::bad(match error {
            TextError::Empty => "MESSAGE_EMPTY",
            TextError::TooLong => "MESSAGE_TOO_LONG",
            TextError::Bounds | TextError::Value => "ENTITY_BOUNDS_INVALID",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_and_never_none() {
        assert_eq!(RpcError::flood_wait(Duration::from_millis(4001)).message, "FLOOD_WAIT_5");
        assert_eq!(RpcError::flood_wait(Duration::ZERO).message, "FLOOD_WAIT_1");
    }
}
