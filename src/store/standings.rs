//! How users stand: plan and suspension. A suspension pauses all pairs of its user in the same transaction.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;
use switchyard_actors::model::{Day, NewDomainEvent, PauseCause, PlanName, Standing, Topic, Usage, UserId};
use switchyard_actors::ports::{Standings, StoreError};
use uuid::Uuid;

use super::domain_events::{of_user, publish, publish_one};
use super::entity::{pair, pair_pause, user, user_plan};
use super::error::run_time;
use super::identity::UserState;
use super::{Store, pairs, rows, time_of};

/// A user's plan, as it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPlan {
    /// Its name.
    pub plan: PlanName,
    /// Paid through, Unix milliseconds; `None`: without an end.
    pub until: Option<i64>,
    /// In which state it is, in one word: `active` until payments say more.
    pub state: String,
    /// When it was last written, Unix milliseconds.
    pub changed_at: i64,
}

impl UserPlan {
    /// The plan, unless its time is over.
    #[must_use]
    pub fn at(&self, now: i64) -> Option<&PlanName> {
        self.until.is_none_or(|until| until > now).then_some(&self.plan)
    }
}

/// A suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Since when, Unix milliseconds.
    pub since: i64,
    /// Why, in words for people.
    pub reason: Option<String>,
}

/// The state of a plan that nobody said anything else of.
const ACTIVE: &str = "active";

#[async_trait]
impl Standings for Store {
    async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        let given = self.user_plan(user).await?;
        let plan_until = given.as_ref().and_then(|given| given.until);
        let plan = given.map(|given| given.plan);
        let found = self.read(user::Entity::find_by_id(user.as_uuid()).one(&self.readers)).await?;
        let state = found.map(|row| rows::word::<UserState>(&row.state)).transpose()?;
        // Nothing is sent for somebody who is being deleted either.
        let suspended = state.is_some_and(|state| state != UserState::Active);
        Ok(Standing { suspended, plan, plan_until })
    }

    async fn usage(&self, user: UserId, day: Day) -> Result<Usage, StoreError> {
        self.usage_of(user, day).await
    }

    async fn tell_limit(&self, user: UserId, day: Day) -> Result<bool, StoreError> {
        self.tell_limit_once(user, day).await
    }
}

impl Store {
    /// The plan that a user was given; `None` means the default one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_plan(&self, user: UserId) -> Result<Option<UserPlan>, StoreError> {
        let found = self.read(user_plan::Entity::find_by_id(user.as_uuid()).one(&self.readers)).await?;
        found.map(plan_of).transpose()
    }

    /// Gives a user a plan, until a time in Unix milliseconds or without an end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without the user.
    pub async fn set_user_plan(
        &self,
        user: UserId,
        plan: &PlanName,
        until: Option<i64>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let given = of_user(Topic::UserPlan, user, json!({ "plan": plan, "until": until.map(time_of) }));
        let row = user_plan::ActiveModel {
            user_id: Set(user.as_uuid()),
            plan: Set(plan.as_str().to_owned()),
            until: Set(until),
            state: Set(ACTIVE.to_owned()),
            changed_at: Set(now),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                use user_plan::Column::{ChangedAt, Plan, State, Until, UserId as Id};
                hold_user(transaction, user).await?;
                user_plan::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(Id).update_columns([Plan, Until, State, ChangedAt]).to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                touch_user(transaction, user).await?;
                publish_one(transaction, given, now).await
            })
        });
        write.await
    }

    /// A user's suspension, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suspension(&self, user: UserId) -> Result<Option<Suspension>, StoreError> {
        let found = self.read(user::Entity::find_by_id(user.as_uuid()).one(&self.readers)).await?;
        let Some(row) = found else { return Ok(None) };
        let suspended = rows::word::<UserState>(&row.state)? == UserState::Suspended;
        Ok(suspended.then_some(Suspension { since: row.state_at, reason: row.state_reason }))
    }

    /// Suspends a user, who from now on sees but does not change, and pauses all of their pairs for it, in one
    /// transaction; false when they were suspended already, then the first reason stays, or are being deleted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn suspend_user(&self, user: UserId, reason: Option<String>) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run_unbounded(move |transaction| {
            Box::pin(async move {
                let word = of_user(Topic::UserSuspended, user, json!({ "reason": reason }));
                if !change_state(transaction, user, (UserState::Active, UserState::Suspended), reason, now)
                    .await?
                {
                    return Ok(false);
                }
                halt_pairs(transaction, user, now).await?;
                tell(transaction, user, word, now).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// Restores a user and lifts the suspension of all of their pairs, and no other cause, in one transaction; false
    /// when they were not suspended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn restore_user(&self, user: UserId) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run_unbounded(move |transaction| {
            Box::pin(async move {
                if !change_state(transaction, user, (UserState::Suspended, UserState::Active), None, now)
                    .await?
                {
                    return Ok(false);
                }
                let own = pairs_of(transaction, user).await?;
                pair_pause::Entity::delete_many()
                    .filter(pair_pause::Column::Cause.eq(PauseCause::Suspension.as_str()))
                    .filter(pair_pause::Column::PairId.is_in(own))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                touch_pairs(transaction, user).await?;
                tell(transaction, user, of_user(Topic::UserRestored, user, json!({})), now).await?;
                Ok(true)
            })
        });
        write.await
    }
}

