//! Chats that users linked with the bot, the codes that do it, and what users want to hear.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ring::hmac;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};
use switchyard_actors::model::{ChatId, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::announcements::{CHANNEL, PRIVATE};
use super::entity::{bot_chat, bot_link_code, bot_state, notice, notification_setting};
use super::error::run_time;
use super::notice_box::notice_state::WAITING;
use super::notice_box::{BOT, chat_of, unreachable};
use super::{Store, time_of};

/// The kind of notice that system announcements are.
pub(super) const SYSTEM: &str = "system";
/// The kind of answers of the bot.
const ANSWER: &str = "answer";
/// What link codes are hashed for.
const CODE_PURPOSE: &str = "telegram link codes";

/// A chat that a user linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedChat {
    /// Which.
    pub chat: ChatId,
    /// Whether it is a channel; otherwise the private chat with the user.
    pub channel: bool,
    /// Its title.
    pub title: String,
    /// When it was linked.
    pub linked_at: DateTime<Utc>,
    /// Why nothing can be sent there, if so.
    pub unreachable: Option<String>,
}

/// What a user wants to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationSettings {
    /// Whether the user agreed to promotions.
    pub promotions: bool,
    /// When that was said, and where: `api` or `telegram`.
    pub promotions_said: Option<(DateTime<Utc>, String)>,
    /// Kinds of notices that are not wanted.
    pub opted_out: BTreeSet<String>,
}

impl NotificationSettings {
    pub(super) fn from_row(row: Option<notification_setting::Model>) -> Self {
        let Some(row) = row else { return Self::default() };
        Self {
            promotions: row.promotions,
            promotions_said: row.promotions_at.map(time_of).zip(row.promotions_source),
            opted_out: row.opted_out.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect(),
        }
    }
}

/// What an update of the bot changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotAction {
    /// Nothing.
    None,
    /// A code was brought from a private chat.
    Link {
        /// The code.
        code: String,
    },
    /// A private chat wants to hear nothing more.
    Unlink,
    /// A private chat agrees to promotions, or no longer.
    Promotions(bool),
    /// The bot may write in a channel, by the hand of this person.
    Channel {
        /// The private chat with the person.
        by: i64,
        /// The channel's title.
        title: String,
    },
    /// The bot may not write there any more.
    Gone {
        /// Why.
        reason: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BotActed {
    /// Nothing was to be done.
    Nothing,
    /// The chat is linked now; another private chat was linked before.
    Linked {
        /// Whether another chat of the user is no longer linked.
        replaced: bool,
    },
    /// The code is unknown, used or too old.
    BadCode,
    /// The chat is not linked any more.
    Unlinked,
    /// The chat is linked with nobody.
    NotLinked,
    /// The user's wish about promotions is noted.
    Promotions(bool),
    /// A channel is registered.
    Registered,
}

/// A message that the bot is to write: the chat, and the text in HTML.
pub type Reply = (ChatId, String);

/// An update that is being acted on.
struct Acting {
    chat: i64,
    now: i64,
    code: Option<Vec<u8>>,
}

impl Store {
    /// Keeps a one-use code for a user, in place of an older one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_link_code(
        &self,
        user: UserId,
        code: &str,
        until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = bot_link_code::ActiveModel {
            user_id: Set(user.as_uuid()),
            code: Set(self.code_hash(code)),
            expires_at: Set(until.timestamp_millis()),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                bot_link_code::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(bot_link_code::Column::UserId)
                            .update_columns([bot_link_code::Column::Code, bot_link_code::Column::ExpiresAt])
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }

    fn code_hash(&self, code: &str) -> Vec<u8> {
        let key = self.parts.vault.keyring().derive(CODE_PURPOSE);
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), code.as_bytes()).as_ref().to_vec()
    }

    /// The chats that a user linked, the private one first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn linked_chats(&self, user: UserId) -> Result<Vec<LinkedChat>, StoreError> {
        let found = bot_chat::Entity::find()
            .filter(bot_chat::Column::UserId.eq(user.as_uuid()))
            .order_by_desc(bot_chat::Column::ChatId);
        let rows = self.read(found.all(&self.readers)).await?;
        let linked = rows.into_iter().map(|row| {
            Ok(LinkedChat {
                chat: chat_of(row.chat_id)?,
                channel: row.kind == CHANNEL,
                title: row.title,
                linked_at: time_of(row.linked_at),
                unreachable: row.unreachable,
            })
        });
        linked.collect()
    }

    /// What a user wants to hear.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notification_settings(&self, user: UserId) -> Result<NotificationSettings, StoreError> {
        let found = notification_setting::Entity::find_by_id(user.as_uuid()).one(&self.readers);
        Ok(NotificationSettings::from_row(self.read(found).await?))
    }

    /// Notes what a user wants to hear. Consent is noted with its time and source when it changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_notification_settings(
        &self,
        user: UserId,
        promotions: bool,
        opted_out: BTreeSet<String>,
        source: &'static str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                want(transaction, user.as_uuid(), promotions, Some(opted_out), (now, source)).await
            })
        });
        write.await
    }

    /// Acts on an update of the bot, queues the answers that `reply` makes of the outcome, and moves past the update: all
    /// of it or nothing. An update that was acted on before changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn act_on_update(
        &self,
        update: i64,
        chat: Option<ChatId>,
        action: BotAction,
        reply: impl FnOnce(BotActed) -> Vec<Reply> + Send + 'static,
    ) -> Result<(), StoreError> {
        let code = match &action {
            BotAction::Link { code } => Some(self.code_hash(code)),
            _ => None,
        };
        let acting = Acting { chat: chat.map_or(0, ChatId::get), now: self.now(), code };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let moved = bot_state::Entity::update_many()
                    .col_expr(bot_state::Column::NextUpdate, Expr::value(update.saturating_add(1)))
                    .filter(bot_state::Column::Id.eq(BOT))
                    .filter(bot_state::Column::NextUpdate.lte(update))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                if moved.rows_affected == 0 {
                    return Ok(());
                }
                let now = acting.now;
                let acted = act(transaction, &acting, action).await?;
                for (chat, html) in reply(acted) {
                    queue_answer(transaction, chat, html, now).await?;
                }
                Ok(())
            })
        });
        write.await
    }
}

