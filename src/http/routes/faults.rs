//! What a use case refuses, as a problem document.

use actix_web::HttpMessage;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Ready, ready};

use crate::http::api::Input;
use crate::http::problem::{Problem, ProblemCode};
use crate::services::caller::Caller;
use crate::services::fault::Fault;
use crate::services::page::{PAGE_MAX, Page};

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        let code = match fault {
            Fault::Invalid { pointer, detail } => {
                return Self::new(ProblemCode::InvalidRequest, text).at_pointer(pointer, detail);
            }
            Fault::PlatformWait { wait, .. } => {
                return Self::new(ProblemCode::PlatformWait, text).retry_after(wait);
            }
            Fault::SlowDown { wait } => {
                return Self::new(ProblemCode::TooManyRequests, text).retry_after(wait);
            }
            Fault::SignInRefused => ProblemCode::SignInRefused,
            Fault::SecondFactorNeeded => ProblemCode::SecondFactorNeeded,
            Fault::SessionOver => ProblemCode::Unauthorized,
            Fault::NotFresh => ProblemCode::FreshSignInNeeded,
            Fault::Closed(_) => ProblemCode::Forbidden,
            Fault::Stale => ProblemCode::PreconditionFailed,
            Fault::SignInLost => ProblemCode::SignInLost,
            Fault::ServerLoginOff => ProblemCode::ServerLoginOff,
            Fault::NeedsLogin(_) => ProblemCode::NeedsLogin,
            Fault::NotFound(_) => ProblemCode::NotFound,
            Fault::Conflict(_) => ProblemCode::Conflict,
            Fault::Refused(_) => ProblemCode::CredentialRefused,
            Fault::WrongCode => ProblemCode::WrongCode,
            Fault::WrongPassword => ProblemCode::WrongPassword,
            Fault::CodeExpired => ProblemCode::CodeExpired,
            Fault::OutOfStep(_) => ProblemCode::OutOfStep,
            Fault::Unreachable(_) => ProblemCode::PlatformUnreachable,
            Fault::PlanLimit { .. } => ProblemCode::PlanLimit,
            Fault::PairCycle(_) => ProblemCode::PairCycle,
            Fault::TooMany(_) => ProblemCode::TooManyRequests,
            Fault::Unavailable(_) => ProblemCode::Unavailable,
        };
        Self::new(code, text)
    }
}

/// Who asks, as the gate before the route found out.
pub(super) struct Asking(pub(super) Caller);

impl FromRequest for Asking {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = req.extensions().get::<Caller>().copied();
        ready(caller.map(Self).ok_or_else(|| Problem::plain(ProblemCode::Unauthorized)))
    }
}

impl Input for Asking {}

/// The page that a query asks for.
pub(super) fn page<K>(limit: Option<usize>, cursor: Option<K>) -> Result<Page<K>, Problem> {
    let limit = limit.unwrap_or(PAGE_MAX);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(Page { limit, cursor });
    }
    let detail = format!("it must be 1 to {PAGE_MAX}");
    Err(Problem::new(ProblemCode::InvalidRequest, "the query is not valid").at_parameter("limit", detail))
}
