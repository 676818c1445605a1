//! Operations: health, queues, dead letters, jobs; and the ledger of deliveries.

use actix_web::web::Json;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AccountId, DeliveryId, DeliveryState, JobId, PairId, UserId};

use super::faults::{Asking, page};
use crate::http::api::{Accepted, Access, Endpoint, get, post};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::bulk::PairVerb;
use crate::services::caller::{Role, Scope};
use crate::services::deliveries::{DeadWord, DeliveryFilter, DeliveryView, ReplayOrder};
use crate::services::moment;
use crate::services::monitor::HealthSnapshot;
use crate::services::page::Listed;
use crate::services::queues::{QueueSort, QueueView};
use crate::services::states::{QueueStanding, SessionStanding};
use crate::services::work::JobView;

const SUPPORT: Access = Access::Staff(&[Role::Owner, Role::Support]);

pub(super) fn endpoints() -> Vec<Endpoint> {
    [queues(), letters(), pairs()].into_iter().flatten().collect()
}

fn queues() -> Vec<Endpoint> {
    const TAG: &str = "operations";
    vec![
        get("/api/v1/admin/health", SUPPORT)
            .id("get_health")
            .tag(TAG)
            .summary("How the daemon is: sessions, queues, throttles, store, streams, jobs")
            .to(health),
        get("/api/v1/admin/queues", SUPPORT)
            .id("list_queues")
            .tag(TAG)
            .summary("List queues, with what waits in each")
            .to(list_queues),
        post("/api/v1/admin/queues/restart", SUPPORT)
            .id("restart_queues")
            .tag(TAG)
            .summary("Start all queues in a state anew, as a job")
            .to(restart_queues),
        post("/api/v1/admin/queues/{id}/restart", SUPPORT)
            .id("restart_queue")
            .tag(TAG)
            .summary("Start a queue anew; what waits in it is kept")
            .problems(&[ProblemCode::Conflict])
            .to(restart_queue),
        post("/api/v1/admin/queues/{id}/pause", SUPPORT)
            .id("pause_queue")
            .tag(TAG)
            .summary("Pause a queue for the staff's reason")
            .describe("After the answer it begins no send, also after a restart. What waits in it is kept.")
            .to(pause_queue),
        post("/api/v1/admin/queues/{id}/resume", SUPPORT)
            .id("resume_queue")
            .tag(TAG)
            .summary("Lift the staff's pause of a queue")
            .to(resume_queue),
        post("/api/v1/admin/sessions/reconnect", SUPPORT)
            .id("reconnect_sessions")
            .tag(TAG)
            .summary("Connect all sessions in a state anew, as a job")
            .describe(
                "One after the other. Never shortens a platform's wait; a session that its platform ended counts as \
                 failed, with `needs login` as its reason.",
            )
            .to(reconnect_sessions),
        get("/api/v1/admin/jobs", SUPPORT)
            .id("list_jobs")
            .tag(TAG)
            .summary("List jobs, the newest first")
            .to(list_jobs),
        get("/api/v1/admin/jobs/{id}", SUPPORT)
            .id("get_job")
            .tag(TAG)
            .summary("A job and how far it is")
            .to(get_job),
    ]
}

fn pairs() -> Vec<Endpoint> {
    const TAG: &str = "users";
    vec![
        post("/api/v1/admin/users/{id}/pairs/pause", SUPPORT)
            .id("pause_user_pairs")
            .tag(TAG)
            .summary("Pause all pairs of a user for the staff's reason, as a job")
            .to(pause_pairs),
        post("/api/v1/admin/users/{id}/pairs/resume", SUPPORT)
            .id("resume_user_pairs")
            .tag(TAG)
            .summary("Lift the staff's pause of all pairs of a user, as a job; other causes stay")
            .to(resume_pairs),
        post("/api/v1/admin/users/{id}/pairs/delete", SUPPORT)
            .id("delete_user_pairs")
            .tag(TAG)
            .summary("Delete all pairs of a user, as a job")
            .to(delete_pairs),
    ]
}

