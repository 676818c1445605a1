//! Admission: what happens to a request between the router and the handler, in this order: the daemon serves, the caller is
//! known and has not called too often, the caller may. Which networks reach the staff's routes is decided before the router, by path.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::{HttpMessage, HttpRequest};
use secrecy::SecretString;

use super::access::Access;
use super::endpoint::EndpointSpec;
use super::rates::{count_known, count_unknown};
use crate::http::address::caller_address;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{HttpState, Services, shared};
use crate::services::caller::{Caller, Scope};
use crate::services::entry::{Credential, Entered, EntryFault, Via};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Why the caller, who may only look, is suspended: in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Suspension(String);

impl Suspension {
    /// Refuses what a suspended caller may not have, although nothing is changed by it.
    ///
    /// # Errors
    /// 403 for a suspended caller.
    pub(crate) fn refuse(req: &HttpRequest) -> Result<(), Problem> {
        match req.extensions().get::<Self>() {
            Some(Self(reason)) => Err(EntryFault::Suspended(reason.clone()).into()),
            None => Ok(()),
        }
    }
}

/// Lets a request through to its handler. Who asks is then in the request's extensions: [`Caller`] and [`Via`].
pub(super) async fn admit(spec: &EndpointSpec, req: &HttpRequest) -> Result<(), Problem> {
    if spec.path.starts_with("/api/") { let_in(spec.access, req).await } else { Ok(()) }
}

/// Lets a caller of this class in.
pub(crate) async fn let_in(access: Access, req: &HttpRequest) -> Result<(), Problem> {
    let state = shared::<HttpState>(req)?;
    let services = state.services()?;
    let from = caller_address(req)?.ip();
    if !access.needs_credential() {
        return count_unknown(&services, from, req).await;
    }
    let entered = match enter(access, req, state, &services).await {
        // Who tries credentials is known by address only.
        Err(problem) if problem.code().status().is_client_error() => {
            count_unknown(&services, from, req).await?;
            return Err(problem);
        }
        entered => entered?,
    };
    count_known(&services, &entered, req).await?;
    check(access, &entered)?;
    // What guards the account itself stays open: a suspended user may sign out, change the password, take the data and go.
    let mut extensions = req.extensions_mut();
    if let (Access::User(_), Some(reason)) = (access, entered.suspended) {
        if !req.method().is_safe() {
            return Err(Problem::from(EntryFault::Suspended(reason)));
        }
        extensions.insert(Suspension(reason));
    }
    extensions.insert(entered.caller);
    extensions.insert(entered.via);
    Ok(())
}

/// Who asks.
async fn enter(
    access: Access,
    req: &HttpRequest,
    state: &HttpState,
    services: &Services,
) -> Result<Entered, Problem> {
    let credential = match given(req.headers())? {
        Given::Key(key) if access.is_staff() => {
            drop(key);
            return Err(unauthorized("API keys open no route of the staff"));
        }
        Given::Key(key) => Credential::ApiKey(key),
        Given::Token(token) if access.is_staff() => Credential::AdminToken(token),
        Given::Token(token) => Credential::UserToken(token),
        Given::Nothing => return Err(unauthorized("an access token or an API key is needed")),
        // On a user's route whatever is neither is most likely a key in the wrong header.
        Given::OperatorToken if !access.is_staff() && !state.operator().accepts(req.headers()) => {
            return Err(unauthorized("no access token; API keys go in X-Api-Key"));
        }
        Given::OperatorToken => {
            state.operator().check(req.peer_addr(), req.headers())?;
            return Ok(Entered {
                caller: Caller::Operator,
                via: Via::OperatorToken,
                scopes: None,
                suspended: None,
            });
        }
    };
    let from = caller_address(req)?.ip();
    services.entry.enter(credential, from).await.map_err(Problem::from)
}

/// What a request brought.
pub(super) enum Given {
    Key(SecretString),
    Token(SecretString),
    OperatorToken,
    Nothing,
}

/// A JSON Web Token has dots (RFC 7519, section 3), the operator's token has none.
pub(super) fn given(headers: &HeaderMap) -> Result<Given, Problem> {
    let keys: Vec<_> = headers.get_all(API_KEY).collect();
    let tokens: Vec<_> = headers.get_all(AUTHORIZATION).collect();
    let text =
        |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().trim().to_owned();
    match (keys.as_slice(), tokens.as_slice()) {
        ([], []) => Ok(Given::Nothing),
        ([key], []) => Ok(Given::Key(SecretString::from(text(key)))),
        ([], [token]) => {
            let token = text(token);
            match token.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && token.contains('.') => {
                    Ok(Given::Token(SecretString::from(token.trim())))
                }
                _ => Ok(Given::OperatorToken),
            }
        }
        _ => Err(unauthorized("one credential is taken, not several")),
    }
}

/// Whether the caller may.
pub(super) fn check(access: Access, entered: &Entered) -> Result<(), Problem> {
    let forbidden = |detail: String| Err(Problem::new(ProblemCode::Forbidden, detail));
    match (access, entered.caller) {
        (Access::Open | Access::StaffDoor, _)
        | (Access::User(_) | Access::Staff(_) | Access::Operator, Caller::Operator) => Ok(()),
        (Access::Person, Caller::Operator) => {
            forbidden("this is a user's own affair: it is done by the user who signed in".to_owned())
        }
        (Access::User(scope), Caller::User(_)) => has_scope(entered, scope),
        (Access::Person, Caller::User(_)) => match entered.via {
            Via::Session(_) => Ok(()),
            Via::ApiKey(_) | Via::OperatorToken => forbidden("no API key opens this: sign in".to_owned()),
        },
        (Access::Staff(roles), Caller::Admin(_, role)) if roles.contains(&role) => Ok(()),
        (Access::Staff(_), Caller::Admin(_, role)) => {
            forbidden(format!("the role {} may not do this", role.as_str()))
        }
        (Access::Operator, Caller::Admin(..)) => {
            forbidden("only the operator on the daemon's own machine may do this".to_owned())
        }
        (Access::User(_) | Access::Person, Caller::Admin(..))
        | (Access::Staff(_) | Access::Operator, Caller::User(_)) => {
            Err(unauthorized("the token is not meant for this"))
        }
    }
}

fn has_scope(entered: &Entered, scope: Scope) -> Result<(), Problem> {
    match &entered.scopes {
        Some(scopes) if !scopes.contains(&scope) => Err(Problem::new(
            ProblemCode::Forbidden,
            format!("the API key lacks the scope {}", scope.as_str()),
        )),
        _ => Ok(()),
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(ProblemCode::Unauthorized, detail)
}

impl From<EntryFault> for Problem {
    fn from(fault: EntryFault) -> Self {
        let code = match fault {
            EntryFault::Unknown => ProblemCode::Unauthorized,
            EntryFault::Expired => ProblemCode::TokenExpired,
            EntryFault::Suspended(_) => ProblemCode::Suspended,
            EntryFault::Unavailable(_) => ProblemCode::Unavailable,
        };
        Self::new(code, fault.to_string())
    }
}
