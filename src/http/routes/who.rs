//! Who asks of themselves, and from where.

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Ready, ready};
use switchyard_actors::model::UserId;

use crate::http::address::caller_address;
use crate::http::api::Input;
use crate::http::problem::{Problem, ProblemCode};
use crate::services::caller::Caller;
use crate::services::entry::Via;
use crate::services::identity::{Origin, SignedIn};

/// The user who asks, by a sign-in or by an API key.
pub(super) struct Me(pub(super) UserId);

/// The user who asks, by a sign-in.
pub(super) struct Myself(pub(super) SignedIn);

/// From where it is asked.
pub(super) struct Whence(pub(super) Origin);

impl FromRequest for Me {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match req.extensions().get::<Caller>() {
            Some(Caller::User(id)) => Ok(Self(*id)),
            Some(_) => Err(Problem::new(
                ProblemCode::Forbidden,
                "this is a user's own affair: the operator and the staff have no profile here",
            )),
            None => Err(Problem::plain(ProblemCode::Unauthorized)),
        })
    }
}

impl FromRequest for Myself {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = req.extensions();
        ready(match (extensions.get::<Caller>(), extensions.get::<Via>()) {
            (Some(Caller::User(user)), Some(Via::Session(session))) => {
                Ok(Self(SignedIn { user: *user, session: *session }))
            }
            _ => Err(Problem::plain(ProblemCode::Unauthorized)),
        })
    }
}

impl FromRequest for Whence {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let address = match caller_address(req) {
            Ok(address) => address.ip(),
            Err(problem) => return ready(Err(problem)),
        };
        let agent = req.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
        ready(Ok(Self(Origin { address, agent })))
    }
}

impl Input for Me {}
impl Input for Myself {}
impl Input for Whence {}
