//! Refusals of the REST API in Discord's shape (discord.com/developers/docs/topics/opcodes-and-status-codes#json).

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ApiError {
    /// No token, not a bot's token, or an unknown one.
    Unauthorized,
    UnknownRoute,
    MethodNotAllowed,
    InvalidApiVersion,
    UnknownChannel,
    UnknownGuild,
    UnknownMessage,
    UnknownMember,
    UnknownWebhook,
    TooManyWebhooks,
    BodyTooLarge,
    MissingAccess,
    NotTheAuthor,
    EmptyMessage,
    MissingPermissions,
    /// The token behind a webhook's id is not its own.
    InvalidWebhookToken,
    /// Fewer than 2 or more than 100 messages in a bulk delete.
    BulkDeleteCount,
    /// A bulk delete of messages older than two weeks.
    BulkDeleteAge,
    /// A thread in a thread.
    WrongChannelType,
    /// A thread that is archived, and locked or not written to.
    ThreadArchived,
    /// A webhook asked for a new thread outside a forum.
    NotAForum,
    InvalidJson,
    InvalidForm(FormErrors),
    /// A fault of the server's own.
    Internal,
}

impl ApiError {
    const fn parts(&self) -> (StatusCode, u32, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, 0, "401: Unauthorized"),
            Self::UnknownRoute => (StatusCode::NOT_FOUND, 0, "404: Not Found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 0, "405: Method Not Allowed"),
            Self::InvalidApiVersion => (StatusCode::BAD_REQUEST, 50041, "Invalid API version"),
            Self::UnknownChannel => (StatusCode::NOT_FOUND, 10003, "Unknown Channel"),
            Self::UnknownGuild => (StatusCode::NOT_FOUND, 10004, "Unknown Guild"),
            Self::UnknownMessage => (StatusCode::NOT_FOUND, 10008, "Unknown Message"),
            Self::UnknownMember => (StatusCode::NOT_FOUND, 10007, "Unknown Member"),
            Self::UnknownWebhook => (StatusCode::NOT_FOUND, 10015, "Unknown Webhook"),
            Self::TooManyWebhooks => {
                (StatusCode::BAD_REQUEST, 30007, "Maximum number of webhooks reached (15)")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 40005, "Request entity too large"),
            Self::MissingAccess => (StatusCode::FORBIDDEN, 50001, "Missing Access"),
            Self::NotTheAuthor => {
                (StatusCode::FORBIDDEN, 50005, "Cannot edit a message authored by another user")
            }
            Self::EmptyMessage => (StatusCode::BAD_REQUEST, 50006, "Cannot send an empty message"),
            Self::MissingPermissions => (StatusCode::FORBIDDEN, 50013, "Missing Permissions"),
            Self::BulkDeleteCount => (
                StatusCode::BAD_REQUEST,
                50016,
                "Provided too few or too many messages to delete. Must provide at least 2 and at most 100 messages to delete.",
            ),
            Self::WrongChannelType => {
                (StatusCode::BAD_REQUEST, 50024, "Cannot execute action on this channel type")
            }
            Self::InvalidWebhookToken => (StatusCode::UNAUTHORIZED, 50027, "Invalid Webhook Token"),
            Self::BulkDeleteAge => (
                StatusCode::BAD_REQUEST,
                50034,
                "You can only bulk delete messages that are under 14 days old.",
            ),
            Self::ThreadArchived => (StatusCode::BAD_REQUEST, 50083, "Thread is archived"),
            Self::NotAForum => {
                (StatusCode::BAD_REQUEST, 220_003, "Webhooks can only create threads in forum channels")
            }
            Self::InvalidJson => (StatusCode::BAD_REQUEST, 50109, "The request body contains invalid JSON."),
            Self::InvalidForm(_) => (StatusCode::BAD_REQUEST, 50035, "Invalid Form Body"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 0, "500: Internal Server Error"),
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.parts().0
    }

    pub(super) fn body(&self) -> Value {
        let (_, code, message) = self.parts();
        match self {
            Self::InvalidForm(errors) => {
                json!({"message": message, "code": code, "errors": errors.tree()})
            }
            _ => json!({"message": message, "code": code}),
        }
    }
}

/// One fault of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldError {
    path: Vec<String>,
    code: &'static str,
    message: String,
}

/// Faults of a form's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormErrors(Vec<FieldError>);

impl FormErrors {
    pub(super) fn add(&mut self, path: &[&str], code: &'static str, message: impl Into<String>) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.push(FieldError { path, code, message: message.into() });
    }

    pub(super) fn one(path: &[&str], code: &'static str, message: impl Into<String>) -> ApiError {
        let mut errors = Self::default();
        errors.add(path, code, message);
        ApiError::InvalidForm(errors)
    }

    /// The value, unless something is wrong with the form.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ApiError> {
        if self.0.is_empty() { Ok(value) } else { Err(ApiError::InvalidForm(self)) }
    }

    /// The nested form in which Discord shows the faults: `{"field": {"_errors": [{code, message}]}}`.
    fn tree(&self) -> Value {
        let mut root = Map::new();
        for FieldError { path, code, message } in &self.0 {
            let mut level = &mut root;
            for part in path.iter().map(String::as_str).chain(["_errors"]) {
                if part == "_errors" {
                    let errors = level.entry(part).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(errors) = errors {
                        errors.push(json!({"code": code, "message": message}));
                    }
                    break;
                }
                let next = level.entry(part).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(next) = next else { break };
                level = next;
            }
        }
        Value::Object(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_nested_by_field() {
        let mut errors = FormErrors::default();
        errors.add(&["content"], "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.");
        errors.add(&["allowed_mentions", "parse", "0"], "BASE_TYPE_CHOICES", "no");
        let body = errors.finish(()).unwrap_err().body();
        let expected = json!({
            "message": "Invalid Form Body",
            "code": 50035,
            "errors": {
                "content": {"_errors": [
                    {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
                ]},
                "allowed_mentions": {"parse": {"0": {"_errors": [
                    {"code": "BASE_TYPE_CHOICES", "message": "no"}
                ]}}},
            },
        });
        assert_eq!(body, expected);
    }
}
