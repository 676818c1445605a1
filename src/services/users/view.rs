//! A user as the staff see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;

use super::UserService;
use crate::services::membership::{UsageView, UserPlanView};
use crate::services::states::SessionStanding;
use crate::services::subscriptions::Subscription;
use crate::store::ListedUser;
use crate::store::identity::UserState;

/// A user, with plan, subscription, and what is used of each limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserView {
    /// The user.
    pub id: UserId,
    /// E-mail address; none of users that the operator made, and of those who are being erased.
    pub email: Option<String>,
    /// The name that they gave themselves.
    pub name: Option<String>,
    /// The staff's own name for them.
    pub label: Option<String>,
    /// What they may do at all.
    pub state: UserState,
    /// Why they are suspended, in words for people.
    pub state_reason: Option<String>,
    /// Since when they are in this state; none where it never changed.
    pub state_since: Option<DateTime<Utc>>,
    /// Since when they are here.
    pub created_at: DateTime<Utc>,
    /// When they were last here, to the minute or so.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// The plan that applies, with its price.
    pub plan: UserPlanView,
    /// What a provider bills: price, period, provider, coupon, grace; none while nothing is billed.
    pub subscription: Option<Subscription>,
    /// What they use of each limit of the plan.
    pub usage: UsageView,
    /// Grows with every change of profile, label, state and plan; the `ETag` of the user.
    pub version: i64,
}

/// How much there is of what belongs to a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserCounts {
    /// Sign-ins that count.
    pub sign_ins: u64,
    /// API keys.
    pub api_keys: u64,
    /// Sessions at the platforms, by how they stand.
    pub sessions: BTreeMap<SessionStanding, u64>,
    /// Pairs that are paused, for whatever cause.
    pub pairs_paused: u64,
    /// Deliveries that wait.
    pub deliveries_waiting: u64,
}

/// A user with everything that is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserDetails {
    /// As in a list.
    #[serde(flatten)]
    pub user: UserView,
    /// How much there is of theirs.
    pub counts: UserCounts,
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

impl UserService {
    pub(super) fn view(&self, row: ListedUser, subscription: Option<Subscription>) -> UserView {
        let plan = self.desk.plan_view(row.plan.as_ref());
        let usage = self.desk.usage_view(&row, &plan.name);
        let (email, name) = row.profile.map_or((None, None), |profile| (Some(profile.email), profile.name));
        UserView {
            id: row.id,
            email,
            name,
            label: Some(row.label).filter(|label| !label.is_empty()),
            state: row.state,
            state_reason: row.state_reason,
            state_since: Some(row.state_at).filter(|at| *at != 0).map(time),
            created_at: time(row.created_at),
            last_seen_at: row.last_seen.map(time),
            plan,
            subscription,
            usage,
            version: row.version,
        }
    }
}
