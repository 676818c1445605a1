//! Problem documents (RFC 9457): the one form of every error, and the closed list of codes.
//!
//! `type` is a tag URI (RFC 4151) that ends in the code and never changes. `errors` names the fields at fault, by JSON
//! pointer (RFC 6901) in a body, by name in a path or query.
//!
//! | code | status | when |
//! |---|---|---|
//! | `malformed_request` | 400 | the bytes on the connection are not HTTP |
//! | `malformed_body` | 400 | the body is not JSON |
//! | `invalid_request` | 400 | a field, path or query parameter is unknown, missing or wrong |
//! | `unauthorized` | 401 | no token, or a wrong one |
//! | `token_expired` | 401 | the access token was valid until a moment ago: refresh it |
//! | `sign_in_refused` | 401 | address, password or code does not fit |
//! | `second_factor_needed` | 401 | the password is right: send a one-time code with it |
//! | `forbidden` | 403 | the caller may not do this, or not from where it is |
//! | `suspended` | 403 | the caller's account is suspended |
//! | `fresh_sign_in_needed` | 403 | the sign-in is too old for this: sign in again first |
//! | `server_login_off` | 403 | this server takes no telephone numbers and codes: `switchyard login` or a QR code do it |
//! | `plan_limit` | 403 | the plan of the owner allows no more: the detail names the limit and the plan |
//! | `not_found` | 404 | there is no such path or thing |
//! | `method_not_allowed` | 405 | the path has other methods: see `Allow` |
//! | `request_timeout` | 408 | the request did not arrive in time |
//! | `conflict` | 409 | the thing is in a state in which this cannot be done |
//! | `needs_login` | 409 | the platform ended the session: only a new login helps |
//! | `platform_wait` | 409 | the platform asked to wait: see `Retry-After` |
//! | `code_expired` | 409 | the code of a sign-in is too old: it begins anew |
//! | `request_in_progress` | 409 | the same order with the same idempotency key is being carried out: see `Retry-After` |
//! | `out_of_step` | 409 | the sign-in waits for something else |
//! | `sign_in_lost` | 410 | this server lost the sign-in by a fault or a restart: begin it anew |
//! | `pair_cycle` | 409 | three or more pairs would bring messages back to where they were written: see `allow_cycle` |
//! | `precondition_failed` | 412 | `If-Match` names a version that is not the present one: read it again |
//! | `body_too_large` | 413 | the body is longer than `http.body_max` |
//! | `unsupported_media_type` | 415 | the body is not `application/json` |
//! | `expectation_failed` | 417 | an `Expect` header that is not known |
//! | `credential_refused` | 422 | the credential is malformed, never taken, or refused by its platform |
//! | `wrong_code` | 422 | not the code that the platform sent: another try may follow |
//! | `wrong_password` | 422 | not the second-factor password: another try may follow |
//! | `idempotency_key_reused` | 422 | the idempotency key was used for another order |
//! | `too_many_requests` | 429 | a limit was reached: see `Retry-After` |
//! | `head_too_large` | 431 | request line and headers are too long |
//! | `internal_error` | 500 | a fault of the daemon; the log has it under the request id |
//! | `not_ready` | 503 | the daemon migrates its store, starts or drains |
//! | `unavailable` | 503 | something the daemon needs does not answer |
//! | `platform_unreachable` | 503 | the platform does not answer; nothing was changed |
//! | `answer_timeout` | 503 | the answer took longer than `http.answer_timeout` |

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Header that carries the request id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TYPE_BASE: &str = "tag:switchyard.example,2026:problem/";

