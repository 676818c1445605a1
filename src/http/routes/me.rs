//! What users see and change of themselves.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use switchyard_actors::model::{ApiKeyId, LoginSessionId};

use super::auth::Taken;
use super::who::{Me, Myself, Whence};
use crate::http::api::{
    Accepted, Access, Created, Endpoint, IfMatch, NoContent, Tagged, delete, get, patch, post, put,
};
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::caller::Scope;
use crate::services::identity::{
    ApiKeyMade, ApiKeyOrder, ApiKeyView, Export, ProfileChange, ProfileView, RecoveryCodes, SessionView,
    TotpEnrolment,
};
use crate::services::page::Listed;
use crate::services::sensitive::Sensitive;

/// A new password by the present one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "present": "correct horse battery staple",
    "new": "staple battery horse correct"
}))]
struct PasswordOrder {
    /// The present password.
    present: Sensitive,
    /// The new password, 10 to 256 characters.
    new: Sensitive,
}

/// A one-time code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "code": "123456" }))]
struct CodeOrder {
    /// The code that the authenticator shows.
    code: Sensitive,
}

/// What ends the one-time codes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "password": "correct horse battery staple", "code": "123456" }))]
struct EndTotpOrder {
    /// The password.
    password: Sensitive,
    /// A one-time code or a recovery code.
    code: Sensitive,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct KeyParam {
    id: ApiKeyId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct SessionParam {
    id: LoginSessionId,
}

const TAG: &str = "me";

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, FreshSignInNeeded, TooManyRequests, WrongPassword};
    let mut all = vec![
        get("/api/v1/me", Access::User(Scope::ProfileRead))
            .id("get_me")
            .tag(TAG)
            .summary("What is known of you")
            .problems(&[ProblemCode::NotFound])
            .to(profile),
        patch("/api/v1/me", Access::Person)
            .id("change_me")
            .tag(TAG)
            .summary("Change what you say of yourself")
            .problems(&[Conflict])
            .to(change),
        delete("/api/v1/me", Access::Person)
            .id("delete_me")
            .tag(TAG)
            .summary("Delete yourself and everything of yours")
            .describe(
                "Needs a sign-in of the last minutes (`auth.fresh_for`). From the answer on nothing lets you in; your \
                 accounts are signed out at their platforms and what is kept is erased in the background.",
            )
            .problems(&[FreshSignInNeeded])
            .to(remove),
        get("/api/v1/me/export", Access::Person)
            .id("export_me")
            .tag(TAG)
            .summary("Everything that is kept of you, without secrets")
            .problems(&[TooManyRequests])
            .to(export),
        put("/api/v1/me/password", Access::Person)
            .id("change_password")
            .tag(TAG)
            .summary("Set a new password, which ends your other sign-ins")
            .problems(&[WrongPassword, TooManyRequests])
            .to(change_password),
        get("/api/v1/me/sessions", Access::Person)
            .id("list_my_sessions")
            .tag(TAG)
            .summary("Your sign-ins, newest first")
            .to(sessions),
        delete("/api/v1/me/sessions/{id}", Access::Person)
            .id("end_my_session")
            .tag(TAG)
            .summary("End one of your sign-ins")
            .to(end_session),
    ];
    all.extend(security());
    all
}

fn security() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, OutOfStep, TooManyRequests, WrongCode, WrongPassword};
    vec![
        post("/api/v1/me/totp", Access::Person)
            .id("begin_totp")
            .tag(TAG)
            .summary("Begin with one-time codes: the secret for your authenticator")
            .problems(&[Conflict])
            .to(begin_totp),
        post("/api/v1/me/totp/confirm", Access::Person)
            .id("confirm_totp")
            .tag(TAG)
            .summary("Confirm with a first code: from now on codes are asked for")
            .problems(&[WrongCode, OutOfStep, TooManyRequests])
            .to(confirm_totp),
        post("/api/v1/me/totp/disable", Access::Person)
            .id("end_totp")
            .tag(TAG)
            .summary("Ask for one-time codes no more")
            .problems(&[WrongPassword, WrongCode, OutOfStep, TooManyRequests])
            .to(end_totp),
        get("/api/v1/me/api-keys", Access::Person)
            .id("list_my_api_keys")
            .tag(TAG)
            .summary("Your API keys, oldest first")
            .to(api_keys),
        post("/api/v1/me/api-keys", Access::Person)
            .id("make_api_key")
            .tag(TAG)
            .summary("Make an API key, which is shown this once")
            .problems(&[Conflict])
            .to(make_api_key),
        delete("/api/v1/me/api-keys/{id}", Access::Person)
            .id("revoke_api_key")
            .tag(TAG)
            .summary("Revoke an API key")
            .to(remove_api_key),
    ]
}

