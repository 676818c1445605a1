//! Which plan a user has, for audiences and lists: users without a plan of their own have the default one.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, IntoSimpleExpr};
use switchyard_actors::model::{Plan, PlanName};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::error::run_time;
use super::identity::UserState;

/// The plan that an audience has where none is named.
pub(super) const FREE: &str = "free";
const TABLE: &str = "user_plans";
const USERS: &str = "users";

/// The plans that are offered, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedPlans {
    /// Of users to whom none was given, whose plan is over, or is not offered any more.
    pub default: String,
    /// All. Empty: whatever the store names is offered.
    pub names: BTreeSet<String>,
}

impl OfferedPlans {
    /// All plans of a list, and the one that is had by default.
    #[must_use]
    pub fn new(default: &PlanName, list: &[Plan]) -> Self {
        let names = list.iter().map(|plan| plan.name.to_string()).collect();
        Self { default: default.to_string(), names }
    }
}

impl Default for OfferedPlans {
    fn default() -> Self {
        Self { default: FREE.to_owned(), names: BTreeSet::new() }
    }
}

fn column(name: &'static str) -> Expr {
    Expr::col((Alias::new(TABLE), Alias::new(name)))
}

/// The given plans of one user that count now.
fn given(user: Expr, offered: &OfferedPlans, now: i64) -> SelectStatement {
    let lasts = Condition::any().add(column("until").is_null()).add(column("until").gt(now));
    let mut rows = Query::select();
    rows.from(Alias::new(TABLE)).and_where(column("user_id").eq(user)).cond_where(lasts);
    if !offered.names.is_empty() {
        rows.and_where(column("plan").is_in(offered.names.iter().cloned()));
    }
    rows
}

/// The plan of a user.
pub(super) async fn plan_of(
    transaction: &DatabaseTransaction,
    user: Uuid,
    offered: &OfferedPlans,
    now: i64,
) -> Result<String, StoreError> {
    let failed = |failure| run_time(&failure);
    let asked = given(Expr::value(user), offered, now).column(Alias::new("plan")).take();
    let row = transaction.query_one(&asked).await.map_err(failed)?;
    row.map_or(Ok(offered.default.clone()), |row| row.try_get("", "plan").map_err(failed))
}

/// Rows whose user has one of these plans.
pub(super) fn has_one_of(
    user: impl IntoSimpleExpr,
    plans: &BTreeSet<String>,
    offered: &OfferedPlans,
    now: i64,
) -> Condition {
    let any = given(user.into_simple_expr(), offered, now).expr(Expr::val(1)).take();
    let wanted = any.clone().and_where(column("plan").is_in(plans.iter().cloned())).take();
    let has = Condition::any().add(Expr::exists(wanted));
    if plans.contains(&offered.default) { has.add(Expr::exists(any).not()) } else { has }
}

/// Rows whose user is neither suspended nor being deleted.
pub(super) fn is_active(user: impl IntoSimpleExpr) -> Expr {
    let of_user = |name: &'static str| Expr::col((Alias::new(USERS), Alias::new(name)));
    let active = Query::select()
        .expr(Expr::val(1))
        .from(Alias::new(USERS))
        .and_where(of_user("id").eq(user.into_simple_expr()))
        .and_where(of_user("state").eq(UserState::Active.as_str()))
        .take();
    Expr::exists(active)
}
