//! How users stand: their plan and what of it is used, suspension and its end. Each change is felt by what runs at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Day, Plan, PlanName, UserId};
use switchyard_actors::ports::Directory;

use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::limiter::{Allowance, Allowances, ApiLimit};

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

/// How a user stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MembershipView {
    /// The user.
    pub user: UserId,
    /// Their plan.
    pub plan: PlanName,
    /// In which state the plan is, in a word.
    pub plan_state: String,
    /// Paid through; none: without an end.
    pub plan_until: Option<DateTime<Utc>>,
    /// Connected accounts.
    pub accounts: Used,
    /// Pairs.
    pub pairs: Used,
    /// Messages delivered today (UTC).
    pub messages_today: Used,
    /// When today's messages begin anew.
    pub resets_at: DateTime<Utc>,
    /// Since when the user is suspended; none while they are not.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Why, in words for people.
    pub suspended_for: Option<String>,
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
    /// [`Fault::Invalid`] when there is no such plan.
    async fn set_plan(
        &self,
        user: UserId,
        plan: PlanName,
        until: Option<DateTime<Utc>>,
    ) -> Result<MembershipView, Fault>;

    /// Suspends a user. From the answer on no send of theirs starts; what waits is kept. Once more changes nothing.
    ///
    /// # Errors
    /// [`Fault`]; also then the user may be suspended already, and calling again makes sure.
    async fn suspend(&self, user: UserId, reason: Option<String>) -> Result<MembershipView, Fault>;

    /// Restores a user: their sessions connect, and what waited goes out in order. Once more changes nothing.
    ///
    /// # Errors
    /// [`Fault`].
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
        Ok(self.plans.of(given.as_ref().map(|given| &given.plan)).clone())
    }

    /// Refuses one account more than the plan allows.
    ///
    /// # Errors
    /// [`Fault::PlanLimit`], [`Fault::Conflict`] for a suspended user.
    pub(super) async fn room_for_account(&self, user: UserId) -> Result<(), Fault> {
        if self.store.suspension(user).await?.is_some() {
            return Err(Fault::Conflict("the user is suspended".to_owned()));
        }
        let plan = self.plan_of(user).await?;
        let Some(most) = plan.accounts else { return Ok(()) };
        let used = self.store.accounts_of(user).await?.len();
        if u64::try_from(used).unwrap_or(u64::MAX) >= most {
            return Err(Fault::PlanLimit { what: "accounts", plan: plan.name, most });
        }
        Ok(())
    }

    async fn membership_of(&self, user: UserId) -> Result<MembershipView, Fault> {
        if !self.store.has_user(user).await? {
            return Err(Fault::NotFound(format!("user {user}")));
        }
        let given = self.store.user_plan(user).await?;
        let plan = self.plans.of(given.as_ref().map(|given| &given.plan));
        let suspension = self.store.suspension(user).await?;
        let day = Day::of(self.clock.now().timestamp_millis());
        let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
        let time = |millis: i64| DateTime::from_timestamp_millis(millis).unwrap_or_default();
        Ok(MembershipView {
            user,
            plan: plan.name.clone(),
            plan_state: given.as_ref().map_or_else(|| "active".to_owned(), |given| given.state.clone()),
            plan_until: given.as_ref().and_then(|given| given.until).map(time),
            accounts: Used { used: count(self.store.accounts_of(user).await?.len()), limit: plan.accounts },
            pairs: Used { used: count(self.store.pairs_of(user).await?.len()), limit: plan.pairs },
            messages_today: Used {
                used: self.store.delivered(user, day).await?,
                limit: plan.messages_per_day,
            },
            resets_at: time(day.end()),
            suspended_at: suspension.as_ref().map(|suspension| time(suspension.since)),
            suspended_for: suspension.and_then(|suspension| suspension.reason),
        })
    }
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
        let desk = Arc::clone(&self.desk);
        let order = async move {
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
            let new = desk.store.suspend_user(user, reason).await?;
            // Also where they were suspended before: an order that was cut short is made whole.
            desk.operator.user_suspended(user, desk.config.suspension_wait).await?;
            tracing::info!(%user, new, "user is suspended");
            desk.membership_of(user).await
        };
        self.desk.to_the_end(order).await
    }

    async fn restore(&self, user: UserId) -> Result<MembershipView, Fault> {
        let desk = Arc::clone(&self.desk);
        let order = async move {
            let was = desk.store.restore_user(user).await?;
            desk.operator.user_restored(user, desk.config.suspension_wait).await?;
            tracing::info!(%user, was, "user is restored");
            desk.membership_of(user).await
        };
        self.desk.to_the_end(order).await
    }
}