async fn act(
    transaction: &DatabaseTransaction,
    acting: &Acting,
    action: BotAction,
) -> Result<BotActed, StoreError> {
    let failed = |failure| run_time(&failure);
    let (chat, now) = (acting.chat, acting.now);
    match action {
        BotAction::None => {
            // Whoever writes can be written to again.
            bot_chat::Entity::update_many()
                .col_expr(bot_chat::Column::Unreachable, Expr::value(None::<String>))
                .filter(bot_chat::Column::ChatId.eq(chat))
                .exec(transaction)
                .await
                .map_err(failed)?;
            Ok(BotActed::Nothing)
        }
        BotAction::Link { .. } => link(transaction, acting).await,
        BotAction::Unlink => {
            let gone = bot_chat::Entity::delete_by_id(chat).exec(transaction).await.map_err(failed)?;
            Ok(if gone.rows_affected > 0 { BotActed::Unlinked } else { BotActed::NotLinked })
        }
        BotAction::Promotions(on) => {
            let known = bot_chat::Entity::find_by_id(chat).one(transaction).await.map_err(failed)?;
            let Some(known) = known else { return Ok(BotActed::NotLinked) };
            want(transaction, known.user_id, on, None, (now, "telegram")).await?;
            Ok(BotActed::Promotions(on))
        }
        BotAction::Channel { by, title } => {
            let by = bot_chat::Entity::find_by_id(by).one(transaction).await.map_err(failed)?;
            let Some(by) = by.filter(|by| by.kind == PRIVATE) else { return Ok(BotActed::NotLinked) };
            put(transaction, (chat, CHANNEL, title), by.user_id, now).await?;
            Ok(BotActed::Registered)
        }
        BotAction::Gone { reason } => {
            if chat > 0 {
                unreachable(transaction, chat, &reason).await?;
            } else {
                bot_chat::Entity::delete_by_id(chat).exec(transaction).await.map_err(failed)?;
            }
            Ok(BotActed::Nothing)
        }
    }
}