/// A plan as it is stored.
pub(super) fn plan_of(row: user_plan::Model) -> Result<UserPlan, StoreError> {
    Ok(UserPlan {
        plan: rows::word(&row.plan)?,
        until: row.until,
        state: row.state,
        changed_at: row.changed_at,
    })
}

/// Pauses all pairs of a user, so that no send of theirs is begun.
pub(super) async fn halt_pairs(
    transaction: &DatabaseTransaction,
    user: UserId,
    now: i64,
) -> Result<(), StoreError> {
    for id in pairs_of(transaction, user).await? {
        let paused = pairs::pause(transaction, id, PauseCause::Suspension, now).await;
        paused.map_err(|failure| run_time(&failure))?;
    }
    touch_pairs(transaction, user).await
}

/// The user is shown differently from now on.
pub(super) async fn touch_user(transaction: &DatabaseTransaction, user: UserId) -> Result<(), StoreError> {
    user::Entity::update_many()
        .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1))
        .filter(user::Column::Id.eq(user.as_uuid()))
        .exec(transaction)
        .await
        .map(|_changed| ())
        .map_err(|failure| run_time(&failure))
}

/// Holds the user's row until the commit, so that what is counted or decided of them stays true.
pub(super) async fn hold_user(transaction: &DatabaseTransaction, id: UserId) -> Result<(), StoreError> {
    let found = user::Entity::find_by_id(id.as_uuid()).lock_exclusive().one(transaction).await;
    match found.map_err(|failure| run_time(&failure))? {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound(format!("user {id}"))),
    }
}

/// Refuses something new for a user who is suspended or is being deleted. Call it while the user's row is held.
pub(super) async fn refuse_inactive(
    transaction: &DatabaseTransaction,
    user: UserId,
) -> Result<(), StoreError> {
    match state_of(transaction, user).await? {
        UserState::Active => Ok(()),
        UserState::Suspended => Err(StoreError::Conflict("the user is suspended".to_owned())),
        UserState::Deleting => Err(StoreError::Conflict("the user is being deleted".to_owned())),
    }
}

/// Brings a user from one state to another; false when they were not in the first.
async fn change_state(
    transaction: &DatabaseTransaction,
    user: UserId,
    (from, to): (UserState, UserState),
    reason: Option<String>,
    now: i64,
) -> Result<bool, StoreError> {
    hold_user(transaction, user).await?;
    if state_of(transaction, user).await? != from {
        return Ok(false);
    }
    user::Entity::update_many()
        .col_expr(user::Column::State, Expr::value(to.as_str()))
        .col_expr(user::Column::StateReason, Expr::value(reason))
        .col_expr(user::Column::StateAt, Expr::value(now))
        .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1))
        .filter(user::Column::Id.eq(user.as_uuid()))
        .exec(transaction)
        .await
        .map(|_changed| true)
        .map_err(|failure| run_time(&failure))
}

async fn state_of(transaction: &DatabaseTransaction, user: UserId) -> Result<UserState, StoreError> {
    let found = user::Entity::find_by_id(user.as_uuid()).one(transaction).await;
    let found = found.map_err(|failure| run_time(&failure))?;
    let row = found.ok_or_else(|| StoreError::NotFound(format!("user {user}")))?;
    rows::word(&row.state)
}

async fn pairs_of(transaction: &DatabaseTransaction, user: UserId) -> Result<Vec<Uuid>, StoreError> {
    let own = pair::Entity::find()
        .filter(pair::Column::UserId.eq(user.as_uuid()))
        .select_only()
        .column(pair::Column::Id)
        .into_tuple::<Uuid>();
    own.all(transaction).await.map_err(|failure| run_time(&failure))
}

/// Streams are told of a user, and of all of their pairs.
pub(super) async fn tell(
    transaction: &DatabaseTransaction,
    user: UserId,
    word: NewDomainEvent,
    now: i64,
) -> Result<(), StoreError> {
    let own = pair::Entity::find().filter(pair::Column::UserId.eq(user.as_uuid()));
    let own = own.all(transaction).await.map_err(|failure| run_time(&failure))?;
    let ids: Vec<Uuid> = own.iter().map(|row| row.id).collect();
    let mut causes: HashMap<Uuid, BTreeSet<PauseCause>> = HashMap::new();
    let pauses = pair_pause::Entity::find().filter(pair_pause::Column::PairId.is_in(ids));
    for pause in pauses.all(transaction).await.map_err(|failure| run_time(&failure))? {
        causes.entry(pause.pair_id).or_default().insert(rows::word(&pause.cause)?);
    }
    let mut events = vec![word];
    for row in &own {
        let changed = rows::pair(row, causes.remove(&row.id).unwrap_or_default())?;
        events.push(pairs::event(Topic::PairChanged, &changed));
    }
    publish(transaction, &events, now).await
}

/// The pairs of a user are shown differently from now on.
async fn touch_pairs(transaction: &DatabaseTransaction, user: UserId) -> Result<(), StoreError> {
    pair::Entity::update_many()
        .col_expr(pair::Column::Version, Expr::col(pair::Column::Version).add(1))
        .filter(pair::Column::UserId.eq(user.as_uuid()))
        .exec(transaction)
        .await
        .map(|_changed| ())
        .map_err(|failure| run_time(&failure))
}
