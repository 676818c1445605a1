//! What was accepted from a source: events that are still kept, and messages that have copies.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{AccountId, EventKind, MessageId, Place};
use switchyard_actors::ports::{SourceLog, StoreError};

use super::Store;
use super::entity::{event, message_map, pair};

#[async_trait]
impl SourceLog for Store {
    async fn accepted(
        &self,
        account: AccountId,
        place: Place,
        up_to: i64,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut known = self.copied(account, place, up_to, limit).await?;
        let mut deleted = BTreeSet::new();
        for (message, kind) in self.kept_events(account, place, up_to, limit).await? {
            if kind == EventKind::Deleted.as_str() {
                deleted.insert(message);
            } else {
                known.insert(message);
            }
        }
        Ok(known.difference(&deleted).filter_map(|id| MessageId::new(*id).ok()).collect())
    }
}

impl Store {
    /// Messages of the place that have copies, whichever pair made them.
    async fn copied(
        &self,
        account: AccountId,
        place: Place,
        up_to: i64,
        limit: u32,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let pairs = pair::Entity::find()
            .filter(pair::Column::SourceAccount.eq(account.as_uuid()))
            .filter(pair::Column::SourcePlatform.eq(place.platform.as_str()))
            .filter(pair::Column::SourceChat.eq(place.chat.get()));
        let mut pairs = self.read(pairs.all(&self.readers)).await?;
        pairs.retain(|pair| pair.source_thread == place.thread.map(|thread| thread.get()));
        let mut copied = BTreeSet::new();
        // One by one: so each is a walk along the map's key.
        for pair in pairs {
            let found = message_map::Entity::find()
                .filter(message_map::Column::PairId.eq(pair.id))
                .filter(message_map::Column::SourceChat.eq(place.chat.get()))
                .filter(message_map::Column::SourceMessage.lte(up_to))
                .order_by_desc(message_map::Column::SourceMessage)
                .limit(u64::from(limit))
                .select_only()
                .column(message_map::Column::SourceMessage)
                .into_tuple::<i64>();
            copied.extend(self.read(found.all(&self.readers)).await?);
        }
        Ok(copied)
    }

    /// What was accepted and deleted, by message and kind; the newest messages first.
    async fn kept_events(
        &self,
        account: AccountId,
        place: Place,
        up_to: i64,
        limit: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let thread = place
            .thread
            .map_or_else(|| event::Column::Thread.is_null(), |thread| event::Column::Thread.eq(thread.get()));
        let kinds = [EventKind::New.as_str(), EventKind::Deleted.as_str()];
        let found = event::Entity::find()
            .filter(event::Column::AccountId.eq(account.as_uuid()))
            .filter(event::Column::Chat.eq(place.chat.get()))
            .filter(thread)
            .filter(event::Column::Message.lte(up_to))
            .filter(event::Column::Kind.is_in(kinds))
            .order_by_desc(event::Column::Message)
            // Of each message there may be two.
            .limit(u64::from(limit).saturating_mul(2))
            .select_only()
            .columns([event::Column::Message, event::Column::Kind])
            .into_tuple::<(i64, String)>();
        self.read(found.all(&self.readers)).await
    }
}
