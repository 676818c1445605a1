//! Users come in: register, sign in, renew, sign out, new passwords.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::who::Whence;
use crate::http::api::{Accepted, Access, Endpoint, NoContent, post};
use crate::http::extract::{Body, Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::identity::{LoginOrder, RegisterOrder, TokenPair};
use crate::services::sensitive::Sensitive;

/// An order that was taken; what comes of it is told elsewhere.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// A sentence for people.
    pub message: String,
}

impl Taken {
    pub(super) fn saying(message: &str) -> Accepted<Self> {
        Accepted(Self { message: message.to_owned() })
    }
}

/// A refresh token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "refresh_token": "the token of the last answer" }))]
struct RefreshOrder {
    /// The refresh token.
    refresh_token: Sensitive,
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "email": "ann@example.org" }))]
struct ForgotOrder {
    /// E-mail address.
    #[schemars(example = "ann@example.org")]
    email: String,
}

/// A new password by a mailed token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "token": "the token of the letter",
    "password": "correct horse battery staple"
}))]
struct ResetOrder {
    /// The token of the letter.
    token: Sensitive,
    /// The new password, 10 to 256 characters.
    password: Sensitive,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{
        Conflict, Forbidden, SecondFactorNeeded, SignInRefused, TooManyRequests, Unauthorized,
    };
    const TAG: &str = "auth";
    let open = |path| post(path, Access::Open).tag(TAG);
    vec![
        open("/api/v1/auth/register")
            .id("register")
            .summary("Register")
            .describe("Whether the address was free is told to the address alone, by a letter.")
            .problems(&[Forbidden, TooManyRequests])
            .to(register),
        open("/api/v1/auth/login")
            .id("login")
            .summary("Sign in")
            .describe("Failures are answered ever more slowly: see `Retry-After`.")
            .problems(&[SignInRefused, SecondFactorNeeded, TooManyRequests])
            .to(login),
        open("/api/v1/auth/refresh")
            .id("refresh")
            .summary("Exchange a refresh token, once, for a new pair")
            .describe("A token that is used twice ends the sign-in: somebody has a copy of it.")
            .problems(&[Unauthorized, Conflict])
            .to(refresh),
        open("/api/v1/auth/logout").id("logout").summary("Sign out").to(logout),
        open("/api/v1/auth/password/forgot")
            .id("forgot_password")
            .summary("Ask for a letter with a token that sets a new password")
            .problems(&[TooManyRequests])
            .to(forgot),
        open("/api/v1/auth/password/reset")
            .id("reset_password")
            .summary("Set a new password by a mailed token, which ends all sign-ins")
            .problems(&[Unauthorized, TooManyRequests])
            .to(reset),
    ]
}

async fn register(
    Serving(services): Serving,
    _: Query<Nothing>,
    Body(order): Body<RegisterOrder>,
) -> Result<Accepted<Taken>, Problem> {
    services.identity.register(order).await?;
    Ok(Taken::saying("see your letters; you can sign in if the address was free"))
}

async fn login(
    Serving(services): Serving,
    Whence(from): Whence,
    _: Query<Nothing>,
    Body(order): Body<LoginOrder>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(services.identity.login(order, from).await?))
}

async fn refresh(
    Serving(services): Serving,
    _: Query<Nothing>,
    Body(order): Body<RefreshOrder>,
) -> Result<Json<TokenPair>, Problem> {
    Ok(Json(services.identity.refresh(order.refresh_token).await?))
}

async fn logout(
    Serving(services): Serving,
    _: Query<Nothing>,
    Body(order): Body<RefreshOrder>,
) -> Result<NoContent, Problem> {
    services.identity.logout(order.refresh_token).await?;
    Ok(NoContent)
}

async fn forgot(
    Serving(services): Serving,
    _: Query<Nothing>,
    Body(order): Body<ForgotOrder>,
) -> Result<Accepted<Taken>, Problem> {
    services.identity.forgot(order.email).await?;
    Ok(Taken::saying("if there is an account with this address, a letter is on its way"))
}

async fn reset(
    Serving(services): Serving,
    _: Query<Nothing>,
    Body(order): Body<ResetOrder>,
) -> Result<NoContent, Problem> {
    services.identity.reset(order.token, order.password).await?;
    Ok(NoContent)
}
