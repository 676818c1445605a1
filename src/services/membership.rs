//! How users stand: their plan and what of it is used, suspension and its end. Each change is felt by what runs at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Day, Money, Plan, PlanName, UserId};

use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::limiter::{Allowance, Allowances, ApiLimit};
use crate::store::identity::UserState;
use crate::store::{ListedUser, OfferedPlans, UserPlan};

/// Most characters of a reason.
const REASON_MAX: usize = 500;

/// The plans that are offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanList {
    /// The plans, in the order in which they are offered.
    pub items: Vec<Plan>,
    /// Of users who were given none.
    pub default: PlanName,
}

/// Something that a plan limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// How much of it there is.
    pub used: u64,
    /// How much the plan allows; none: as much as comes.
    pub limit: Option<u64>,
}

/// Why a plan applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// None was given: it is the default one.
    Default,
    /// It was given.
    Given,
    /// The one that was given is over: it is the default one.
    Lapsed,
    /// The one that was given is not offered any more: it is the default one.
    Withdrawn,
}

/// The plan that a user has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserPlanView {
    /// The plan that applies.
    pub name: PlanName,
    /// The name that people see.
    pub title: String,
    /// The price of a month.
    pub monthly: Money,
    /// The price of a year.
    pub yearly: Money,
    /// Why it applies.
    pub state: PlanState,
    /// The plan that was given, also where it does not apply any more.
    pub given: Option<PlanName>,
    /// Until when the given plan was or is theirs; none: without an end.
    pub paid_through: Option<DateTime<Utc>>,
}

/// What a user uses of what the plan allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// Connected accounts.
    pub accounts: Used,
    /// Pairs.
    pub pairs: Used,
    /// Messages delivered today (UTC).
    pub messages_today: Used,
    /// When today's messages begin anew.
    pub resets_at: DateTime<Utc>,
}

/// How a user stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MembershipView {
    /// The user.
    pub user: UserId,
    /// What they may do at all.
    pub state: UserState,
    /// Why they are suspended, in words for people.
    pub state_reason: Option<String>,
    /// Since when they are suspended; none while they are not.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Their plan.
    pub plan: UserPlanView,
    /// What they use of it.
    pub usage: UsageView,
    /// Grows with every change of profile, label, state and plan.
    pub version: i64,
}

/// What can be asked about users' standing.
#[async_trait]
pub trait Memberships: Send + Sync {
    /// The plans that are offered.
    fn plans(&self) -> PlanList;

    /// How a user stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn membership(&self, caller: Caller, user: UserId) -> Result<MembershipView, Fault>;

    /// Gives a user a plan, at once and without an end unless one is named. What waits for a message of the day goes on
    /// if the new plan has some left; accounts and pairs beyond its limits stay, and no other can be added.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when there is no such plan, or the time is over; [`Fault::Conflict`] for a user who is being
    /// deleted.
    async fn set_plan(
        &self,
        user: UserId,
        plan: PlanName,
        until: Option<DateTime<Utc>>,
    ) -> Result<MembershipView, Fault>;

    /// Suspends a user. From the answer on no send of theirs starts; what waits is kept. Once more changes nothing.
    ///
    /// # Errors
    /// [`Fault::Conflict`] for a user who is being deleted; else [`Fault`], with which the user may be suspended
    /// already, and calling again makes sure.
    async fn suspend(&self, user: UserId, reason: Option<String>) -> Result<MembershipView, Fault>;

    /// Restores a user: their sessions connect, and what waited goes out in order. Once more changes nothing.
    ///
    /// # Errors
    /// [`Fault::Conflict`] for a user who is being deleted.
    async fn restore(&self, user: UserId) -> Result<MembershipView, Fault>;
}

/// Users of a running daemon.
pub struct MembershipService {
    desk: Arc<Desk>,
}

impl MembershipService {
    /// Over what the services share.
    #[must_use]
    pub const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

/// The window of a plan's limit on requests.
const MINUTE: Duration = Duration::from_secs(60);

/// How often users may call: all together as their plan says, and each key within a limit of its own.
pub struct PlanAllowances {
    desk: Arc<Desk>,
    key: ApiLimit,
}

impl PlanAllowances {
    /// Over what the services share; `key` is the limit of one key, whatever the plan.
    #[must_use]
    pub const fn new(desk: Arc<Desk>, key: ApiLimit) -> Self {
        Self { desk, key }
    }
}

#[async_trait]
impl Allowances for PlanAllowances {
    async fn of(&self, user: UserId) -> Result<Allowance, Fault> {
        let plan = self.desk.plan_of(user).await?;
        Ok(Allowance { user: ApiLimit { requests: plan.requests_per_minute, window: MINUTE }, key: self.key })
    }
}

impl Desk {
    /// What applies to a user now.
    pub(super) async fn plan_of(&self, user: UserId) -> Result<Plan, Fault> {
        let given = self.store.user_plan(user).await?;
        let now = self.clock.now().timestamp_millis();
        Ok(self.plans.of(given.as_ref().and_then(|given| given.at(now))).clone())
    }

