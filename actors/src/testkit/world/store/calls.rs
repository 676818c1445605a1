//! Every port of the store, each call on its trip.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretSlice;

use super::NodeStore;
use crate::model::{
    Account, AccountId, AccountState, Alert, ChatId, Cursor, Day, Delivery, DeliveryId, Fence, MessageCopy,
    MessageId, NodeId, OpenRoute, Origin, Pair, PairId, PauseCause, Place, RichText, RouteId, RouteVerdict,
    SourceEvent, Standing, Usage, UserId,
};
use crate::ports::{
    Credentials, Directory, Intake, IntakeReceipt, IntakeUnit, Jobs, Lease, Notice, Outbox, QueuePauses,
    Routes, Standings, StoreError, ThrottleMemory, TryResult,
};
use crate::testkit::world::Sabotage;

#[async_trait]
impl Intake for NodeStore {
    async fn record(&self, fence: Fence, unit: &IntakeUnit) -> Result<IntakeReceipt, StoreError> {
        let (fence, unit) = (self.fence(fence), unit.clone());
        self.write(move |store| async move { store.inner.record(fence, &unit).await }).await
    }

    async fn cursors(&self, account: AccountId) -> Result<Vec<Cursor>, StoreError> {
        self.read(self.inner.cursors(account)).await
    }
}

impl NodeStore {
    /// With a sabotage, says something else than was written.
    fn garbled(&self, mut claimed: Vec<OpenRoute>) -> Vec<OpenRoute> {
        for route in claimed.iter_mut().filter(|_| self.is(Sabotage::TextsAreGarbled)) {
            if let SourceEvent::New(message) = &mut route.event {
                message.text = RichText::plain(format!("{}x", message.text.text()));
            }
        }
        claimed
    }
}

#[async_trait]
impl Routes for NodeStore {
    async fn pair(&self, id: PairId) -> Result<Pair, StoreError> {
        self.read(self.inner.pair(id)).await
    }

    async fn claim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        let claimed = self.write(move |store| async move { store.inner.claim(pair, limit).await }).await?;
        Ok(self.garbled(claimed))
    }

    async fn reclaim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        let claimed = self.read(self.inner.reclaim(pair, limit)).await?;
        Ok(self.garbled(claimed))
    }

    async fn forwarded(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<u16>, StoreError> {
        self.read(self.inner.forwarded(pair, chat, message)).await
    }

    async fn origins(
        &self,
        reader: AccountId,
        place: Place,
        messages: &[(MessageId, Option<i64>)],
        since: i64,
    ) -> Result<Vec<Origin>, StoreError> {
        self.read(self.inner.origins(reader, place, messages, since)).await
    }

    async fn close(
        &self,
        fence: Fence,
        pair: PairId,
        verdicts: &[(RouteId, RouteVerdict)],
    ) -> Result<(), StoreError> {
        let (fence, verdicts) = (self.fence(fence), verdicts.to_vec());
        self.write(move |store| async move {
            store.inner.close(fence, pair, &verdicts).await?;
            if store.is(Sabotage::DeliveriesAreLost) {
                store.inner.lose_delivery();
            }
            Ok(())
        })
        .await
    }

    async fn set_pause(&self, pair: PairId, cause: PauseCause, on: bool) -> Result<(), StoreError> {
        if self.is(Sabotage::PausesAreForgotten) {
            return Ok(());
        }
        self.write(move |store| async move { store.inner.set_pause(pair, cause, on).await }).await
    }
}

#[async_trait]
impl Outbox for NodeStore {
    async fn lanes(&self, account: AccountId) -> Result<Vec<PairId>, StoreError> {
        self.read(self.inner.lanes(account)).await
    }

    async fn lane(
        &self,
        account: AccountId,
        pair: PairId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = if self.is(Sabotage::ReadsAreEndless) { u32::MAX } else { limit };
        let mut lane = self.read(self.inner.lane(account, pair, after, limit)).await?;
        if self.is(Sabotage::NewestGoesFirst) {
            lane.reverse();
        }
        Ok(lane)
    }

    async fn begin(&self, fence: Fence, delivery: DeliveryId, part: u16) -> Result<(), StoreError> {
        let fence = self.fence(fence);
        self.write(move |store| async move {
            store.inner.begin(fence, delivery, part).await?;
            store.weather.book.marked(delivery, part);
            Ok(())
        })
        .await
    }

