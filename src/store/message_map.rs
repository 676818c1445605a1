//! The map between source messages and their copies, looked up from either end: for replies, edits and deletions.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{
    AccountId, ChatId, DeliveryState, EventKind, MessageCopy, MessageId, Origin, Pair, PairId, PartState,
    Place, Platform,
};
use switchyard_actors::ports::StoreError;

use super::entity::{account, delivery, delivery_part, message_map, pair};
use super::error::unreadable;
use super::{Store, rows};

/// Where a message at a target came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageOrigin {
    /// The pair that carried it.
    pub pair: PairId,
    /// Which part of the delivery it is.
    pub part: u16,
    /// The source chat.
    pub chat: ChatId,
    /// The source message.
    pub message: MessageId,
}

impl Store {
    /// The copies that a pair made of a source message, by part. A part whose id the platform never told has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn copies_of(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageCopy>, StoreError> {
        let found = message_map::Entity::find()
            .filter(message_map::Column::PairId.eq(pair.as_uuid()))
            .filter(message_map::Column::SourceChat.eq(chat.get()))
            .filter(message_map::Column::SourceMessage.eq(message.get()))
            .order_by_asc(message_map::Column::Part);
        let copy = |row: message_map::Model| {
            let (chat, message) = ids(row.target_chat, row.target_message)?;
            Ok(MessageCopy { part: rows::part_index(row.part)?, chat, message })
        };
        self.read(found.all(&self.readers)).await?.into_iter().map(copy).collect()
    }

    /// How many parts a pair made of a source message: those under way, else those that stand at the target.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn parts_made(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<u16>, StoreError> {
        let pending = delivery::Entity::find()
            .filter(delivery::Column::PairId.eq(pair.as_uuid()))
            .filter(delivery::Column::SourceMessage.eq(message.get()))
            .filter(delivery::Column::SourceChat.eq(chat.get()))
            .filter(delivery::Column::State.eq(DeliveryState::Pending.as_str()))
            .filter(delivery::Column::Action.is_in([EventKind::New.as_str(), EventKind::Deleted.as_str()]))
            .order_by_desc(delivery::Column::Seq);
        let made = match self.read(pending.one(&self.readers)).await? {
            Some(row) if row.action == EventKind::Deleted.as_str() => 0,
            Some(row) => {
                let parts =
                    delivery_part::Entity::find().filter(delivery_part::Column::DeliveryId.eq(row.id));
                self.read(parts.count(&self.readers)).await?
            }
            None => {
                let copies = self.copies_of(pair, chat, message).await?;
                copies.last().map_or(0, |last| u64::from(last.part) + 1)
            }
        };
        Ok(u16::try_from(made).ok().filter(|made| *made > 0))
    }

    /// Whether messages that were read at a place are copies, one answer each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn origins_at(
        &self,
        reader: AccountId,
        place: Place,
        messages: &[(MessageId, Option<i64>)],
        since: i64,
    ) -> Result<Vec<Origin>, StoreError> {
        let writers = self.pairs_to(place, reader).await?;
        if writers.is_empty() {
            return Ok(vec![Origin::Foreign; messages.len()]);
        }
        let pairs: Vec<_> = writers.iter().map(|pair| pair.id).collect();
        // Before the copies: what is answered in between is found among them.
        let unanswered = self.unanswered_authors(&pairs, since).await?;
        let found = message_map::Entity::find()
            .filter(message_map::Column::TargetChat.eq(place.chat.get()))
            .filter(message_map::Column::TargetMessage.is_in(messages.iter().map(|(id, _)| id.get())))
            .filter(message_map::Column::PairId.is_in(pairs.iter().copied()));
        let copies = self.read(found.all(&self.readers)).await?;
        let copies: HashSet<i64> = copies.into_iter().map(|row| row.target_message).collect();
        let origin = |(message, author): &(MessageId, Option<i64>)| {
            if copies.contains(&message.get()) {
                return Origin::Copy;
            }
            // Who posts in the name of a channel is not told.
            let ours = author.is_none_or(|author| unanswered.contains(&author) || author == place.chat.get());
            if ours && !unanswered.is_empty() { Origin::Undecided } else { Origin::Foreign }
        };
        Ok(messages.iter().map(origin).collect())
    }

    /// The pairs that write to a place in a numbering of messages that this reader sees.
    async fn pairs_to(&self, place: Place, reader: AccountId) -> Result<Vec<pair::Model>, StoreError> {
        let found = pair::Entity::find()
            .filter(pair::Column::TargetChat.eq(place.chat.get()))
            .filter(pair::Column::TargetPlatform.eq(place.platform.as_str()));
        let mut found = self.read(found.all(&self.readers)).await?;
        found.retain(|pair| shares_numbers(place) || pair.target_account == reader.as_uuid());
        Ok(found)
    }

    /// Platform ids of the accounts that sent something for these pairs and have no answer yet.
    async fn unanswered_authors(&self, pairs: &[uuid::Uuid], since: i64) -> Result<HashSet<i64>, StoreError> {
        let waiting = delivery::Entity::find()
            .filter(delivery::Column::PairId.is_in(pairs.iter().copied()))
            .filter(delivery::Column::State.eq(DeliveryState::Pending.as_str()))
            .filter(Expr::exists(unanswered_part(since)))
            .select_only()
            .column(delivery::Column::AccountId)
            .distinct()
            .into_tuple::<uuid::Uuid>();
        let waiting = self.read(waiting.all(&self.readers)).await?;
        if waiting.is_empty() {
            return Ok(HashSet::new());
        }
        let accounts = account::Entity::find().filter(account::Column::Id.is_in(waiting));
        let accounts = self.read(accounts.all(&self.readers)).await?;
        Ok(accounts.into_iter().map(|account| account.platform_id).collect())
    }

    /// The message at a pair's target that stands for one in its source chat.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn counterpart_of(
        &self,
        id: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        if let Some(copy) = self.copies_of(id, chat, message).await?.first() {
            return Ok(Some(copy.message));
        }
        let pair = self.find_pair(id).await?;
        let back = self.pairs_to(pair.source, pair.source_account).await?;
        let back: HashSet<PairId> = back
            .into_iter()
            .filter(|other| comes_from(other, &pair))
            .map(|other| PairId::from_uuid(other.id))
            .collect();
        if back.is_empty() {
            return Ok(None);
        }
        let originals = self.originals(chat, message).await?;
        Ok(originals
            .into_iter()
            .find(|original| back.contains(&original.pair))
            .map(|original| original.message))
    }

    /// The newest messages in a target chat that are known as copies, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn newest_copies(&self, chat: ChatId, limit: u32) -> Result<Vec<MessageId>, StoreError> {
        let found = message_map::Entity::find()
            .filter(message_map::Column::TargetChat.eq(chat.get()))
            .order_by_desc(message_map::Column::TargetMessage)
            .limit(u64::from(limit));
        let known =
            |row: message_map::Model| ids(row.target_chat, row.target_message).map(|(_, message)| message);
        self.read(found.all(&self.readers)).await?.into_iter().map(known).collect()
    }

    /// The source messages that a message at a target stands for, of whichever pairs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn originals(
        &self,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageOrigin>, StoreError> {
        let found = message_map::Entity::find()
            .filter(message_map::Column::TargetChat.eq(chat.get()))
            .filter(message_map::Column::TargetMessage.eq(message.get()))
            .order_by_asc(message_map::Column::PairId)
            .order_by_asc(message_map::Column::SourceMessage);
        let original = |row: message_map::Model| {
            let (chat, message) = ids(row.source_chat, row.source_message)?;
            let pair = PairId::from_uuid(row.pair_id);
            Ok(MessageOrigin { pair, part: rows::part_index(row.part)?, chat, message })
        };
        self.read(found.all(&self.readers)).await?.into_iter().map(original).collect()
    }
}