fn letters() -> Vec<Endpoint> {
    const REPLAY: &str = "\
A replayed delivery goes back to its old place in its lane, before everything that was accepted later and is not under way \
yet, with a fresh count of tries. Parts that arrived are not sent again; a part that may have arrived is sent under its old key \
where the platform knows it, else looked for first where that is possible.";
    vec![
        get("/api/v1/deliveries", Access::User(Scope::DeliveriesRead))
            .id("list_deliveries")
            .tag("deliveries")
            .summary("What became of messages, the newest first")
            .problems(&[ProblemCode::NotFound])
            .to(list_deliveries),
        post("/api/v1/deliveries/{id}/replay", Access::User(Scope::DeliveriesWrite))
            .id("replay_delivery")
            .tag("deliveries")
            .summary("Try a dead delivery again")
            .describe(REPLAY)
            .problems(&[ProblemCode::Conflict])
            .to(replay_delivery),
        get("/api/v1/admin/dead-letters", SUPPORT)
            .id("list_dead_letters")
            .tag("operations")
            .summary("Deliveries that were given up, the newest first, each with its reason")
            .to(list_dead_letters),
        post("/api/v1/admin/dead-letters/replay", SUPPORT)
            .id("replay_dead_letters")
            .tag("operations")
            .summary("Try dead deliveries again, by id or by filter, as a job")
            .describe(REPLAY)
            .to(replay_dead_letters),
    ]
}

/// Which queues are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueuesQuery {
    /// Only those that stand so.
    state: Option<QueueStanding>,
    /// In which order.
    sort: Option<QueueSort>,
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which queues are started anew.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "state": "failing" }))]
pub struct QueuesOrder {
    /// Those that stand so; not `running` or `paused`.
    pub state: QueueStanding,
}

/// Which sessions are connected anew.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "state": "stopped" }))]
pub struct SessionsOrder {
    /// Those that stand so; not `connected`, `connecting` or `suspended`.
    pub state: SessionStanding,
}

/// Which jobs are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct JobsQuery {
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<JobId>,
}

