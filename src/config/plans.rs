//! Section `plans`: what users may have and use, and what it costs.

use serde::Deserialize;
use switchyard_actors::model::{Plan, PlanName, Plans};

use super::check::Check;

/// The plans.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlansConfig {
    /// Of users who were given none.
    pub default: PlanName,
    /// Of users that the operator's own machine makes.
    pub operator: PlanName,
    /// All, in the order in which they are offered.
    pub list: Vec<Plan>,
}

impl PlansConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        let plans = Plans::new(self.list.clone(), &self.default, &self.operator);
        if let Err(reason) = plans {
            check.refuse("plans.list", reason);
        }
        let currency = |plan: &Plan| [plan.monthly.currency.clone(), plan.yearly.currency.clone()];
        let mut currencies = self.list.iter().flat_map(currency);
        let first = currencies.next();
        check.refuse_if(
            currencies.any(|other| Some(other) != first),
            "plans.list",
            "all prices must be in one currency",
        );
    }
}