/// For use inside a query over `deliveries`.
fn unanswered_part(since: i64) -> SelectStatement {
    let delivery = (delivery_part::Entity, delivery_part::Column::DeliveryId);
    Query::select()
        .expr(Expr::val(1))
        .from(delivery_part::Entity)
        .and_where(Expr::col(delivery).equals((delivery::Entity, delivery::Column::Id)))
        .and_where(
            Expr::col((delivery_part::Entity, delivery_part::Column::State)).eq(PartState::Sending.as_str()),
        )
        .and_where(Expr::col((delivery_part::Entity, delivery_part::Column::SendingSince)).gte(since))
        .take()
}

/// Whether all accounts see the same message ids at a place. In Telegram's private chats and basic groups each account
/// has its own (core.telegram.org/api/updates); channels lie below -1,000,000,000,000.
fn shares_numbers(place: Place) -> bool {
    place.platform == Platform::Discord || place.chat.get() < -1_000_000_000_000
}

/// Whether a pair reads where another writes, in a numbering that the other's writer sees.
fn comes_from(other: &pair::Model, pair: &Pair) -> bool {
    other.source_chat == pair.target.chat.get()
        && other.source_platform == pair.target.platform.as_str()
        && (shares_numbers(pair.target) || other.source_account == pair.target_account.as_uuid())
}

fn ids(chat: i64, message: i64) -> Result<(ChatId, MessageId), StoreError> {
    let wrong = |failure| unreadable("message map", failure);
    Ok((ChatId::new(chat).map_err(wrong)?, MessageId::new(message).map_err(wrong)?))
}
