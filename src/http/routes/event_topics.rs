//! What streams tell of, topic by topic, as the document shows it: a few words and the shape of each topic's data.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use switchyard_actors::model::{
    AccountId, AccountKind, AccountState, AlertSeverity, DeadReason, DeliveryId, DomainEvent, JobId, PairId,
    PauseCause, PlanName, Topic, UserId,
};
use uuid::Uuid;

use crate::http::api::Describer;
use crate::services::states::{QueueStanding, SessionStanding};
use crate::services::work::JobState;

/// An actor stands otherwise than before; `S` are the words for how.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StateChange{S}")]
struct StateChange<S> {
    /// The actor's path.
    path: String,
    /// The account, of sessions and queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// How it stands now.
    state: S,
    /// How it stood before.
    before: S,
    /// Since when it is in its actor's present state.
    since: DateTime<Utc>,
    /// Until when it waits, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// Why it stands so, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How an actor stands that is no session or queue.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ActorStanding {
    /// It works.
    Running,
    /// It failed too often and waits for a person or a probe.
    Parked,
    /// It failed and starts again after a while.
    Backoff,
    /// It was stopped for a while by an order.
    Suspended,
}

/// An account was connected, changed or removed.
#[derive(Serialize, JsonSchema)]
struct AccountEvent {
    /// The account.
    account: AccountId,
    /// Its kind.
    kind: AccountKind,
    /// Its state.
    state: AccountState,
}

/// A pair was added, changed or removed.
#[derive(Serialize, JsonSchema)]
struct PairEvent {
    /// The pair.
    pair: PairId,
    /// The account that reads.
    source_account: AccountId,
    /// The account that writes.
    target_account: AccountId,
    /// Why it is paused; empty while it forwards.
    paused: Vec<PauseCause>,
}

/// A delivery was given up.
#[derive(Serialize, JsonSchema)]
struct DeadEvent {
    /// The delivery.
    delivery: DeliveryId,
    /// Its pair.
    pair: PairId,
    /// The account that was to send it.
    account: AccountId,
    /// Why.
    dead: DeadReason,
}

/// Dead letters of a pair went back into their lanes.
#[derive(Serialize, JsonSchema)]
struct ReplayedEvent {
    /// The pair.
    pair: PairId,
}

/// Something is new about a user.
#[derive(Serialize, JsonSchema)]
struct UserEvent {
    /// The user.
    user: UserId,
    /// `deleting` where the user is about to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// A user was given a plan.
#[derive(Serialize, JsonSchema)]
struct PlanEvent {
    /// The user.
    user: UserId,
    /// The plan.
    plan: PlanName,
    /// Until when; none: without an end.
    until: Option<DateTime<Utc>>,
}

/// A limit of the user's plan is reached.
#[derive(Serialize, JsonSchema)]
struct LimitEvent {
    /// The user.
    user: UserId,
    /// Which limit: `messages_per_day`.
    limit: String,
    /// When it begins anew.
    until: DateTime<Utc>,
}

/// A user was suspended.
#[derive(Serialize, JsonSchema)]
struct SuspensionEvent {
    /// The user.
    user: UserId,
    /// Why, in words for people.
    reason: Option<String>,
}

/// A job began, came on or ended.
#[derive(Serialize, JsonSchema)]
struct JobEvent {
    /// The job.
    id: JobId,
    /// What kind of work it is.
    kind: String,
    /// Where it stands.
    state: JobState,
    /// Items in all; none before they are counted.
    total: Option<u64>,
    /// Items that are done.
    done: u64,
    /// Items that failed.
    failed: u64,
    /// What went wrong last.
    error: Option<String>,
}

/// An alert was raised.
#[derive(Serialize, JsonSchema)]
struct AlertEvent {
    /// The alert.
    alert: Uuid,
    /// How bad it is.
    severity: AlertSeverity,
    /// Its kind, such as `quota.reached`.
    kind: String,
    /// What happened, in words for people.
    text: String,
}

/// A few words about a topic.
const fn words(topic: Topic) -> &'static str {
    match topic {
        Topic::SessionState => "a session is in another state",
        Topic::QueueState => "a queue is in another state",
        Topic::ActorState => "another actor was parked, stopped, or is up again; for staff",
        Topic::AccountConnected => "an account was connected, or has a new login",
        Topic::AccountChanged => "an account was changed",
        Topic::AccountRemoved => "an account was removed",
        Topic::PairAdded => "a pair was added",
        Topic::PairChanged => "a pair was changed, paused or resumed",
        Topic::PairRemoved => "a pair was removed",
        Topic::DeliveryDead => "a delivery was given up",
        Topic::DeliveryReplayed => "dead letters went back into their lanes",
        Topic::UserAdded => "a user registered, or was added",
        Topic::UserChanged => "a user's profile was changed, or they are about to be deleted",
        Topic::UserPlan => "a user has another plan",
        Topic::UserLimit => "a limit of the user's plan is reached",
        Topic::UserSuspended => "a user was suspended",
        Topic::UserRestored => "a user was restored",
        Topic::UserDeleted => "a user was deleted; for staff",
        Topic::JobChanged => "a job began, made progress or ended",
        Topic::AlertRaised => "an alert was raised",
    }
}

