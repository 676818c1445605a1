//! Users as the staff list and search them: page by page, each with plan and what of it is used.

use std::collections::HashMap;

use sea_orm::sea_query::{Condition, Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;
use switchyard_actors::model::{Day, Topic, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::audience::{self, OfferedPlans};
use super::domain_events::{of_user, publish_one};
use super::entity::{account, pair, user, user_plan, user_usage};
use super::error::run_time;
use super::identity::{Profile, UserState};
use super::standings::{UserPlan, hold_user, plan_of};
use super::{Store, rows};
use crate::crypto::Tag;

/// What is searched for. A user of whom anything fits is found; one that names nothing finds nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSearch {
    /// Ids from the first to the last of these.
    pub ids: Option<(Uuid, Uuid)>,
    /// Keyed hash of the whole address.
    pub email: Option<Tag>,
    /// A part of the label, in either case.
    pub label: Option<String>,
}

/// Which users are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserListFilter {
    /// Only who fits.
    pub search: Option<UserSearch>,
    /// Only who has this plan now.
    pub plan: Option<String>,
    /// Only who is in this state; without it everybody but those who are being erased.
    pub state: Option<UserState>,
    /// The newest first.
    pub newest_first: bool,
}

/// A user as the staff see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Who.
    pub id: UserId,
    /// Name that the operator or the staff gave.
    pub label: String,
    /// What they say of themselves; none of users without an address, and of those who are being erased.
    pub profile: Option<Profile>,
    /// What they may do at all.
    pub state: UserState,
    /// Why they are suspended.
    pub state_reason: Option<String>,
    /// Since when they are in that state, Unix milliseconds; 0 where it never changed.
    pub state_at: i64,
    /// Grows with every change of profile, label, state and plan.
    pub version: i64,
    /// Unix milliseconds.
    pub created_at: i64,
    /// When they were last here, Unix milliseconds.
    pub last_seen: Option<i64>,
    /// The plan that they were given.
    pub plan: Option<UserPlan>,
    /// Connected accounts.
    pub accounts: u64,
    /// Pairs.
    pub pairs: u64,
    /// New messages of the day that are confirmed as delivered.
    pub delivered: u64,
}

