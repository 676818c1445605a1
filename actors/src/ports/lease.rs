//! What the domain asks of the cluster: which node may use which account, and until when.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::model::{AccountId, Fence, NodeId};

/// Node lease and account assignments: no two nodes ever use one account.
#[async_trait]
pub trait Lease: Send + Sync {
    /// This daemon's node.
    fn node(&self) -> NodeId;

    /// Takes or renews the node's lease for `ttl`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn renew(&self, ttl: Duration) -> Result<DateTime<Utc>, StoreError>;

    /// Assigns an account to this node under a new epoch. The same node retakes its own at once; another node only
    /// after the owner's lease has ended, and a Telegram session no earlier than 90 s after the owner last renewed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] with the owner's fence while another node keeps the account;
    /// [`StoreError::Unavailable`] when this node holds no lease: renew first.
    async fn assign(&self, account: AccountId) -> Result<Fence, StoreError>;

    /// Active accounts that this node might take now because the node that had each of them is gone: with the fence of that
    /// last owner, which is not renewed. A claim is made by [`assign`](Self::assign) alone.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn orphans(&self) -> Result<Vec<Fence>, StoreError>;

    /// Whether an account still belongs to an assignment: what is not written needs to ask.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it does not.
    async fn check(&self, fence: Fence) -> Result<(), StoreError>;
}
