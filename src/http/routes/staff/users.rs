//! Users, for the staff: list, search, one with everything, suspension, plan, deletion, and what is theirs.

use actix_web::web::Json;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AccountId, PairId, PlanName, UserId};

use crate::http::api::{Accepted, Access, Endpoint, IfMatch, Tagged, delete, get, patch, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::routes::auth::Taken;
use crate::http::routes::faults::{Asking, page};
use crate::http::state::{Services, Serving};
use crate::services::accounts::AccountView;
use crate::services::caller::{Caller, Role};
use crate::services::identity::UserState;
use crate::services::membership::MembershipView;
use crate::services::page::Listed;
use crate::services::pairs::{PairFilter, PairView};
use crate::services::users::{
    ActivityView, UserChange, UserDetails, UserFilter, UserSession, UserSort, UserView,
};

const TAG: &str = "users";
const OWNER: Access = Access::Staff(&[Role::Owner]);
const SUPPORT: Access = Access::Staff(&[Role::Owner, Role::Support]);
const BILLING: Access = Access::Staff(&[Role::Owner, Role::Billing]);
/// Whoever gives plans has to see whom.
const READERS: Access = Access::Staff(&[Role::Owner, Role::Support, Role::Billing]);

/// Which users are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsersQuery {
    /// A whole e-mail address, an id or at least 8 digits of its beginning, or a part of the staff's label.
    #[schemars(length(min = 1, max = 254))]
    query: Option<String>,
    /// Only users whose plan this is now.
    plan: Option<PlanName>,
    /// Only users in this state. Without it: all but those who are being erased.
    state: Option<UserState>,
    /// `created`: oldest first (the default); `-created`: newest first.
    sort: Option<UserSort>,
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<UserId>,
}

/// Which page of what is a user's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PageQuery<K> {
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<K>,
}

