//! On whose behalf something is asked for, and what that caller may do.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AdminId, UserId};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The operator on the daemon's own machine, who may act for every user.
    Operator,
    /// One of the staff, who may act for every user as far as the role goes.
    Admin(AdminId, Role),
    /// A user, who sees and changes what is theirs.
    User(UserId),
}

impl Caller {
    /// Whether something of this owner is the caller's affair.
    #[must_use]
    pub fn reaches(self, owner: UserId) -> bool {
        match self {
            Self::Operator | Self::Admin(..) => true,
            Self::User(id) => id == owner,
        }
    }

    /// Whether the caller acts for others: the operator and the staff.
    #[must_use]
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Operator | Self::Admin(..))
    }
}

/// What a member of the staff is for. The operator has every role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, the other admins and the allow-list included.
    Owner,
    /// Users, accounts, pairs, queues, sessions, dead letters.
    Support,
    /// Plans, orders, payments, coupons.
    Billing,
    /// Announcements, blog, meta tags.
    Content,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Support, Self::Billing, Self::Content];

    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Support => "support",
            Self::Billing => "billing",
            Self::Content => "content",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("unknown role {text:?}"))
    }
}

/// What an API key may be used for. A user who signed in may everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// See accounts, their chats and their sign-ins.
    #[serde(rename = "accounts:read")]
    AccountsRead,
    /// Connect, change, reconnect and remove accounts.
    #[serde(rename = "accounts:write")]
    AccountsWrite,
    /// See pairs.
    #[serde(rename = "pairs:read")]
    PairsRead,
    /// Add, change, pause, resume and remove pairs.
    #[serde(rename = "pairs:write")]
    PairsWrite,
    /// See deliveries.
    #[serde(rename = "deliveries:read")]
    DeliveriesRead,
    /// Replay deliveries.
    #[serde(rename = "deliveries:write")]
    DeliveriesWrite,
    /// See analytics and reports, ask for reports.
    #[serde(rename = "reports")]
    Reports,
    /// Listen to the stream of events.
    #[serde(rename = "events")]
    Events,
    /// See the profile, the plan and what of it is used.
    #[serde(rename = "profile:read")]
    ProfileRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 9] = [
        Self::AccountsRead,
        Self::AccountsWrite,
        Self::PairsRead,
        Self::PairsWrite,
        Self::DeliveriesRead,
        Self::DeliveriesWrite,
        Self::Reports,
        Self::Events,
        Self::ProfileRead,
    ];

    /// The name in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountsRead => "accounts:read",
            Self::AccountsWrite => "accounts:write",
            Self::PairsRead => "pairs:read",
            Self::PairsWrite => "pairs:write",
            Self::DeliveriesRead => "deliveries:read",
            Self::DeliveriesWrite => "deliveries:write",
            Self::Reports => "reports",
            Self::Events => "events",
            Self::ProfileRead => "profile:read",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("unknown scope {text:?}"))
    }
}