impl Store {
    /// Users in the order of their ids, which is that of their making, after one of them, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_users(
        &self,
        filter: &UserListFilter,
        offered: &OfferedPlans,
        after: Option<UserId>,
        (limit, day): (u64, Day),
    ) -> Result<Vec<ListedUser>, StoreError> {
        let mut found = user::Entity::find().filter(match filter.state {
            Some(state) => user::Column::State.eq(state.as_str()),
            None => user::Column::State.ne(UserState::Deleting.as_str()),
        });
        if let Some(search) = &filter.search {
            found = found.filter(fits(search));
        }
        if let Some(plan) = &filter.plan {
            let plans = [plan.clone()].into();
            let id = (user::Entity, user::Column::Id);
            found = found.filter(audience::has_one_of(Expr::col(id), &plans, offered, self.now()));
        }
        found = match (filter.newest_first, after) {
            (false, Some(after)) => found.filter(user::Column::Id.gt(after.as_uuid())),
            (true, Some(after)) => found.filter(user::Column::Id.lt(after.as_uuid())),
            (_, None) => found,
        };
        found = if filter.newest_first {
            found.order_by_desc(user::Column::Id)
        } else {
            found.order_by_asc(user::Column::Id)
        };
        let rows = self.read(found.limit(limit).all(&self.readers)).await?;
        self.described(rows, day).await
    }

    /// One user as in a list.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn listed_user(&self, id: UserId, day: Day) -> Result<ListedUser, StoreError> {
        let row = self.read(user::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let found = self.described(row.into_iter().collect(), day).await?.pop();
        found.ok_or_else(|| StoreError::NotFound(format!("user {id}")))
    }

    /// Gives a user another label, if they still are of this version. False when somebody else changed them before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn label_user(
        &self,
        id: UserId,
        version: Option<i64>,
        label: String,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                hold_user(transaction, id).await?;
                let mut change = user::Entity::update_many()
                    .col_expr(user::Column::Name, Expr::value(label))
                    .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1))
                    .filter(user::Column::Id.eq(id.as_uuid()));
                if let Some(version) = version {
                    change = change.filter(user::Column::Version.eq(version));
                }
                let done = change.exec(transaction).await.map_err(|failure| run_time(&failure))?;
                if done.rows_affected == 0 {
                    return Ok(false);
                }
                publish_one(transaction, of_user(Topic::UserChanged, id, json!({})), now).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// Adds what other tables say, with a question for each table, however many users there are.
    async fn described(&self, rows: Vec<user::Model>, day: Day) -> Result<Vec<ListedUser>, StoreError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let plans = user_plan::Entity::find().filter(user_plan::Column::UserId.is_in(ids.iter().copied()));
        let plans = self.read(plans.all(&self.readers)).await?;
        let mut plans: HashMap<Uuid, user_plan::Model> =
            plans.into_iter().map(|row| (row.user_id, row)).collect();
        let accounts = account::Entity::find()
            .filter(account::Column::UserId.is_in(ids.iter().copied()))
            .select_only()
            .column(account::Column::UserId)
            .column_as(account::Column::Id.count(), "count")
            .group_by(account::Column::UserId)
            .into_tuple::<(Uuid, i64)>();
        let accounts: HashMap<Uuid, i64> =
            self.read(accounts.all(&self.readers)).await?.into_iter().collect();
        let pairs = pair::Entity::find()
            .filter(pair::Column::UserId.is_in(ids.iter().copied()))
            .select_only()
            .column(pair::Column::UserId)
            .column_as(pair::Column::Id.count(), "count")
            .group_by(pair::Column::UserId)
            .into_tuple::<(Uuid, i64)>();
        let pairs: HashMap<Uuid, i64> = self.read(pairs.all(&self.readers)).await?.into_iter().collect();
        let used = user_usage::Entity::find()
            .filter(user_usage::Column::UserId.is_in(ids))
            .filter(user_usage::Column::Day.eq(day.number()));
        let used = self.read(used.all(&self.readers)).await?;
        let used: HashMap<Uuid, i64> = used.into_iter().map(|row| (row.user_id, row.delivered)).collect();
        let count = |counts: &HashMap<Uuid, i64>, id: &Uuid| {
            counts.get(id).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0)
        };
        let mut described = Vec::with_capacity(rows.len());
        for row in rows {
            let plan = plans.remove(&row.id).map(plan_of).transpose()?;
            let profile = self.profile_of(&row).await?;
            described.push(ListedUser {
                id: UserId::from_uuid(row.id),
                profile,
                state: rows::word(&row.state)?,
                plan,
                accounts: count(&accounts, &row.id),
                pairs: count(&pairs, &row.id),
                delivered: count(&used, &row.id),
                label: row.name,
                state_reason: row.state_reason,
                state_at: row.state_at,
                version: row.version,
                created_at: row.created_at,
                last_seen: row.last_seen,
            });
        }
        Ok(described)
    }
}

/// The condition of a search.
fn fits(search: &UserSearch) -> Condition {
    let mut fits = Condition::any();
    if let Some((first, last)) = search.ids {
        fits = fits.add(user::Column::Id.between(first, last));
    }
    if let Some(tag) = search.email {
        fits = fits.add(user::Column::EmailTag.eq(tag.to_vec()));
    }
    if let Some(label) = &search.label {
        let name = || Expr::col((user::Entity, user::Column::Name));
        // SQLite folds the case of ASCII letters alone: others are found as they are written.
        fits = fits.add(name().like(containing(label)));
        fits = fits.add(Expr::expr(Func::lower(name())).like(containing(&label.to_lowercase())));
    }
    fits
}

/// A pattern in which the text's own signs mean themselves.
fn containing(text: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}
