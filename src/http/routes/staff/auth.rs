//! The staff's door: sign in, renew, sign out, one-time codes.

use actix_web::web::Json;
use actix_web::{HttpMessage, HttpRequest};
use serde_json::json;

use crate::http::address::caller_address;
use crate::http::api::{Access, Endpoint, NoContent, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::routes::faults::Asking;
use crate::http::state::{RequestId, Serving};
use crate::services::caller::{Caller, Role};
use crate::services::staff::{
    AdminTokens, CodeOrder, DoorFault, LoginOrder, Origin, RefreshOrder, TotpOffer,
};
use switchyard_actors::model::AdminId;

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, TooManyRequests, Unauthorized, WrongCode};
    const TAG: &str = "staff";
    const ANY: Access = Access::Staff(&Role::ALL);
    vec![
        post("/api/v1/admin/auth/login", Access::StaffDoor)
            .id("login_admin")
            .tag(TAG)
            .summary("Sign an admin in")
            .describe(
                "Where an authenticator is enrolled, a right password without a `code` is answered with 401 and an error at \
                 `/code`: ask for the code and call again. After several failures an address waits, longer with each one.",
            )
            .problems(&[Unauthorized, TooManyRequests])
            .to(login),
        post("/api/v1/admin/auth/refresh", Access::StaffDoor)
            .id("refresh_admin")
            .tag(TAG)
            .summary("Exchange a refresh token for a new pair of tokens")
            .describe("A refresh token counts once. One that is used again ends the sign-in for everybody who has a token of it.")
            .problems(&[Unauthorized])
            .to(refresh),
        post("/api/v1/admin/auth/logout", Access::StaffDoor)
            .id("logout_admin")
            .tag(TAG)
            .summary("End the sign-in of a refresh token")
            .describe("A token that does not count changes nothing, and gets the same answer.")
            .to(logout),
        post("/api/v1/admin/auth/totp/enroll", ANY)
            .id("enroll_admin_totp")
            .tag(TAG)
            .summary("Offer the caller a secret for one-time codes")
            .describe("It counts when a first code has confirmed it; until then a new offer takes its place.")
            .problems(&[Conflict])
            .to(enroll),
        post("/api/v1/admin/auth/totp/confirm", ANY)
            .id("confirm_admin_totp")
            .tag(TAG)
            .summary("Confirm the offered secret: from now on signing in needs a code")
            .problems(&[Conflict, WrongCode])
            .to(confirm),
    ]
}

impl From<DoorFault> for Problem {
    fn from(fault: DoorFault) -> Self {
        let text = fault.to_string();
        match fault {
            DoorFault::Refused | DoorFault::SessionOver => Self::new(ProblemCode::Unauthorized, text),
            DoorFault::CodeNeeded => {
                Self::new(ProblemCode::Unauthorized, text).at_pointer("/code", "a one-time code is needed")
            }
            DoorFault::SlowDown(wait) => Self::new(ProblemCode::TooManyRequests, text).retry_after(wait),
            DoorFault::Other(fault) => fault.into(),
        }
    }
}

fn origin(req: &HttpRequest) -> Result<Origin, Problem> {
    let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    Ok(Origin { address: caller_address(req)?.ip(), request_id })
}

async fn login(
    Serving(services): Serving,
    req: HttpRequest,
    _: Query<Nothing>,
    Body(order): Body<LoginOrder>,
) -> Result<Json<AdminTokens>, Problem> {
    Ok(Json(services.staff.login(order, origin(&req)?).await?))
}

async fn refresh(
    Serving(services): Serving,
    req: HttpRequest,
    _: Query<Nothing>,
    Body(order): Body<RefreshOrder>,
) -> Result<Json<AdminTokens>, Problem> {
    Ok(Json(services.staff.refresh(order, origin(&req)?).await?))
}

async fn logout(
    Serving(services): Serving,
    req: HttpRequest,
    _: Query<Nothing>,
    Body(order): Body<RefreshOrder>,
) -> Result<NoContent, Problem> {
    services.staff.logout(order, origin(&req)?).await?;
    Ok(NoContent)
}

/// The admin who asks: the operator has no authenticator.
fn admin(caller: Caller) -> Result<AdminId, Problem> {
    match caller {
        Caller::Admin(id, _) => Ok(id),
        Caller::Operator | Caller::User(_) => Err(Problem::new(
            ProblemCode::Forbidden,
            "this is an admin's own affair: the operator has no one-time codes",
        )),
    }
}

async fn enroll(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
) -> Result<Json<TotpOffer>, Problem> {
    let admin = admin(caller)?;
    changes.about(admin);
    changes.before(&services.staff.get(admin).await?);
    let offer = services.staff.offer_totp(admin).await?;
    // The secret itself is the admin's alone.
    changes.after(&json!({ "totp_offered": true }));
    Ok(Json(offer))
}

async fn confirm(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<CodeOrder>,
) -> Result<NoContent, Problem> {
    let admin = admin(caller)?;
    changes.about(admin);
    changes.before(&services.staff.get(admin).await?);
    services.staff.confirm_totp(admin, order).await?;
    changes.after(&services.staff.get(admin).await?);
    Ok(NoContent)
}