/// Which of the caller's deliveries are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    /// Only of this pair.
    pair: Option<PairId>,
    /// Only in this state.
    state: Option<DeliveryState>,
    /// Only made at this time or later.
    #[serde(default, deserialize_with = "moment::given")]
    from: Option<DateTime<Utc>>,
    /// Only made before this time.
    #[serde(default, deserialize_with = "moment::given")]
    to: Option<DateTime<Utc>>,
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which dead letters are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LettersQuery {
    /// Only of this user.
    user: Option<UserId>,
    /// Only of this account.
    account: Option<AccountId>,
    /// Only of this pair.
    pair: Option<PairId>,
    /// Only given up for this reason.
    reason: Option<DeadWord>,
    /// Only made at this time or later.
    #[serde(default, deserialize_with = "moment::given")]
    from: Option<DateTime<Utc>>,
    /// Only made before this time.
    #[serde(default, deserialize_with = "moment::given")]
    to: Option<DateTime<Utc>>,
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AccountParam {
    id: AccountId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct DeliveryParam {
    id: DeliveryId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct JobParam {
    id: JobId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UserParam {
    id: UserId,
}

async fn pause_pairs(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Accepted<JobView>, Problem> {
    let job = services.bulk.all_pairs(caller, user.id, PairVerb::Pause).await?;
    changes.after(&job);
    Ok(Accepted(job))
}

async fn resume_pairs(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Accepted<JobView>, Problem> {
    let job = services.bulk.all_pairs(caller, user.id, PairVerb::Resume).await?;
    changes.after(&job);
    Ok(Accepted(job))
}

async fn delete_pairs(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(user): Params<UserParam>,
) -> Result<Accepted<JobView>, Problem> {
    let job = services.bulk.all_pairs(caller, user.id, PairVerb::Delete).await?;
    changes.after(&job);
    Ok(Accepted(job))
}

async fn health(Serving(services): Serving, _: Query<Nothing>) -> Result<Json<HealthSnapshot>, Problem> {
    Ok(Json(services.monitor.snapshot().await?))
}

async fn list_queues(
    Serving(services): Serving,
    Query(query): Query<QueuesQuery>,
) -> Result<Json<Listed<QueueView, String>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.queues.list(query.state, query.sort.unwrap_or_default(), page).await?))
}

async fn restart_queues(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<QueuesOrder>,
) -> Result<Accepted<JobView>, Problem> {
    changes.about(format_args!("queues/{}", order.state.as_str()));
    let job = services.queues.restart_all(caller, order.state).await?;
    changes.after(&Ordered { asked: order, job: &job });
    Ok(Accepted(job))
}

async fn restart_queue(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(queue): Params<AccountParam>,
) -> Result<Accepted<QueueView>, Problem> {
    changes.before_by(services.queues.get(queue.id)).await;
    Ok(Accepted(services.queues.restart(queue.id).await?))
}

async fn pause_queue(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(queue): Params<AccountParam>,
) -> Result<Json<QueueView>, Problem> {
    changes.before_by(services.queues.get(queue.id)).await;
    Ok(Json(services.queues.pause(queue.id, true).await?))
}

async fn resume_queue(
    Serving(services): Serving,
    changes: Changes,
    _: Query<Nothing>,
    Params(queue): Params<AccountParam>,
) -> Result<Json<QueueView>, Problem> {
    changes.before_by(services.queues.get(queue.id)).await;
    Ok(Json(services.queues.pause(queue.id, false).await?))
}

async fn reconnect_sessions(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<SessionsOrder>,
) -> Result<Accepted<JobView>, Problem> {
    changes.about(format_args!("sessions/{}", order.state.as_str()));
    let job = services.queues.reconnect_all(caller, order.state).await?;
    changes.after(&Ordered { asked: order, job: &job });
    Ok(Accepted(job))
}

async fn list_jobs(
    Serving(services): Serving,
    Query(query): Query<JobsQuery>,
) -> Result<Json<Listed<JobView, JobId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.jobs.list(page).await?))
}

async fn get_job(
    Serving(services): Serving,
    _: Query<Nothing>,
    Params(job): Params<JobParam>,
) -> Result<Json<JobView>, Problem> {
    Ok(Json(services.jobs.get(job.id).await?))
}

async fn list_deliveries(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Json<Listed<DeliveryView, String>>, Problem> {
    let DeliveriesQuery { pair, state, from, to, limit, cursor } = query;
    let filter = DeliveryFilter { pair, state, from, to, ..DeliveryFilter::default() };
    Ok(Json(services.deliveries.list(caller, filter, page(limit, cursor)?).await?))
}

async fn replay_delivery(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(delivery): Params<DeliveryParam>,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(services.deliveries.replay(caller, delivery.id).await?))
}

async fn list_dead_letters(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<LettersQuery>,
) -> Result<Json<Listed<DeliveryView, String>>, Problem> {
    let LettersQuery { user, account, pair, reason, from, to, limit, cursor } = query;
    let state = Some(DeliveryState::Dead);
    let filter = DeliveryFilter { user, account, pair, state, reason, from, to };
    Ok(Json(services.deliveries.list(caller, filter, page(limit, cursor)?).await?))
}

async fn replay_dead_letters(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Body(order): Body<ReplayOrder>,
) -> Result<Accepted<JobView>, Problem> {
    changes.about("dead-letters");
    let asked = order.clone();
    let job = services.deliveries.replay_many(caller, order).await?;
    changes.after(&Ordered { asked, job: &job });
    Ok(Accepted(job))
}

/// A job and what was asked for, for the audit log.
#[derive(Serialize)]
struct Ordered<'a, T> {
    asked: T,
    job: &'a JobView,
}
