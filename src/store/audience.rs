//! Which plan a user has, for audiences: users without a plan of their own have the default one.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, IntoSimpleExpr};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::error::run_time;

/// The plan that an audience has where none is named.
pub(super) const FREE: &str = "free";
const TABLE: &str = "user_plans";

/// The plan of a user; `default` is that of users to whom none was given.
pub(super) async fn plan_of(
    transaction: &DatabaseTransaction,
    user: Uuid,
    default: &str,
) -> Result<String, StoreError> {
    let failed = |failure| run_time(&failure);
    let asked = Query::select()
        .column(Alias::new("plan"))
        .from(Alias::new(TABLE))
        .and_where(Expr::col(Alias::new("user_id")).eq(user))
        .take();
    let row = transaction.query_one(&asked).await.map_err(failed)?;
    row.map_or(Ok(default.to_owned()), |row| row.try_get("", "plan").map_err(failed))
}

/// Rows whose user has one of these plans; `default` as for [`plan_of`].
pub(super) fn has_one_of(
    user: impl IntoSimpleExpr + Clone,
    plans: &BTreeSet<String>,
    default: &str,
) -> Condition {
    let asked = |only: bool| {
        let mut rows = Query::select();
        rows.expr(Expr::val(1)).from(Alias::new(TABLE)).and_where(
            Expr::col((Alias::new(TABLE), Alias::new("user_id"))).eq(user.clone().into_simple_expr()),
        );
        if only {
            rows.and_where(Expr::col((Alias::new(TABLE), Alias::new("plan"))).is_in(plans.iter().cloned()));
        }
        rows.take()
    };
    let given = Condition::any().add(Expr::exists(asked(true)));
    if plans.contains(default) { given.add(Expr::exists(asked(false)).not()) } else { given }
}
