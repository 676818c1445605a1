//! Errors of the control API as problem documents (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use serde::Serialize;

use crate::messages::ControlError;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Code {
    UnknownRoute,
    MethodNotAllowed,
    BodyTooLarge,
    MalformedBody,
    InvalidField,
    UnknownChat,
    UnknownMessage,
    JournalUnusable,
}

impl Code {
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "unknown_route", "No such route"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Self::MalformedBody => (StatusCode::BAD_REQUEST, "malformed_body", "Malformed body"),
            Self::InvalidField => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field"),
            Self::UnknownChat => (StatusCode::NOT_FOUND, "unknown_chat", "No such chat"),
            Self::UnknownMessage => (StatusCode::NOT_FOUND, "unknown_message", "No such message"),
            Self::JournalUnusable => {
                (StatusCode::INTERNAL_SERVER_ERROR, "journal_unusable", "Journal unusable")
            }
        }
    }
}

/// A refusal, ready to be answered.
#[derive(Debug)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    allow: &'static [Method],
}

impl Problem {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), allow: &[] }
    }

    pub(super) fn unknown_route(path: &str) -> Self {
        Self::new(Code::UnknownRoute, format!("the control API has no route {path}"))
    }

    pub(super) fn method_not_allowed(method: &Method, allow: &'static [Method]) -> Self {
        Self { allow, ..Self::new(Code::MethodNotAllowed, format!("this route does not take {method}")) }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(Code::BodyTooLarge, format!("a body may have at most {limit} bytes"))
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Code::MalformedBody, detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidField, detail)
    }

    pub(super) fn journal(error: &crate::journal::JournalError) -> Self {
        Self::new(Code::JournalUnusable, error.to_string())
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let code = match &error {
            ControlError::UnknownChat(_) => Code::UnknownChat,
            ControlError::UnknownMessage(_) => Code::UnknownMessage,
            ControlError::Invalid { .. } => Code::InvalidField,
            ControlError::Journal(_) => Code::JournalUnusable,
        };
        Self::new(code, error.to_string())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: Code,
    detail: &'a str,
}

impl From<Problem> for HttpResponse {
    fn from(problem: Problem) -> Self {
        let (status, name, title) = problem.code.parts();
        let document = Document {
            r#type: format!("urn:switchyard:sandbox:{name}"),
            title,
            status: status.as_u16(),
            code: problem.code,
            detail: &problem.detail,
        };
        let mut answer = Self::build(status);
        if !problem.allow.is_empty() {
            let allow: Vec<&str> = problem.allow.iter().map(Method::as_str).collect();
            answer.insert_header((ALLOW, allow.join(", ")));
        }
        let mut answer = answer.json(document);
        answer.headers_mut().insert(
            CONTENT_TYPE,
            actix_web::http::header::HeaderValue::from_static("application/problem+json"),
        );
        answer
    }
}