async fn profile(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
) -> Result<Tagged<ProfileView>, Problem> {
    let body = services.identity.profile(user).await?;
    Ok(Tagged { version: body.version, body })
}

async fn change(
    Serving(services): Serving,
    Me(user): Me,
    seen: IfMatch,
    _: Query<Nothing>,
    Body(change): Body<ProfileChange>,
) -> Result<Tagged<ProfileView>, Problem> {
    let body = services.identity.change_profile(user, change, seen.version()).await?;
    Ok(Tagged { version: body.version, body })
}

async fn remove(
    Serving(services): Serving,
    Myself(who): Myself,
    _: Query<Nothing>,
) -> Result<Accepted<Taken>, Problem> {
    services.identity.delete(who.user, Some(who.session)).await?;
    Ok(Taken::saying("you are being deleted, and nothing lets you in any more"))
}

async fn export(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
) -> Result<Json<Export>, Problem> {
    Ok(Json(services.identity.export(user).await?))
}

async fn change_password(
    Serving(services): Serving,
    Myself(who): Myself,
    Whence(from): Whence,
    _: Query<Nothing>,
    Body(order): Body<PasswordOrder>,
) -> Result<NoContent, Problem> {
    services.identity.change_password(who, from, order.present, order.new).await?;
    Ok(NoContent)
}

async fn sessions(
    Serving(services): Serving,
    Myself(who): Myself,
    _: Query<Nothing>,
) -> Result<Json<Listed<SessionView, LoginSessionId>>, Problem> {
    let items = services.identity.sessions(who.user, Some(who.session)).await?;
    Ok(Json(Listed { items, next_cursor: None }))
}

async fn end_session(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
    Params(session): Params<SessionParam>,
) -> Result<NoContent, Problem> {
    services.identity.end_session(user, session.id).await?;
    Ok(NoContent)
}

async fn begin_totp(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
) -> Result<Json<TotpEnrolment>, Problem> {
    Ok(Json(services.identity.begin_totp(user).await?))
}

async fn confirm_totp(
    Serving(services): Serving,
    Myself(who): Myself,
    Whence(from): Whence,
    _: Query<Nothing>,
    Body(order): Body<CodeOrder>,
) -> Result<Json<RecoveryCodes>, Problem> {
    Ok(Json(services.identity.confirm_totp(who, from, order.code).await?))
}

async fn end_totp(
    Serving(services): Serving,
    Myself(who): Myself,
    Whence(from): Whence,
    _: Query<Nothing>,
    Body(order): Body<EndTotpOrder>,
) -> Result<NoContent, Problem> {
    services.identity.end_totp(who, from, order.password, order.code).await?;
    Ok(NoContent)
}

async fn api_keys(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
) -> Result<Json<Listed<ApiKeyView, ApiKeyId>>, Problem> {
    Ok(Json(Listed { items: services.identity.api_keys(user).await?, next_cursor: None }))
}

async fn make_api_key(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
    Body(order): Body<ApiKeyOrder>,
) -> Result<Created<ApiKeyMade>, Problem> {
    let body = services.identity.make_api_key(user, order).await?;
    Ok(Created { location: format!("/api/v1/me/api-keys/{}", body.key.id), body })
}

async fn remove_api_key(
    Serving(services): Serving,
    Me(user): Me,
    _: Query<Nothing>,
    Params(key): Params<KeyParam>,
) -> Result<NoContent, Problem> {
    services.identity.remove_api_key(user, key.id).await?;
    Ok(NoContent)
}
