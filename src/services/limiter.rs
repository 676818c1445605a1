//! How often the API may be called: by a user and by each key of theirs at once, by an admin, and by an address that says not
//! who it is.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_actors::model::{AdminId, ApiKeyId, UserId};

use super::caller::Caller;
use super::entry::Via;
use super::fault::Fault;
use crate::store::{Asked, RateLimits};

pub use crate::store::{ApiLimit, Standing};

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user, whatever they call with.
    User(UserId, ApiLimit),
    /// One key of a user.
    Key(ApiKeyId, ApiLimit),
    /// Somebody of the staff.
    Admin(AdminId, ApiLimit),
    /// A network address, of IPv6 its /64: so much one customer of a network has at least (RFC 6177, section 2).
    Address(IpAddr, ApiLimit),
}

impl Subject {
    /// The limit's name in the headers of an answer.
    #[must_use]
    pub const fn policy(self) -> &'static str {
        match self {
            Self::User(..) => "user",
            Self::Key(..) => "key",
            Self::Admin(..) => "admin",
            Self::Address(..) => "address",
        }
    }

    /// The limit.
    #[must_use]
    pub const fn limit(self) -> ApiLimit {
        match self {
            Self::User(_, limit) | Self::Key(_, limit) | Self::Admin(_, limit) | Self::Address(_, limit) => {
                limit
            }
        }
    }

    fn asked(self) -> Asked {
        let subject = match self {
            Self::User(id, _) => format!("user/{id}"),
            Self::Key(id, _) => format!("key/{id}"),
            Self::Admin(id, _) => format!("admin/{id}"),
            Self::Address(address, _) => format!("address/{}", block(address)),
        };
        Asked { subject, limit: self.limit() }
    }
}

/// What one caller of a network is counted by: the address, of IPv6 its /64. An IPv4 address in IPv6's clothes is one of IPv4.
#[must_use]
pub fn block(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

/// How one limit stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: &'static str,
    /// What it allows.
    pub limit: ApiLimit,
    /// What is left of it; none where that was not looked up, because another limit refused.
    pub standing: Option<Standing>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may go on; if not it was counted for nobody.
    pub granted: bool,
    /// Every limit that it is under.
    pub policies: Vec<Policy>,
}

impl Verdict {
    /// How long a refused caller waits at least: until every limit that is used up has something again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        let standings = self.policies.iter().filter_map(|policy| policy.standing);
        standings
            .filter(|standing| standing.remaining == 0)
            .map(|standing| standing.reset)
            .max()
            .unwrap_or_default()
    }
}

/// Counts requests against limits.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Counts one request for all of these subjects, or for none.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]: nothing was counted, nothing may go on.
    async fn take(&self, subjects: &[Subject]) -> Result<Verdict, Fault>;
}

#[async_trait]
impl Limiter for RateLimits {
    async fn take(&self, subjects: &[Subject]) -> Result<Verdict, Fault> {
        let asked: Vec<Asked> = subjects.iter().map(|subject| subject.asked()).collect();
        let taken = Self::take(self, &asked).await?;
        let policies = subjects.iter().zip(taken.standings).map(|(subject, standing)| Policy {
            name: subject.policy(),
            limit: subject.limit(),
            standing,
        });
        Ok(Verdict { granted: taken.granted, policies: policies.collect() })
    }
}

/// What a user may call for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// All of the user's calls together.
    pub user: ApiLimit,
    /// Those of one key.
    pub key: ApiLimit,
}

/// Says what a user may call for, by their plan.
#[async_trait]
pub trait Allowances: Send + Sync {
    /// What this user may call for now.
    ///
    /// # Errors
    /// [`Fault`].
    async fn of(&self, user: UserId) -> Result<Allowance, Fault>;
}

#[async_trait]
impl Allowances for Allowance {
    /// The same for everybody.
    async fn of(&self, _: UserId) -> Result<Allowance, Fault> {
        Ok(*self)
    }
}

/// Limits that no plan changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedLimits {
    /// Of one address, over all its calls that need no credential.
    pub open: ApiLimit,
    /// Of one admin.
    pub admin: ApiLimit,
}

/// Who may call how often: the limits of every kind of caller, and what counts.
#[derive(Clone)]
pub struct CallLimits {
    limiter: Arc<dyn Limiter>,
    allowances: Arc<dyn Allowances>,
    fixed: FixedLimits,
}

impl CallLimits {
    /// Puts it together.
    #[must_use]
    pub fn new(limiter: Arc<dyn Limiter>, allowances: Arc<dyn Allowances>, fixed: FixedLimits) -> Self {
        Self { limiter, allowances, fixed }
    }

    /// Counts a request of somebody who is known. The operator, on this machine, is under no limit: none is the answer.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn known(&self, caller: Caller, via: Via) -> Result<Option<Verdict>, Fault> {
        let subjects = match caller {
            Caller::Operator => return Ok(None),
            Caller::Admin(admin, _) => vec![Subject::Admin(admin, self.fixed.admin)],
            Caller::User(user) => {
                let allowed = self.allowances.of(user).await?;
                let mut subjects = vec![Subject::User(user, allowed.user)];
                if let Via::ApiKey(key) = via {
                    subjects.push(Subject::Key(key, allowed.key));
                }
                subjects
            }
        };
        self.limiter.take(&subjects).await.map(Some)
    }

    /// Counts a request of somebody of whom only the address is known.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn unknown(&self, address: IpAddr) -> Result<Verdict, Fault> {
        self.limiter.take(&[Subject::Address(address, self.fixed.open)]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_by_what_one_caller_has() {
        for (address, counted) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(block(address.parse().unwrap()), counted, "{address}");
        }
    }
}
