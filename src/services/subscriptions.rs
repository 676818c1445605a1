//! What providers bill users for: the port that payments fill, and what is true while there are none.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Money, UserId};

use super::fault::Fault;

/// Who takes the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentProvider {
    /// PayPal.
    Paypal,
    /// NowPayments.
    Nowpayments,
}

/// How long one payment lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillingPeriod {
    /// A month.
    Month,
    /// A year.
    Year,
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// It is paid and goes on.
    Active,
    /// A payment is due; the plan stays until the grace is over.
    Grace,
    /// It was cancelled; the plan stays for as long as it is paid.
    Cancelled,
    /// It is over.
    Expired,
}

/// What a user is billed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subscription {
    /// Who takes the money.
    pub provider: PaymentProvider,
    /// How it stands.
    pub state: SubscriptionState,
    /// What a period costs this user.
    pub price: Money,
    /// How long a payment lasts.
    pub period: BillingPeriod,
    /// Paid through.
    pub paid_through: DateTime<Utc>,
    /// When the grace of a payment that is due is over.
    pub grace_until: Option<DateTime<Utc>>,
    /// The coupon that was redeemed with it.
    pub coupon: Option<String>,
}

/// What providers bill users for.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// What these users are billed for; who is not is missing.
    ///
    /// # Errors
    /// [`Fault`].
    async fn of(&self, users: &[UserId]) -> Result<HashMap<UserId, Subscription>, Fault>;

    /// Ends what is billed to a user. One without anything is done already.
    ///
    /// # Errors
    /// [`Fault`]; then it is tried again.
    async fn end(&self, user: UserId) -> Result<(), Fault>;
}

/// Nothing is billed here.
#[derive(Clone, Copy, Debug)]
pub struct NoSubscriptions;

#[async_trait]
impl Subscriptions for NoSubscriptions {
    async fn of(&self, _users: &[UserId]) -> Result<HashMap<UserId, Subscription>, Fault> {
        Ok(HashMap::new())
    }

    async fn end(&self, _user: UserId) -> Result<(), Fault> {
        Ok(())
    }
}
