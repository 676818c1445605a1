//! The bot: who may send, linked chats, codes that link them, what users want to hear, announcements, and the outbox.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One row: which node works with the bot until when, and the first update that is not known yet.
        let state = Table::create()
            .table("bot_state")
            .col(integer("id").primary_key())
            .col(uuid_null("node_id"))
            .col(big_integer("lease_until"))
            .col(big_integer("next_update"))
            .take();
        manager.create_table(state).await?;

        let chats = Table::create()
            .table("bot_chats")
            .col(big_integer("chat_id").primary_key())
            .col(uuid("user_id"))
            .col(text("kind"))
            .col(text("title"))
            .col(big_integer("linked_at"))
            .col(text_null("unreachable"))
            .foreign_key(&mut cascade("bot_chats", "user_id", "users", "id"))
            .take();
        manager.create_table(chats).await?;
        manager.create_index(index("bot_chats", &["user_id"])).await?;

        // One open code per user; `code` is its keyed hash.
        let codes = Table::create()
            .table("bot_link_codes")
            .col(uuid("user_id").primary_key())
            .col(blob("code"))
            .col(big_integer("expires_at"))
            .foreign_key(&mut cascade("bot_link_codes", "user_id", "users", "id"))
            .take();
        manager.create_table(codes).await?;
        manager.create_index(unique("bot_link_codes", &["code"])).await?;

        let settings = Table::create()
            .table("notification_settings")
            .col(uuid("user_id").primary_key())
            .col(boolean("promotions"))
            .col(big_integer_null("promotions_at"))
            .col(text_null("promotions_source"))
            .col(text("opted_out"))
            .foreign_key(&mut cascade("notification_settings", "user_id", "users", "id"))
            .take();
        manager.create_table(settings).await?;

        announcements(manager).await?;
        notices(manager).await
    }
}

/// What is to be told to many.
async fn announcements(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let announcements = Table::create()
        .table("announcements")
        .col(uuid("id").primary_key())
        .col(text("kind"))
        .col(text("text"))
        .col(text("plans"))
        .col(boolean("linked_chats"))
        .col(boolean("channels"))
        .col(text("state"))
        .col(text("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("send_at"))
        .col(big_integer_null("finished_at"))
        .col(big_integer_null("expanded_to"))
        .col(boolean("expanded"))
        .take();
    manager.create_table(announcements).await?;
    manager.create_index(index("announcements", &["state", "send_at"])).await
}

/// The outbox: a row per chat and message, with how it ended.
async fn notices(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let notices = Table::create()
        .table("notices")
        .col(big_pk_auto("seq"))
        .col(big_integer("chat_id"))
        .col(uuid_null("user_id"))
        .col(uuid_null("announcement_id"))
        .col(text("kind"))
        .col(text("text"))
        .col(integer("priority"))
        .col(boolean("once"))
        .col(text("state"))
        .col(integer("tries"))
        .col(big_integer("created_at"))
        .col(big_integer("next_at"))
        .col(big_integer_null("claimed_at"))
        .col(big_integer_null("finished_at"))
        .col(big_integer_null("message_id"))
        .col(text_null("outcome"))
        .foreign_key(&mut cascade("notices", "user_id", "users", "id"))
        .foreign_key(&mut cascade("notices", "announcement_id", "announcements", "id"))
        .take();
    manager.create_table(notices).await?;
    manager.create_index(unique("notices", &["announcement_id", "chat_id"])).await?;
    manager.create_index(index("notices", &["state", "priority", "seq"])).await?;
    manager.create_index(index("notices", &["chat_id", "state"])).await?;
    manager.create_index(index("notices", &["announcement_id", "state"])).await?;
    manager.create_index(index("notices", &["finished_at"])).await
}
