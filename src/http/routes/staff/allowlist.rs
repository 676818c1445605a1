//! The allow-list of the staff's networks: show and replace.

use actix_web::HttpRequest;
use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::address::caller_address;
use crate::http::api::{Access, Endpoint, get, put};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::routes::faults::Asking;
use crate::http::state::Serving;
use crate::services::caller::{Caller, Role};
use crate::services::networks::{AllowList, Changer, NetworkOrder};

/// A new allow-list in the place of the one that was set at run time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "revision": 0, "networks": [{ "network": "192.0.2.0/24", "note": "the office" }]
}))]
struct AllowListOrder {
    /// The revision that it is made from: 409 when somebody else changed the list meanwhile.
    revision: u64,
    /// The networks; none leaves what the configuration names, or this machine alone.
    networks: Vec<NetworkOrder>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    const PATH: &str = "/api/v1/admin/allowlist";
    const TAG: &str = "staff";
    vec![
        get(PATH, Access::Staff(&Role::ALL))
            .id("get_allowlist")
            .tag(TAG)
            .summary("The networks that the staff may call from")
            .describe(
                "Shows every entry in force with its source. `permanent` is the operator: a direct caller on the daemon's own \
                 machine with the token of the run, who always gets in.",
            )
            .to(show),
        put(PATH, Access::Staff(&[Role::Owner]))
            .id("set_allowlist")
            .tag(TAG)
            .summary("Replace the networks that were set at run time")
            .describe(
                "Counts at once on this node and within `admin.networks_refresh` on others. A list without the caller's own \
                 address is refused (409): it would lock the caller out. The operator may set any.",
            )
            .problems(&[ProblemCode::Conflict, ProblemCode::TooManyRequests])
            .to(replace),
    ]
}

async fn show(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<AllowList>, Problem> {
    Ok(Json(services.networks.list().await?))
}

async fn replace(
    Serving(services): Serving,
    Asking(caller): Asking,
    req: HttpRequest,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<AllowListOrder>,
) -> Result<Json<AllowList>, Problem> {
    let changer = match caller {
        Caller::Operator => Changer::Operator,
        Caller::Admin(..) | Caller::User(_) => Changer::At(caller_address(&req)?.ip()),
    };
    changes.about("allowlist");
    changes.before(&services.networks.list().await?);
    let list = services.networks.replace(changer, order.revision, order.networks).await?;
    changes.after(&list);
    Ok(Json(list))
}