/// What went wrong, as a caller's program reads it. Never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the table of this module documents each")]
pub enum ProblemCode {
    MalformedRequest,
    MalformedBody,
    InvalidRequest,
    Unauthorized,
    TokenExpired,
    SignInRefused,
    SecondFactorNeeded,
    Forbidden,
    Suspended,
    FreshSignInNeeded,
    ServerLoginOff,
    PlanLimit,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    NeedsLogin,
    PlatformWait,
    CodeExpired,
    RequestInProgress,
    OutOfStep,
    SignInLost,
    PairCycle,
    PreconditionFailed,
    BodyTooLarge,
    UnsupportedMediaType,
    ExpectationFailed,
    CredentialRefused,
    WrongCode,
    WrongPassword,
    IdempotencyKeyReused,
    TooManyRequests,
    HeadTooLarge,
    InternalError,
    NotReady,
    Unavailable,
    PlatformUnreachable,
    AnswerTimeout,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Self::MalformedRequest,
        Self::MalformedBody,
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::SignInRefused,
        Self::SecondFactorNeeded,
        Self::Forbidden,
        Self::Suspended,
        Self::FreshSignInNeeded,
        Self::ServerLoginOff,
        Self::PlanLimit,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::NeedsLogin,
        Self::PlatformWait,
        Self::CodeExpired,
        Self::RequestInProgress,
        Self::OutOfStep,
        Self::SignInLost,
        Self::PairCycle,
        Self::PreconditionFailed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::ExpectationFailed,
        Self::CredentialRefused,
        Self::WrongCode,
        Self::WrongPassword,
        Self::IdempotencyKeyReused,
        Self::TooManyRequests,
        Self::HeadTooLarge,
        Self::InternalError,
        Self::NotReady,
        Self::Unavailable,
        Self::PlatformUnreachable,
        Self::AnswerTimeout,
    ];

    /// Name, status and title.
    const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

        match self {
            Self::MalformedRequest => ("malformed_request", S::BAD_REQUEST, "The request is not valid HTTP"),
            Self::MalformedBody => ("malformed_body", S::BAD_REQUEST, "The body is not valid JSON"),
            Self::InvalidRequest => ("invalid_request", S::BAD_REQUEST, "The request is not valid"),
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "Authentication is needed"),
            Self::TokenExpired => ("token_expired", S::UNAUTHORIZED, "The access token has expired"),
            Self::SignInRefused => ("sign_in_refused", S::UNAUTHORIZED, "Address, password or code is wrong"),
            Self::SecondFactorNeeded => {
                ("second_factor_needed", S::UNAUTHORIZED, "A one-time code is needed")
            }
            Self::FreshSignInNeeded => ("fresh_sign_in_needed", S::FORBIDDEN, "A fresh sign-in is needed"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "This is not allowed"),
            Self::Suspended => ("suspended", S::FORBIDDEN, "The account is suspended"),
            Self::ServerLoginOff => {
                ("server_login_off", S::FORBIDDEN, "This server signs nobody in by telephone number")
            }
            Self::PlanLimit => ("plan_limit", S::FORBIDDEN, "The plan allows no more"),
            Self::NotFound => ("not_found", S::NOT_FOUND, "There is nothing here"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", S::METHOD_NOT_ALLOWED, "The method is not allowed here")
            }
            Self::RequestTimeout => {
                ("request_timeout", S::REQUEST_TIMEOUT, "The request did not arrive in time")
            }
            Self::Conflict => ("conflict", S::CONFLICT, "The present state does not allow this"),
            Self::NeedsLogin => ("needs_login", S::CONFLICT, "The session needs a new login"),
            Self::PlatformWait => ("platform_wait", S::CONFLICT, "The platform asked to wait"),
            Self::CodeExpired => ("code_expired", S::CONFLICT, "The code has expired"),
            Self::RequestInProgress => {
                ("request_in_progress", S::CONFLICT, "The same request is being carried out")
            }
            Self::OutOfStep => ("out_of_step", S::CONFLICT, "The sign-in waits for something else"),
            Self::SignInLost => ("sign_in_lost", S::GONE, "The sign-in was lost"),
            Self::PairCycle => ("pair_cycle", S::CONFLICT, "The pairs would form a circle"),
            Self::PreconditionFailed => {
                ("precondition_failed", S::PRECONDITION_FAILED, "It was changed meanwhile")
            }
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => {
                ("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "The body's media type is not taken")
            }
            Self::ExpectationFailed => {
                ("expectation_failed", S::EXPECTATION_FAILED, "The request expects what is not offered")
            }
            Self::CredentialRefused => ("credential_refused", UNPROCESSABLE, "The credential is refused"),
            Self::WrongCode => ("wrong_code", UNPROCESSABLE, "The code is wrong"),
            Self::WrongPassword => ("wrong_password", UNPROCESSABLE, "The password is wrong"),
            Self::IdempotencyKeyReused => {
                ("idempotency_key_reused", UNPROCESSABLE, "The idempotency key was used for another request")
            }
            Self::TooManyRequests => {
                ("too_many_requests", S::TOO_MANY_REQUESTS, "There were too many requests")
            }
            Self::HeadTooLarge => {
                ("head_too_large", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too large")
            }
            Self::InternalError => ("internal_error", S::INTERNAL_SERVER_ERROR, "Something went wrong here"),
            Self::NotReady => ("not_ready", S::SERVICE_UNAVAILABLE, "The daemon is not ready"),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE, "A part does not answer"),
            Self::PlatformUnreachable => {
                ("platform_unreachable", S::SERVICE_UNAVAILABLE, "The platform does not answer")
            }
            Self::AnswerTimeout => ("answer_timeout", S::SERVICE_UNAVAILABLE, "The answer took too long"),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The status it goes with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    /// A sentence for people, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.parts().2
    }

    /// The code for an error that the framework made, of which only the status is known.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            417 => Self::ExpectationFailed,
            429 => Self::TooManyRequests,
            431 => Self::HeadTooLarge,
            503 => Self::Unavailable,
            400..=499 => Self::InvalidRequest,
            _ => Self::InternalError,
        }
    }
}

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of a path or query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

