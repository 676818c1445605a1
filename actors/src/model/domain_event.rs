//! Domain events: what happened to users, accounts, pairs, sessions and queues, as streams tell it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::UserId;

/// What a domain event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Topic {
    /// A session is in another state.
    #[serde(rename = "session.state")]
    SessionState,
    /// A queue is in another state.
    #[serde(rename = "queue.state")]
    QueueState,
    /// Another actor is in another state: it was parked, stopped, or is up again.
    #[serde(rename = "actor.state")]
    ActorState,
    /// An account was connected, or has a new login.
    #[serde(rename = "account.connected")]
    AccountConnected,
    /// An account was changed.
    #[serde(rename = "account.changed")]
    AccountChanged,
    /// An account was removed.
    #[serde(rename = "account.removed")]
    AccountRemoved,
    /// A pair was added.
    #[serde(rename = "pair.added")]
    PairAdded,
    /// A pair was changed, paused or resumed.
    #[serde(rename = "pair.changed")]
    PairChanged,
    /// A pair was removed.
    #[serde(rename = "pair.removed")]
    PairRemoved,
    /// A delivery was given up.
    #[serde(rename = "delivery.dead")]
    DeliveryDead,
    /// Dead letters went back into their lanes.
    #[serde(rename = "delivery.replayed")]
    DeliveryReplayed,
    /// A user registered, or was added.
    #[serde(rename = "user.added")]
    UserAdded,
    /// A user's profile was changed, or they are about to be deleted.
    #[serde(rename = "user.changed")]
    UserChanged,
    /// A user has another plan.
    #[serde(rename = "user.plan")]
    UserPlan,
    /// A limit of the user's plan is reached.
    #[serde(rename = "user.limit")]
    UserLimit,
    /// A user was suspended.
    #[serde(rename = "user.suspended")]
    UserSuspended,
    /// A user was restored.
    #[serde(rename = "user.restored")]
    UserRestored,
    /// A user was deleted.
    #[serde(rename = "user.deleted")]
    UserDeleted,
    /// A job began, made progress or ended.
    #[serde(rename = "job.changed")]
    JobChanged,
    /// An alert was raised.
    #[serde(rename = "alert.raised")]
    AlertRaised,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 20] = [
        Self::SessionState,
        Self::QueueState,
        Self::ActorState,
        Self::AccountConnected,
        Self::AccountChanged,
        Self::AccountRemoved,
        Self::PairAdded,
        Self::PairChanged,
        Self::PairRemoved,
        Self::DeliveryDead,
        Self::DeliveryReplayed,
        Self::UserAdded,
        Self::UserChanged,
        Self::UserPlan,
        Self::UserLimit,
        Self::UserSuspended,
        Self::UserRestored,
        Self::UserDeleted,
        Self::JobChanged,
        Self::AlertRaised,
    ];

    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionState => "session.state",
            Self::QueueState => "queue.state",
            Self::ActorState => "actor.state",
            Self::AccountConnected => "account.connected",
            Self::AccountChanged => "account.changed",
            Self::AccountRemoved => "account.removed",
            Self::PairAdded => "pair.added",
            Self::PairChanged => "pair.changed",
            Self::PairRemoved => "pair.removed",
            Self::DeliveryDead => "delivery.dead",
            Self::DeliveryReplayed => "delivery.replayed",
            Self::UserAdded => "user.added",
            Self::UserChanged => "user.changed",
            Self::UserPlan => "user.plan",
            Self::UserLimit => "user.limit",
            Self::UserSuspended => "user.suspended",
            Self::UserRestored => "user.restored",
            Self::UserDeleted => "user.deleted",
            Self::JobChanged => "job.changed",
            Self::AlertRaised => "alert.raised",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|topic| topic.as_str() == text)
            .ok_or_else(|| format!("unknown topic {text:?}"))
    }
}

/// Who may hear of a domain event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The user concerned, and the staff.
    User,
    /// The staff alone.
    Staff,
}

impl Audience {
    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Staff => "staff",
        }
    }
}

impl FromStr for Audience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "user" => Ok(Self::User),
            "staff" => Ok(Self::Staff),
            _ => Err(format!("unknown audience {text:?}")),
        }
    }
}

/// Something that happened, not yet in the outbox. No secret and no message's text stands in it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDomainEvent {
    /// What it is about.
    pub topic: Topic,
    /// The user concerned, if one is.
    pub user: Option<UserId>,
    /// Who may hear of it.
    pub audience: Audience,
    /// What it happened to: an actor's path or `pairs/…`, `users/…`, `jobs/…` with an id.
    pub subject: String,
    /// What a reader needs to know, an object.
    pub body: Value,
}

/// Something that happened, with its place in the order in which all readers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DomainEvent {
    /// Its number; it grows, with gaps.
    pub id: i64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// What it is about.
    pub topic: Topic,
    /// The user concerned, if one is.
    pub user: Option<UserId>,
    /// Who may hear of it.
    #[serde(skip)]
    #[schemars(skip)]
    pub staff_only: bool,
    /// What it happened to: an actor's path or `pairs/…`, `users/…`, `jobs/…` with an id.
    pub subject: String,
    /// What a reader needs to know.
    pub data: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_one_name_everywhere() {
        for topic in Topic::ALL {
            assert_eq!(topic.as_str().parse(), Ok(topic));
            assert_eq!(serde_json::to_value(topic).unwrap(), Value::from(topic.as_str()));
        }
    }
}