    async fn copies(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageCopy>, StoreError> {
        self.read(self.inner.copies(pair, chat, message)).await
    }

    async fn counterpart(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        self.read(self.inner.counterpart(pair, chat, message)).await
    }

    async fn known_copies(&self, target: Place, limit: u32) -> Result<Vec<MessageId>, StoreError> {
        self.read(self.inner.known_copies(target, limit)).await
    }

    async fn finish(&self, fence: Fence, delivery: DeliveryId, result: &TryResult) -> Result<(), StoreError> {
        let (fence, result) = (self.fence(fence), result.clone());
        self.write(move |store| async move {
            store.inner.finish(fence, delivery, &result).await?;
            if let TryResult::Sent { part, .. } = result {
                store.weather.book.settled(delivery, part);
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl QueuePauses for NodeStore {
    async fn queue_pauses(&self, account: AccountId) -> Result<BTreeSet<PauseCause>, StoreError> {
        let paused = self.read(self.inner.queue_pauses(account)).await?;
        Ok(if self.is(Sabotage::PausesAreForgotten) { BTreeSet::new() } else { paused })
    }
}

#[async_trait]
impl Directory for NodeStore {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(self.inner.accounts()).await
    }

    async fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        self.read(self.inner.account(id)).await
    }

    async fn pairs(&self) -> Result<Vec<Pair>, StoreError> {
        self.read(self.inner.pairs()).await
    }

    async fn set_account_state(&self, id: AccountId, state: AccountState) -> Result<(), StoreError> {
        self.write(move |store| async move { store.inner.set_account_state(id, state).await }).await
    }
}

#[async_trait]
impl Lease for NodeStore {
    fn node(&self) -> NodeId {
        self.inner.node()
    }

    async fn renew(&self, ttl: Duration) -> Result<DateTime<Utc>, StoreError> {
        // With a sabotage the node believes what the store never wrote.
        let ttl = if self.is(Sabotage::LeasesAreShorter) { ttl / 5 } else { ttl };
        self.write(move |store| async move { store.inner.renew(ttl).await }).await
    }

    async fn assign(&self, account: AccountId) -> Result<Fence, StoreError> {
        let no_fences = self.is(Sabotage::NoFences);
        self.write(move |store| async move {
            let before = store.inner.owner(account);
            let fence = match store.inner.assign(account).await {
                Err(StoreError::Fenced(other)) if no_fences => Ok(other),
                other => other,
            }?;
            if before.is_some_and(|before| before.node != fence.node) {
                store.weather.book.count("takeovers");
            }
            let (life, epoch) = (store.life, fence.epoch.get());
            store.weather.book.log.note(&format!("node {} takes {account}, epoch {epoch}", life.node));
            Ok(Fence { node: store.inner.node(), ..fence })
        })
        .await
    }

    async fn orphans(&self) -> Result<Vec<Fence>, StoreError> {
        self.read(self.inner.orphans()).await
    }

    async fn check(&self, fence: Fence) -> Result<(), StoreError> {
        self.read(self.inner.check(self.fence(fence))).await
    }
}

#[async_trait]
impl Credentials for NodeStore {
    async fn secret(&self, account: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        self.read(self.inner.secret(account, name)).await
    }

    async fn set_secret(
        &self,
        account: AccountId,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<(), StoreError> {
        self.inner.set_secret(account, name, value).await
    }

    async fn peers(&self, account: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        self.read(self.inner.peers(account)).await
    }

    async fn set_peers(
        &self,
        account: AccountId,
        peers: &[(i64, SecretSlice<u8>)],
    ) -> Result<(), StoreError> {
        self.inner.set_peers(account, peers).await
    }
}

#[async_trait]
impl Notice for NodeStore {
    async fn raise(&self, alert: &Alert) -> Result<(), StoreError> {
        let alert = alert.clone();
        self.write(move |store| async move { store.inner.raise(&alert).await }).await
    }
}

#[async_trait]
impl Jobs for NodeStore {
    async fn last_run(&self, job: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read(self.inner.last_run(job)).await
    }

    async fn ran(&self, job: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let job = job.to_owned();
        self.write(move |store| async move { store.inner.ran(&job, at).await }).await
    }

    async fn purge(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.write(move |store| async move { store.inner.purge(before, limit).await }).await
    }
}

#[async_trait]
impl ThrottleMemory for NodeStore {
    async fn throttle_state(&self, identity: &str) -> Result<Option<String>, StoreError> {
        self.read(self.inner.throttle_state(identity)).await
    }

    async fn set_throttle_state(
        &self,
        identity: &str,
        fence: Option<Fence>,
        state: &str,
    ) -> Result<(), StoreError> {
        if self.is(Sabotage::FarewellsHang) && self.weather.is_farewell() {
            return std::future::pending().await;
        }
        let (identity, state) = (identity.to_owned(), state.to_owned());
        let exported = self.weather.book.throttle_exports();
        self.write(move |store| async move {
            let fence = fence.map(|fence| store.fence(fence));
            store.inner.set_throttle_state(&identity, fence, &state).await?;
            store.weather.book.throttle_kept(&identity, store.life, exported);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Standings for NodeStore {
    async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        self.read(self.inner.standing(user)).await
    }

    async fn usage(&self, user: UserId, day: Day) -> Result<Usage, StoreError> {
        self.read(self.inner.usage(user, day)).await
    }

    async fn tell_limit(&self, user: UserId, day: Day) -> Result<bool, StoreError> {
        self.write(move |store| async move { store.inner.tell_limit(user, day).await }).await
    }
}
