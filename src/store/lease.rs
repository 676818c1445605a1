//! Node leases and account assignments with epochs, the fencing tokens.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
};
use switchyard_actors::model::{AccountId, AccountKind, AccountState, Epoch, Fence, NodeId, Platform};
use switchyard_actors::ports::{Lease, StoreError};
use uuid::Uuid;

use super::entity::{account, assignment, node};
use super::error::run_time;
use super::{Store, fence, rows, time_of};

/// How long after its owner's last renewal a Telegram session may go to another node: the owner's connection asked the
/// server to close it after 75 s of silence (`ping_delay_disconnect`, core.telegram.org/api/pfs and
/// core.telegram.org/mtproto/service_messages), so that a frozen owner's connection is gone by then.
pub const TELEGRAM_TAKEOVER: Duration = Duration::from_secs(90);

#[async_trait]
impl Lease for Store {
    fn node(&self) -> NodeId {
        self.parts.node
    }

    async fn renew(&self, ttl: Duration) -> Result<DateTime<Utc>, StoreError> {
        let (now, id) = (self.now(), self.parts.node.as_uuid());
        let until = now.saturating_add(millis(ttl));
        let row = node::ActiveModel { id: Set(id), renewed_at: Set(now), lease_until: Set(until) };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                node::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(node::Column::Id)
                            .update_columns([node::Column::RenewedAt, node::Column::LeaseUntil])
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| time_of(until))
    }

    async fn assign(&self, account: AccountId) -> Result<Fence, StoreError> {
        let (now, node) = (self.now(), self.parts.node);
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { take(transaction, account, node, now).await }));
        write.await
    }

    async fn orphans(&self) -> Result<Vec<Fence>, StoreError> {
        let (now, ours) = (self.now(), self.parts.node.as_uuid());
        let nodes = self.read(node::Entity::find().all(&self.readers)).await?;
        // Who keeps every account, and who keeps a Telegram session only.
        let keeps = |lease: &node::Model| lease.id == ours || !is_over(lease, Duration::ZERO, now);
        let keeps_telegram = |lease: &node::Model| !is_over(lease, TELEGRAM_TAKEOVER, now);
        if nodes.iter().all(keeps) {
            return Ok(Vec::new());
        }
        let keepers = nodes.iter().filter(|lease| keeps(lease)).map(|lease| lease.id);
        let of_account = assignment::Entity::belongs_to(account::Entity)
            .from(assignment::Column::AccountId)
            .to(account::Column::Id);
        let found = assignment::Entity::find()
            .join(JoinType::InnerJoin, of_account.into())
            .filter(assignment::Column::NodeId.is_not_in(keepers))
            .filter(account::Column::State.eq(AccountState::Active.as_str()))
            .select_only()
            .columns([assignment::Column::AccountId, assignment::Column::NodeId, assignment::Column::Epoch])
            .column(account::Column::Kind)
            .order_by_asc(assignment::Column::AccountId)
            .into_tuple::<(Uuid, Uuid, i64, String)>();
        let silent: HashSet<Uuid> =
            nodes.iter().filter(|lease| keeps_telegram(lease)).map(|lease| lease.id).collect();
        let mut orphans = Vec::new();
        for (account, owner, epoch, kind) in self.read(found.all(&self.readers)).await? {
            let kind: AccountKind = rows::word(&kind)?;
            if kind.platform() == Platform::Discord || !silent.contains(&owner) {
                let (account, node) = (AccountId::from_uuid(account), NodeId::from_uuid(owner));
                orphans.push(Fence { account, node, epoch: Epoch::new(epoch) });
            }
        }
        Ok(orphans)
    }

    async fn check(&self, fence: Fence) -> Result<(), StoreError> {
        let row = assignment::Entity::find_by_id(fence.account.as_uuid());
        let row = self.read(row.one(&self.readers)).await?;
        if row.is_some_and(|row| fence::is_held(&row, fence)) {
            Ok(())
        } else {
            Err(StoreError::Fenced(fence))
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Takes the account, or answers with the fence of the node that keeps it.
async fn take(
    transaction: &DatabaseTransaction,
    account: AccountId,
    node: NodeId,
    now: i64,
) -> Result<Fence, StoreError> {
    let failed = |failure| run_time(&failure);
    let ours = node::Entity::find_by_id(node.as_uuid()).one(transaction).await.map_err(failed)?;
    if ours.is_none_or(|lease| lease.lease_until <= now) {
        return Err(StoreError::Unavailable("this node holds no lease: renew it first".to_owned()));
    }
    let kind = kind_of(transaction, account).await?;
    let first = assignment::ActiveModel {
        account_id: Set(account.as_uuid()),
        node_id: Set(node.as_uuid()),
        epoch: Set(0),
        assigned_at: Set(now),
    };
    // Makes the row if it is not there, so that two nodes never both believe to be the first.
    assignment::Entity::insert(first)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await
        .map_err(failed)?;
    let held = assignment::Entity::find_by_id(account.as_uuid())
        .lock_exclusive()
        .one(transaction)
        .await
        .map_err(failed)?
        .ok_or_else(|| StoreError::NotFound(format!("assignment of account {account}")))?;
    if held.node_id != node.as_uuid() && !may_take_over(transaction, held.node_id, kind, now).await? {
        let owner = NodeId::from_uuid(held.node_id);
        return Err(StoreError::Fenced(Fence { account, node: owner, epoch: Epoch::new(held.epoch) }));
    }
    let epoch = held.epoch.saturating_add(1);
    let change = assignment::ActiveModel {
        account_id: Set(account.as_uuid()),
        node_id: Set(node.as_uuid()),
        epoch: Set(epoch),
        assigned_at: Set(now),
    };
    assignment::Entity::update(change).exec(transaction).await.map_err(failed)?;
    Ok(Fence { account, node, epoch: Epoch::new(epoch) })
}

async fn kind_of(transaction: &DatabaseTransaction, id: AccountId) -> Result<AccountKind, StoreError> {
    let row = account::Entity::find_by_id(id.as_uuid())
        .one(transaction)
        .await
        .map_err(|failure| run_time(&failure))?
        .ok_or_else(|| StoreError::NotFound(format!("account {id}")))?;
    rows::word(&row.kind)
}

/// Whether the owner's lease has ended, and for Telegram whether its connection is gone too.
async fn may_take_over(
    transaction: &DatabaseTransaction,
    owner: Uuid,
    kind: AccountKind,
    now: i64,
) -> Result<bool, StoreError> {
    // Held, so that the owner cannot renew between this look and our commit.
    let lease = node::Entity::find_by_id(owner)
        .lock_exclusive()
        .one(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    let Some(lease) = lease else { return Ok(true) };
    let silence = match kind.platform() {
        Platform::Telegram => TELEGRAM_TAKEOVER,
        Platform::Discord => Duration::ZERO,
    };
    Ok(is_over(&lease, silence, now))
}

/// Whether a lease has ended, and was last renewed at least so long ago.
fn is_over(lease: &node::Model, silence: Duration, now: i64) -> bool {
    lease.lease_until <= now && lease.renewed_at.saturating_add(millis(silence)) <= now
}