    /// The day that is counted now.
    pub(super) fn today(&self) -> Day {
        Day::of(self.clock.now().timestamp_millis())
    }

    /// The plans that are offered, as the store compares them.
    pub(super) fn offered(&self) -> OfferedPlans {
        OfferedPlans::new(&self.plans.of(None).name, self.plans.all())
    }

    /// The plan that a user has, as it is shown.
    pub(super) fn plan_view(&self, given: Option<&UserPlan>) -> UserPlanView {
        let now = self.clock.now().timestamp_millis();
        let lasts = given.and_then(|given| given.at(now));
        let plan = self.plans.of(lasts);
        let state = match (given, lasts) {
            (None, _) => PlanState::Default,
            (Some(_), None) => PlanState::Lapsed,
            (Some(_), Some(name)) if *name == plan.name => PlanState::Given,
            (Some(_), Some(_)) => PlanState::Withdrawn,
        };
        UserPlanView {
            name: plan.name.clone(),
            title: plan.title.clone(),
            monthly: plan.monthly.clone(),
            yearly: plan.yearly.clone(),
            state,
            given: given.map(|given| given.plan.clone()),
            paid_through: given.and_then(|given| given.until).map(time),
        }
    }

    /// What a user uses of the plan that applies.
    pub(super) fn usage_view(&self, user: &ListedUser, plan: &PlanName) -> UsageView {
        let plan = self.plans.of(Some(plan));
        UsageView {
            accounts: Used { used: user.accounts, limit: plan.accounts },
            pairs: Used { used: user.pairs, limit: plan.pairs },
            messages_today: Used { used: user.delivered, limit: plan.messages_per_day },
            resets_at: time(self.today().end()),
        }
    }

    async fn membership_of(&self, user: UserId) -> Result<MembershipView, Fault> {
        let row = self.store.listed_user(user, self.today()).await?;
        let plan = self.plan_view(row.plan.as_ref());
        let usage = self.usage_view(&row, &plan.name);
        Ok(MembershipView {
            user,
            state: row.state,
            suspended_at: (row.state == UserState::Suspended).then(|| time(row.state_at)),
            state_reason: row.state_reason,
            plan,
            usage,
            version: row.version,
        })
    }

    /// As [`Self::membership_of`], for an order that nobody obeys who is being deleted.
    async fn standing_member(&self, user: UserId) -> Result<MembershipView, Fault> {
        let member = self.membership_of(user).await?;
        if member.state == UserState::Deleting {
            return Err(Fault::Conflict("the user is being deleted".to_owned()));
        }
        Ok(member)
    }
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

#[async_trait]
impl Memberships for MembershipService {
    fn plans(&self) -> PlanList {
        let plans = &self.desk.plans;
        PlanList { items: plans.all().to_vec(), default: plans.of(None).name.clone() }
    }

    async fn membership(&self, caller: Caller, user: UserId) -> Result<MembershipView, Fault> {
        if !caller.reaches(user) {
            return Err(Fault::NotFound(format!("user {user}")));
        }
        self.desk.membership_of(user).await
    }

    async fn set_plan(
        &self,
        user: UserId,
        plan: PlanName,
        until: Option<DateTime<Utc>>,
    ) -> Result<MembershipView, Fault> {
        if self.desk.plans.get(&plan).is_none() {
            return Err(Fault::invalid("/plan", format!("there is no plan {plan}")));
        }
        if until.is_some_and(|until| until <= self.desk.clock.now()) {
            return Err(Fault::invalid("/until", "it must lie ahead"));
        }
        let desk = Arc::clone(&self.desk);
        let order = async move {
            desk.standing_member(user).await?;
            let until = until.map(|until| until.timestamp_millis());
            desk.store.set_user_plan(user, &plan, until).await?;
            desk.operator.plan_changed(user).await?;
            tracing::info!(%user, %plan, "user has another plan");
            desk.membership_of(user).await
        };
        self.desk.to_the_end(order).await
    }

    async fn suspend(&self, user: UserId, reason: Option<String>) -> Result<MembershipView, Fault> {
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_MAX) {
            return Err(Fault::invalid("/reason", format!("it must be at most {REASON_MAX} characters")));
        }
        let desk = Arc::clone(&self.desk);
        let order = async move {
            desk.standing_member(user).await?;
            let new = desk.store.suspend_user(user, reason).await?;
            // Also where they were suspended before: an order that was cut short is made whole.
            desk.operator.user_suspended(user, desk.config.suspension_wait).await?;
            tracing::info!(%user, new, "user is suspended");
            desk.standing_member(user).await
        };
        self.desk.to_the_end(order).await
    }

    async fn restore(&self, user: UserId) -> Result<MembershipView, Fault> {
        let desk = Arc::clone(&self.desk);
        let order = async move {
            desk.standing_member(user).await?;
            let was = desk.store.restore_user(user).await?;
            desk.operator.user_restored(user, desk.config.suspension_wait).await?;
            tracing::info!(%user, was, "user is restored");
            desk.membership_of(user).await
        };
        self.desk.to_the_end(order).await
    }
}