/// An error, as a document and as a response.
#[derive(Clone, Debug)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Vec<FieldError>,
    request_id: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The document on the wire.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument {
    /// Identifies the kind of problem.
    pub r#type: String,
    /// A sentence, the same for every occurrence.
    pub title: String,
    /// The response's status.
    pub status: u16,
    /// A sentence about this occurrence.
    pub detail: String,
    /// The kind of problem, from the closed list.
    pub code: ProblemCode,
    /// Fields at fault, none for most problems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The request's id, as in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with a sentence about this occurrence. The sentence is shown to the caller: no secrets, no internals.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let mut problem =
            Self { code, detail: detail.into(), errors: Vec::new(), request_id: None, headers: Vec::new() };
        if code.status() == StatusCode::UNAUTHORIZED {
            problem.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        problem
    }

    /// The same, with the title as the sentence.
    #[must_use]
    pub fn plain(code: ProblemCode) -> Self {
        Self::new(code, code.title())
    }

    /// Names a field of the body that is at fault.
    #[must_use]
    pub fn at_pointer(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let pointer = Some(pointer.into());
        self.errors.push(FieldError { pointer, parameter: None, detail: detail.into() });
        self
    }

    /// Names a path or query parameter that is at fault.
    #[must_use]
    pub fn at_parameter(mut self, name: impl Into<String>, detail: impl Into<String>) -> Self {
        let parameter = Some(name.into());
        self.errors.push(FieldError { pointer: None, parameter, detail: detail.into() });
        self
    }

    /// Says when to come back, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// Keeps the framework's list of methods.
    #[must_use]
    pub(crate) fn allow(mut self, methods: HeaderValue) -> Self {
        self.headers.push((ALLOW, methods));
        self
    }

    /// Adds headers; one that is there already is replaced.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// Names the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: &str) -> Self {
        self.request_id = Some(request_id.to_owned());
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> ProblemCode {
        self.code
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            r#type: format!("{TYPE_BASE}{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            errors: self.errors.clone(),
            request_id: self.request_id.clone(),
        }
    }

    /// The document as JSON.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        // Texts, numbers and lists of them: there is nothing in a document that JSON cannot hold.
        serde_json::to_vec(&self.document()).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        response.content_type(PROBLEM_JSON);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        if let Some(id) = &self.request_id {
            response.insert_header((REQUEST_ID, id.as_str()));
        }
        response.body(self.body())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path) -> String {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("problem.rs"))
            .map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap() })
            .collect()
    }

    #[test]
    fn every_code_is_in_the_table_and_reads_the_same_for_ever() {
        let table: Vec<&str> =
            include_str!("problem.rs").lines().filter(|line| line.starts_with("//! | `")).collect();
        assert_eq!(table.len(), ProblemCode::ALL.len());
        for (code, row) in ProblemCode::ALL.into_iter().zip(table) {
            let start = format!("//! | `{}` | {} | ", code.as_str(), code.status().as_u16());
            assert!(row.starts_with(&start), "{row} is not about {start}");
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn every_code_is_used() {
        let http = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"));
        let of_status = include_str!("problem.rs").split("pub fn of_status").nth(1).unwrap();
        let of_status = of_status.split("\n    }\n").next().unwrap();
        for code in ProblemCode::ALL {
            let used = http.contains(&format!("ProblemCode::{code:?}"))
                || of_status.contains(&format!("Self::{code:?}"));
            assert!(used, "nothing answers {code:?}");
        }
    }

    #[test]
    fn a_document_names_the_fields_and_the_request() {
        let problem = Problem::new(ProblemCode::InvalidRequest, "one field is wrong")
            .at_pointer("/path", "it is empty")
            .with_request_id("r-1");
        let json: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "tag:switchyard.example,2026:problem/invalid_request",
                "title": "The request is not valid",
                "status": 400,
                "detail": "one field is wrong",
                "code": "invalid_request",
                "errors": [{ "pointer": "/path", "detail": "it is empty" }],
                "request_id": "r-1",
            })
        );
    }
}
