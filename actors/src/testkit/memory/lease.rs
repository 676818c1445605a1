//! Leases of nodes and assignments of accounts in memory, with epochs, the fencing tokens.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MemoryStore, State};
use crate::model::{Account, AccountId, AccountKind, AccountState, Epoch, Fence, NodeId, Platform};
use crate::ports::{Lease, StoreError};

/// How long after its owner's last renewal a Telegram session may go to another node, as in the real store.
pub const TELEGRAM_TAKEOVER: Duration = Duration::from_secs(90);

/// A node's lease, by the clock of the node that wrote it.
pub(super) struct NodeLease {
    renewed_at: i64,
    until: i64,
}

/// Who works for an account.
#[derive(Clone, Copy)]
pub(super) struct Assignment {
    node: NodeId,
    epoch: i64,
}

impl State {
    /// Refuses a writer whose assignment is no longer the account's.
    pub(super) fn check(&self, fence: Fence) -> Result<(), StoreError> {
        match self.assignments.get(&fence.account) {
            Some(held) if held.node == fence.node && held.epoch == fence.epoch.get() => Ok(()),
            _ => Err(StoreError::Fenced(fence)),
        }
    }

    /// Whether the owner's lease has ended, and for Telegram whether its connection is gone too.
    fn may_take_over(&self, owner: NodeId, kind: AccountKind, now: i64) -> bool {
        let Some(lease) = self.nodes.get(&owner) else { return true };
        let grace = match kind.platform() {
            Platform::Telegram => millis(TELEGRAM_TAKEOVER),
            Platform::Discord => 0,
        };
        lease.until <= now && lease.renewed_at.saturating_add(grace) <= now
    }
}

impl MemoryStore {
    /// The account's fence as it counts now; none before its first assignment.
    #[must_use]
    pub fn owner(&self, account: AccountId) -> Option<Fence> {
        let held = self.peek().assignments.get(&account).copied()?;
        Some(Fence { account, node: held.node, epoch: Epoch::new(held.epoch) })
    }

    /// Until when this node's lease lasts by its own clock; none before it took one.
    #[must_use]
    pub fn lease_until(&self) -> Option<DateTime<Utc>> {
        let until = self.peek().nodes.get(&self.node)?.until;
        DateTime::from_timestamp_millis(until)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Lease for MemoryStore {
    fn node(&self) -> NodeId {
        self.node
    }

    async fn renew(&self, ttl: Duration) -> Result<DateTime<Utc>, StoreError> {
        let now = self.now_ms();
        let until = now.saturating_add(millis(ttl));
        self.lock()?.nodes.insert(self.node, NodeLease { renewed_at: now, until });
        Ok(DateTime::from_timestamp_millis(until).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    async fn assign(&self, account: AccountId) -> Result<Fence, StoreError> {
        let now = self.now_ms();
        let mut state = self.lock()?;
        if state.refuses_assignments {
            return Err(StoreError::Unavailable("told so by the test".to_owned()));
        }
        if state.nodes.get(&self.node).is_none_or(|lease| lease.until <= now) {
            return Err(StoreError::Unavailable("this node holds no lease: renew it first".to_owned()));
        }
        let kind = state.accounts.get(&account).map(|account| account.kind);
        let kind = kind.ok_or_else(|| StoreError::NotFound(format!("account {account}")))?;
        let held = state.assignments.get(&account).copied();
        if let Some(held) = held.filter(|held| held.node != self.node)
            && !state.may_take_over(held.node, kind, now)
        {
            return Err(StoreError::Fenced(Fence {
                account,
                node: held.node,
                epoch: Epoch::new(held.epoch),
            }));
        }
        let epoch = held.map_or(0, |held| held.epoch).saturating_add(1);
        state.assignments.insert(account, Assignment { node: self.node, epoch });
        Ok(Fence { account, node: self.node, epoch: Epoch::new(epoch) })
    }

    async fn orphans(&self) -> Result<Vec<Fence>, StoreError> {
        let now = self.now_ms();
        let state = self.lock()?;
        let is_orphan = |account: &Account, held: &Assignment| {
            account.state == AccountState::Active
                && held.node != self.node
                && state.may_take_over(held.node, account.kind, now)
        };
        let held = state.assignments.iter().filter_map(|(id, held)| Some((state.accounts.get(id)?, held)));
        let orphans = held.filter(|(account, held)| is_orphan(account, held));
        let fence = |(account, held): (&Account, &Assignment)| Fence {
            account: account.id,
            node: held.node,
            epoch: Epoch::new(held.epoch),
        };
        Ok(orphans.map(fence).collect())
    }

    async fn check(&self, fence: Fence) -> Result<(), StoreError> {
        self.lock()?.check(fence)
    }
}
