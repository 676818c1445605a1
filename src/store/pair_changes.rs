//! Pairs as their owners add and remove them.

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter};
use switchyard_actors::model::{ChatId, CursorKey, Pair, PairId, Topic};
use switchyard_actors::ports::StoreError;

use super::domain_events::publish_one;
use super::entity::{cursor, pair};
use super::error::{run_time, unreadable};
use super::{Store, pairs, standings};

/// A channel's or supergroup's id as a dialog is this minus its bare id (core.telegram.org/api/bots/ids).
const CHANNELS_BELOW: i64 = -1_000_000_000_000;

/// What came of a new pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was made.
    Made,
    /// Its owner has as many pairs as they may have: nothing was done.
    Full,
}

impl Store {
    /// Makes a new pair, however many its owner has: see [`Self::add_pair_within`].
    ///
    /// # Errors
    /// As there.
    pub async fn add_pair(&self, new: &Pair) -> Result<(), StoreError> {
        self.add_pair_within(new, None).await.map(|_made| ())
    }

    /// Makes a new pair, unless its owner has `most` already. A source that nobody reads through this account yet is read from now on: what an earlier pair
    /// left of its cursors is dropped, or it would bring messages from before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another pair joins the same two places by the same accounts, or the owner is
    /// suspended or is being deleted, [`StoreError::NotFound`] without its user or one of its accounts.
    pub async fn add_pair_within(&self, new: &Pair, most: Option<u64>) -> Result<Added, StoreError> {
        let (new, now) = (new.clone(), self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                standings::hold_user(transaction, new.user).await?;
                standings::refuse_inactive(transaction, new.user).await?;
                if let Some(twin) = twin(transaction, &new).await? {
                    return Err(StoreError::Conflict(format!("pair {twin} joins the same two places")));
                }
                if let Some(most) = most {
                    let own = pair::Entity::find().filter(pair::Column::UserId.eq(new.user.as_uuid()));
                    if own.count(transaction).await.map_err(|failure| run_time(&failure))? >= most {
                        return Ok(Added::Full);
                    }
                }
                forget_stale_cursors(transaction, &new).await?;
                let row = pairs::row(&new, now);
                pair::Entity::insert(row)
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                publish_one(transaction, pairs::event(Topic::PairAdded, &new), now).await?;
                Ok(Added::Made)
            })
        });
        write.await
    }

    /// Deletes a pair with its routes, deliveries and message map. Counts of what was delivered stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_pair(&self, id: PairId) -> Result<(), StoreError> {
        // However much waits for it: foreign keys delete it all with the one row.
        let (gone, now) = (self.find_pair(id).await?, self.now());
        let write = self.writer.run_unbounded(move |transaction| {
            Box::pin(async move {
                let deleted = pair::Entity::delete_by_id(id.as_uuid())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if deleted.rows_affected == 0 {
                    return Err(StoreError::NotFound(format!("pair {id}")));
                }
                publish_one(transaction, pairs::event(Topic::PairRemoved, &gone), now).await
            })
        });
        write.await
    }
}

/// The pair that does the same already.
async fn twin(transaction: &DatabaseTransaction, new: &Pair) -> Result<Option<PairId>, StoreError> {
    let thread = |column: pair::Column, thread: Option<i64>| match thread {
        Some(thread) => column.eq(thread),
        None => column.is_null(),
    };
    let found = pair::Entity::find()
        .filter(pair::Column::SourceAccount.eq(new.source_account.as_uuid()))
        .filter(pair::Column::SourceChat.eq(new.source.chat.get()))
        .filter(thread(pair::Column::SourceThread, new.source.thread.map(|thread| thread.get())))
        .filter(pair::Column::TargetAccount.eq(new.target_account.as_uuid()))
        .filter(pair::Column::TargetChat.eq(new.target.chat.get()))
        .filter(thread(pair::Column::TargetThread, new.target.thread.map(|thread| thread.get())))
        .one(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(found.map(|row| PairId::from_uuid(row.id)))
}

/// Drops the cursors of a chat that no pair reads through the account, and all of an account that reads nothing.
async fn forget_stale_cursors(transaction: &DatabaseTransaction, new: &Pair) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let account = new.source_account.as_uuid();
    let reads = pair::Entity::find().filter(pair::Column::SourceAccount.eq(account));
    let stale = cursor::Entity::delete_many().filter(cursor::Column::AccountId.eq(account));
    if reads.clone().count(transaction).await.map_err(failed)? == 0 {
        stale.exec(transaction).await.map_err(failed)?;
        return Ok(());
    }
    let same = reads.filter(pair::Column::SourceChat.eq(new.source.chat.get()));
    if same.count(transaction).await.map_err(failed)? > 0 {
        return Ok(());
    }
    let streams = streams(new.source.chat);
    let streams = streams.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let streams = streams.map_err(|failure| unreadable("cursor", failure))?;
    stale.filter(cursor::Column::Stream.is_in(streams)).exec(transaction).await.map_err(failed)?;
    Ok(())
}

/// The streams that are about one chat alone.
fn streams(chat: ChatId) -> Vec<CursorKey> {
    let mut streams = vec![CursorKey::TelegramChat { chat }, CursorKey::DiscordChannel { chat }];
    if chat.get() < CHANNELS_BELOW {
        streams.push(CursorKey::TelegramChannel { channel: CHANNELS_BELOW - chat.get() });
    }
    streams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_named_without_its_prefix() {
        let chat = ChatId::new(-1_001_234_567_890).unwrap();
        assert!(streams(chat).contains(&CursorKey::TelegramChannel { channel: 1_234_567_890 }));
        assert_eq!(streams(ChatId::new(-42).unwrap()).len(), 2);
    }
}