/// Why a user is suspended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "reason": "unpaid since October" }))]
pub struct SuspendOrder {
    /// In words for people, at most 500 characters; the user is shown them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

/// Which plan a user gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "plan": "pro", "until": "2099-12-31T23:59:59Z" }))]
pub struct PlanOrder {
    /// The plan's name.
    pub plan: PlanName,
    /// Until when; then the default plan applies again. Without it: without an end.
    #[serde(
        default,
        deserialize_with = "crate::services::moment::given",
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UserParam {
    /// The user.
    id: UserId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    people().into_iter().chain(orders()).chain(belongings()).collect()
}

fn people() -> Vec<Endpoint> {
    vec![
        get("/api/v1/admin/users", READERS)
            .id("list_users")
            .tag(TAG)
            .summary("List and search users, with plan and usage")
            .describe(
                "`query` finds a user by the whole e-mail address, in either case; by the id or its first 8 digits or more; by \
                 a part of the label that staff gave. Addresses and names are sealed under each user's own key, so no part \
                 of them can be searched for.",
            )
            .to(list),
        get("/api/v1/admin/users/{id}", READERS)
            .id("get_user")
            .tag(TAG)
            .summary("One user, with plan, usage and counts")
            .to(show),
        patch("/api/v1/admin/users/{id}", SUPPORT)
            .id("change_user")
            .tag(TAG)
            .summary("Change the staff's label of a user")
            .describe(
                "What users say of themselves they change themselves. With `If-Match` the change is made only if the user is \
                 still of the version that the caller saw.",
            )
            .to(change),
        delete("/api/v1/admin/users/{id}", OWNER)
            .id("delete_user")
            .tag(TAG)
            .summary("Delete a user")
            .describe(
                "From the answer on nothing lets them in and no send of theirs starts. Then their accounts are logged out at \
                 the platforms, what a provider bills is ended, the key of their data is erased, and the rows go: in the \
                 background, also across restarts.",
            )
            .to(remove),
    ]
}

fn orders() -> Vec<Endpoint> {
    use ProblemCode::Conflict;
    vec![
        post("/api/v1/admin/users/{id}/suspend", SUPPORT)
            .id("suspend_user")
            .tag(TAG)
            .summary("Suspend a user")
            .describe(
                "After the answer no send of theirs starts, and their sessions have let go of their connections; what waits is \
                 kept. The user may come in and look, and guard the account itself (password, sign-ins, keys, profile, data), but change nothing that forwards. Once more changes nothing.",
            )
            .problems(&[Conflict])
            .to(suspend),
        post("/api/v1/admin/users/{id}/restore", SUPPORT)
            .id("restore_user")
            .tag(TAG)
            .summary("Restore a suspended user")
            .describe("What waited goes out in order. Pauses for other causes stay. Once more changes nothing.")
            .problems(&[Conflict])
            .to(restore),
        post("/api/v1/admin/users/{id}/plan", BILLING)
            .id("set_user_plan")
            .tag(TAG)
            .summary("Give a user a plan, at once")
            .describe(
                "What waits for a message of the day goes on if the new plan has some left. Accounts and pairs beyond the \
                 plan's limits stay, and no other can be added.",
            )
            .problems(&[Conflict])
            .to(set_plan),
    ]
}

fn belongings() -> Vec<Endpoint> {
    vec![
        get("/api/v1/admin/users/{id}/accounts", SUPPORT)
            .id("list_user_accounts")
            .tag(TAG)
            .summary("A user's connected accounts, with their health")
            .to(accounts),
        get("/api/v1/admin/users/{id}/sessions", SUPPORT)
            .id("list_user_sessions")
            .tag(TAG)
            .summary("A user's sessions: at the platforms, and their own sign-ins")
            .describe(
                "`forwarding`: the live connection of an account. `sign_in`: a person who signed in here. Those at platforms \
                 come first.",
            )
            .to(sessions),
        get("/api/v1/admin/users/{id}/pairs", SUPPORT)
            .id("list_user_pairs")
            .tag(TAG)
            .summary("A user's pairs, oldest first")
            .to(pairs),
        get("/api/v1/admin/users/{id}/activity", SUPPORT)
            .id("list_user_activity")
            .tag(TAG)
            .summary("What happened around a user, newest first")
            .describe(
                "Entries of the audit log about the user or by them, and the events that concern them, which are kept for as \
                 long as `retention.finished_after` says.",
            )
            .to(activity),
    ]
}

async fn list(
    Serving(services): Serving,
    Query(query): Query<UsersQuery>,
) -> Result<Json<Listed<UserView, UserId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    let UsersQuery { query, plan, state, sort, .. } = query;
    let filter = UserFilter { query, plan, state, sort: sort.unwrap_or_default() };
    Ok(Json(services.users.list(filter, page).await?))
}

const fn tagged(user: UserDetails) -> Tagged<UserDetails> {
    Tagged { version: user.user.version, body: user }
}

async fn show(
    Serving(services): Serving,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Tagged<UserDetails>, Problem> {
    Ok(tagged(services.users.get(user.id).await?))
}

/// What the audit log keeps of a change: it outlives the user, so no address and no name.
#[derive(Serialize)]
struct Label<'a> {
    label: Option<&'a str>,
    version: i64,
}

impl<'a> Label<'a> {
    fn of(user: &'a UserDetails) -> Self {
        Self { label: user.user.label.as_deref(), version: user.user.version }
    }
}

async fn change(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
    seen: IfMatch,
    Body(change): Body<UserChange>,
) -> Result<Tagged<UserDetails>, Problem> {
    changes.before(&Label::of(&services.users.get(user.id).await?));
    let user = services.users.change(user.id, seen.version(), change).await?;
    changes.after(&Label::of(&user));
    Ok(tagged(user))
}

async fn remove(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Accepted<Taken>, Problem> {
    before(&services, caller, user.id, &changes).await?;
    services.users.delete(user.id).await?;
    changes.after(&services.membership.membership(caller, user.id).await.ok());
    Ok(Taken::saying("the user is being deleted, and nothing lets them in any more"))
}

/// Notes how a user stands before an order; refuses who is not there.
async fn before(services: &Services, caller: Caller, user: UserId, changes: &Changes) -> Result<(), Problem> {
    changes.before(&services.membership.membership(caller, user).await?);
    Ok(())
}

fn done(changes: &Changes, member: MembershipView) -> Json<MembershipView> {
    changes.after(&member);
    Json(member)
}

async fn suspend(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
    Body(order): Body<SuspendOrder>,
) -> Result<Json<MembershipView>, Problem> {
    before(&services, caller, user.id, &changes).await?;
    Ok(done(&changes, services.membership.suspend(user.id, order.reason).await?))
}

async fn restore(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Json<MembershipView>, Problem> {
    before(&services, caller, user.id, &changes).await?;
    Ok(done(&changes, services.membership.restore(user.id).await?))
}

async fn set_plan(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
    Body(order): Body<PlanOrder>,
) -> Result<Json<MembershipView>, Problem> {
    before(&services, caller, user.id, &changes).await?;
    Ok(done(&changes, services.membership.set_plan(user.id, order.plan, order.until).await?))
}

async fn accounts(
    Serving(services): Serving,
    Query(query): Query<PageQuery<AccountId>>,
    Params(user): Params<UserParam>,
) -> Result<Json<Listed<AccountView, AccountId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    services.users.known(user.id).await?;
    Ok(Json(services.accounts.list(Caller::User(user.id), page).await?))
}

async fn sessions(
    Serving(services): Serving,
    Query(query): Query<PageQuery<String>>,
    Params(user): Params<UserParam>,
) -> Result<Json<Listed<UserSession, String>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.users.sessions(user.id, page).await?))
}

async fn pairs(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<PageQuery<PairId>>,
    Params(user): Params<UserParam>,
) -> Result<Json<Listed<PairView, PairId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    services.users.known(user.id).await?;
    let filter = PairFilter { user: Some(user.id), ..PairFilter::default() };
    Ok(Json(services.pairs.list(caller, filter, page).await?))
}

async fn activity(
    Serving(services): Serving,
    Query(query): Query<PageQuery<String>>,
    Params(user): Params<UserParam>,
) -> Result<Json<Listed<ActivityView, String>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.users.activity(user.id, page).await?))
}