/// The schema of a topic's `data`, by reference.
fn shape(topic: Topic, to: &mut Describer) -> Value {
    match topic {
        Topic::SessionState => to.output::<StateChange<SessionStanding>>(),
        Topic::QueueState => to.output::<StateChange<QueueStanding>>(),
        Topic::ActorState => to.output::<StateChange<ActorStanding>>(),
        Topic::AccountConnected | Topic::AccountChanged | Topic::AccountRemoved => {
            to.output::<AccountEvent>()
        }
        Topic::PairAdded | Topic::PairChanged | Topic::PairRemoved => to.output::<PairEvent>(),
        Topic::DeliveryDead => to.output::<DeadEvent>(),
        Topic::DeliveryReplayed => to.output::<ReplayedEvent>(),
        Topic::UserAdded | Topic::UserChanged | Topic::UserRestored | Topic::UserDeleted => {
            to.output::<UserEvent>()
        }
        Topic::UserPlan => to.output::<PlanEvent>(),
        Topic::UserLimit => to.output::<LimitEvent>(),
        Topic::UserSuspended => to.output::<SuspensionEvent>(),
        Topic::JobChanged => to.output::<JobEvent>(),
        Topic::AlertRaised => to.output::<AlertEvent>(),
    }
}

/// The name of the schema that a reference leads to.
fn name(schema: &Value) -> &str {
    schema.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()).unwrap_or("object")
}

/// Describes a stream: every topic in words, and every shape as a schema of the document.
pub(super) fn describe(to: &mut Describer) -> (String, Value) {
    let event = to.output::<DomainEvent>();
    let mut shapes = Map::new();
    let mut lines = Vec::new();
    for topic in Topic::ALL {
        let shape = shape(topic, to);
        lines.push(format!("- `{topic}`: {}; `data` is a `{}`", words(topic), name(&shape)));
        shapes.insert(topic.to_string(), shape);
    }
    let text = format!(
        "The stream; it ends when the daemon or the caller ends it. The `data` line of each event is a `{}`, whose own \
         `data` depends on its topic:\n\n{}",
        name(&event),
        lines.join("\n"),
    );
    (text, json!({ "type": "string", "x-event": event, "x-event-data": shapes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_words_and_a_shape_in_the_document_of_both_streams() {
        let document = crate::http::api::document();
        for path in ["~1api~1v1~1events", "~1api~1v1~1admin~1events"] {
            let answer = document.pointer(&format!("/paths/{path}/get/responses/200")).unwrap();
            let said = answer["description"].as_str().unwrap();
            let shapes = &answer["content"]["text/event-stream"]["schema"]["x-event-data"];
            for topic in Topic::ALL {
                assert!(said.contains(&format!("- `{topic}`: ")), "{topic}");
                let shape = shapes[topic.as_str()]["$ref"].as_str().unwrap();
                assert!(document.pointer(shape.trim_start_matches('#')).is_some(), "{topic}: {shape}");
            }
        }
        assert!(document.pointer("/components/schemas/DomainEvent/properties/topic").is_some());
    }
}
