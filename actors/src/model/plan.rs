//! What a user may use: the plan by its name, what it allows of messages, and how the user stands.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeliveryId, Money};

/// Most characters of a plan's name.
const NAME_MAX: usize = 32;

/// Milliseconds of a UTC day.
const DAY_MS: i64 = 86_400_000;

/// The name by which configuration, store and API know a plan: lower-case letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", inline)]
pub struct PlanName(String);

impl PlanName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlanName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for PlanName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if text.is_empty() || text.len() > NAME_MAX || !text.chars().all(good) {
            return Err(format!("{text:?} is no plan's name: 1 to {NAME_MAX} of a-z, 0-9 and _"));
        }
        Ok(Self(text))
    }
}

impl From<PlanName> for String {
    fn from(name: PlanName) -> Self {
        name.0
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A day in UTC, by which messages are metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a time, Unix milliseconds.
    #[must_use]
    pub const fn of(millis: i64) -> Self {
        Self(millis.div_euclid(DAY_MS))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// When it ends, which is when the next one begins, Unix milliseconds.
    #[must_use]
    pub const fn end(self) -> i64 {
        self.0.saturating_add(1).saturating_mul(DAY_MS)
    }
}

/// What a user may have and use, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name by which it is asked for.
    pub name: PlanName,
    /// The name that people see.
    pub title: String,
    /// The price of a month.
    pub monthly: Money,
    /// The price of a year.
    pub yearly: Money,
    /// Connected accounts; absent: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<u64>,
    /// Forwarding pairs; absent: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u64>,
    /// New messages that are delivered on one day, from midnight to midnight UTC; edits and deletions are free, and
    /// more than this waits. Absent: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_day: Option<u64>,
    /// Requests to the API in a minute, by all keys and sign-ins of the user together.
    pub requests_per_minute: NonZeroU32,
    /// What else it brings, by short names.
    pub features: Vec<String>,
}

/// The plans that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plans {
    /// Of users who were given none, or one that is not offered any more.
    default: Plan,
    /// Of users that the operator's own machine makes.
    operator: PlanName,
    /// All, in the order in which they are offered.
    list: Vec<Plan>,
}

impl Plans {
    /// The plans of a list.
    ///
    /// # Errors
    /// What is wrong with it: a name that is there twice or not at all.
    pub fn new(list: Vec<Plan>, default: &PlanName, operator: &PlanName) -> Result<Self, String> {
        let find = |name: &PlanName| list.iter().find(|plan| plan.name == *name);
        for plan in &list {
            if list.iter().filter(|other| other.name == plan.name).count() > 1 {
                return Err(format!("plan {} is there twice", plan.name));
            }
        }
        let missing = |name: &PlanName| format!("there is no plan {name}");
        let default = find(default).ok_or_else(|| missing(default))?.clone();
        let operator = find(operator).ok_or_else(|| missing(operator))?.name.clone();
        Ok(Self { default, operator, list })
    }

    /// All, in the order in which they are offered.
    #[must_use]
    pub fn all(&self) -> &[Plan] {
        &self.list
    }

    /// The plan of that name.
    #[must_use]
    pub fn get(&self, name: &PlanName) -> Option<&Plan> {
        self.list.iter().find(|plan| plan.name == *name)
    }

    /// What applies to a user who was given this plan, or none.
    #[must_use]
    pub fn of(&self, given: Option<&PlanName>) -> &Plan {
        given.and_then(|name| self.get(name)).unwrap_or(&self.default)
    }

    /// The plan of users that the operator's own machine makes.
    #[must_use]
    pub const fn operator(&self) -> &PlanName {
        &self.operator
    }

    /// Messages a day, by plan.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        let by_plan = self.list.iter().map(|plan| (plan.name.clone(), plan.messages_per_day)).collect();
        Quotas { default: self.default.messages_per_day, by_plan }
    }
}

/// How many messages a day each plan delivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// For users without a plan, or with one that is not configured any more; `None`: as many as come.
    pub default: Option<u64>,
    /// By plan; `None`: as many as come.
    pub by_plan: BTreeMap<PlanName, Option<u64>>,
}

impl Quotas {
    /// What a user's plan allows.
    #[must_use]
    pub fn of(&self, plan: Option<&PlanName>) -> Option<u64> {
        plan.and_then(|plan| self.by_plan.get(plan)).copied().unwrap_or(self.default)
    }
}

/// How a user stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether nothing of theirs may run.
    pub suspended: bool,
    /// Their plan; `None` while none was given to them.
    pub plan: Option<PlanName>,
    /// Until when it is theirs, Unix milliseconds; then they have the default one. `None`: without an end.
    pub plan_until: Option<i64>,
}

/// What a user used of a day's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// New messages that are confirmed as delivered.
    pub delivered: u64,
    /// New messages handed to a platform, in part or whole, whose delivery is not complete: each may stand at its target.
    pub begun: Vec<DeliveryId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_days_begin_at_midnight_utc() {
        assert!("free".parse::<PlanName>().is_ok());
        for wrong in ["", "Free", "a b", &"x".repeat(33)] {
            assert!(wrong.parse::<PlanName>().is_err(), "{wrong}");
        }
        assert_eq!(Day::of(86_399_999).number(), 0);
        assert_eq!(Day::of(86_400_000).number(), 1);
        assert_eq!(Day::of(-1).number(), -1);
        assert_eq!(Day::of(0).end(), 86_400_000);
    }

    #[test]
    fn a_plan_that_is_gone_counts_as_none() {
        let pro: PlanName = "pro".parse().unwrap();
        let quotas = Quotas { default: Some(5), by_plan: BTreeMap::from([(pro.clone(), None)]) };
        assert_eq!(quotas.of(None), Some(5));
        assert_eq!(quotas.of(Some(&pro)), None);
        assert_eq!(quotas.of(Some(&"gone".parse().unwrap())), Some(5));
    }
}