async fn link(transaction: &DatabaseTransaction, acting: &Acting) -> Result<BotActed, StoreError> {
    let failed = |failure| run_time(&failure);
    let (chat, now) = (acting.chat, acting.now);
    let Some(code) = &acting.code else { return Ok(BotActed::BadCode) };
    let found = bot_link_code::Entity::find()
        .filter(bot_link_code::Column::Code.eq(code.clone()))
        .one(transaction)
        .await
        .map_err(failed)?;
    let Some(found) = found.filter(|found| found.expires_at > now) else { return Ok(BotActed::BadCode) };
    bot_link_code::Entity::delete_by_id(found.user_id).exec(transaction).await.map_err(failed)?;
    let replaced = bot_chat::Entity::delete_many()
        .filter(bot_chat::Column::UserId.eq(found.user_id))
        .filter(bot_chat::Column::Kind.eq(PRIVATE))
        .filter(bot_chat::Column::ChatId.ne(chat))
        .exec(transaction)
        .await
        .map_err(failed)?;
    put(transaction, (chat, PRIVATE, String::new()), found.user_id, now).await?;
    Ok(BotActed::Linked { replaced: replaced.rows_affected > 0 })
}

/// Gives a chat to a user, also when it was another's.
async fn put(
    transaction: &DatabaseTransaction,
    (chat, kind, title): (i64, &'static str, String),
    user: Uuid,
    now: i64,
) -> Result<(), StoreError> {
    let row = bot_chat::ActiveModel {
        chat_id: Set(chat),
        user_id: Set(user),
        kind: Set(kind.to_owned()),
        title: Set(title),
        linked_at: Set(now),
        unreachable: Set(None),
    };
    bot_chat::Entity::insert(row)
        .on_conflict(
            OnConflict::column(bot_chat::Column::ChatId)
                .update_columns([
                    bot_chat::Column::UserId,
                    bot_chat::Column::Kind,
                    bot_chat::Column::Title,
                    bot_chat::Column::LinkedAt,
                    bot_chat::Column::Unreachable,
                ])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(())
}

async fn want(
    transaction: &DatabaseTransaction,
    user: Uuid,
    promotions: bool,
    opted_out: Option<BTreeSet<String>>,
    (now, source): (i64, &'static str),
) -> Result<(), StoreError> {
    let failed = |failure| run_time(&failure);
    let old = notification_setting::Entity::find_by_id(user).one(transaction).await.map_err(failed)?;
    let is_new = old.is_none();
    let known = NotificationSettings::from_row(old);
    let said = match &known.promotions_said {
        Some((at, by)) if known.promotions == promotions => Some((at.timestamp_millis(), by.clone())),
        None if !promotions => None,
        _ => Some((now, source.to_owned())),
    };
    let (at, by) = said.unzip();
    let opted_out: Vec<String> = opted_out.unwrap_or(known.opted_out).into_iter().collect();
    let row = notification_setting::ActiveModel {
        user_id: Set(user),
        promotions: Set(promotions),
        promotions_at: Set(at),
        promotions_source: Set(by),
        opted_out: Set(opted_out.join(",")),
    };
    if is_new {
        notification_setting::Entity::insert(row)
            .exec_without_returning(transaction)
            .await
            .map_err(failed)?;
    } else {
        notification_setting::Entity::update(row).exec(transaction).await.map_err(failed)?;
    }
    Ok(())
}

async fn queue_answer(
    transaction: &DatabaseTransaction,
    chat: ChatId,
    html: String,
    now: i64,
) -> Result<(), StoreError> {
    let row = notice::ActiveModel {
        chat_id: Set(chat.get()),
        user_id: Set(None),
        announcement_id: Set(None),
        kind: Set(ANSWER.to_owned()),
        text: Set(html),
        priority: Set(0),
        once: Set(false),
        state: Set(WAITING.to_owned()),
        tries: Set(0),
        created_at: Set(now),
        next_at: Set(now),
        claimed_at: Set(None),
        finished_at: Set(None),
        message_id: Set(None),
        outcome: Set(None),
        ..Default::default()
    };
    notice::Entity::insert(row)
        .exec_without_returning(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    Ok(())
}
