//! The map between source messages and their copies, looked up from either end: for replies, edits and deletions.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{ChatId, MessageId, PairId};
use switchyard_actors::ports::StoreError;

use super::entity::message_map;
use super::error::unreadable;
use super::{Store, rows};

/// One message at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageCopy {
    /// Which part of the delivery it is.
    pub part: u16,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Its id there.
    pub message: MessageId,
}

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
    pub async fn copies(
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

fn ids(chat: i64, message: i64) -> Result<(ChatId, MessageId), StoreError> {
    let wrong = |failure| unreadable("message map", failure);
    Ok((ChatId::new(chat).map_err(wrong)?, MessageId::new(message).map_err(wrong)?))
}
