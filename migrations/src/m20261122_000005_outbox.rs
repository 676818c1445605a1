//! The outbox: deliveries and their parts, the map from source messages to their copies, and counts of what arrived.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        deliveries(manager).await?;
        message_map(manager).await?;
        delivery_counts(manager).await
    }
}

async fn deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let deliveries = Table::create()
        .table("deliveries")
        .col(uuid("id").primary_key())
        .col(uuid("pair_id"))
        .col(uuid("account_id"))
        .col(text("platform"))
        .col(big_integer("chat"))
        .col(big_integer_null("thread"))
        .col(big_integer("source_chat"))
        .col(big_integer("source_message"))
        .col(big_integer("seq"))
        .col(text("action"))
        .col(text("state"))
        .col(integer("tries"))
        .col(big_integer_null("not_before"))
        .col(text_null("last_error"))
        .col(text_null("dead"))
        .col(big_integer("created_at"))
        .col(big_integer_null("finished_at"))
        .foreign_key(&mut cascade("deliveries", "pair_id", "pairs", "id"))
        .take();
    manager.create_table(deliveries).await?;
    // Pending deliveries of a lane in order. An account's lanes are found by its pairs.
    manager.create_index(index("deliveries", &["pair_id", "state", "seq"])).await?;

    let parts = Table::create()
        .table("delivery_parts")
        .col(uuid("delivery_id"))
        .col(integer("part"))
        .col(blob_null("body"))
        .col(text("state"))
        .col(big_integer_null("sending_since"))
        .col(big_integer_null("remote_id"))
        .primary_key(&mut primary_key(&["delivery_id", "part"]))
        .foreign_key(&mut cascade("delivery_parts", "delivery_id", "deliveries", "id"))
        .take();
    manager.create_table(parts).await
}

/// Several source messages may share a target message (an album told as one), and one source message may have several
/// (a long text in parts): one row for each source message and part.
async fn message_map(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let map = Table::create()
        .table("message_map")
        .col(uuid("pair_id"))
        .col(big_integer("source_chat"))
        .col(big_integer("source_message"))
        .col(integer("part"))
        .col(big_integer("target_chat"))
        .col(big_integer("target_message"))
        .primary_key(&mut primary_key(&["pair_id", "source_chat", "source_message", "part"]))
        .foreign_key(&mut cascade("message_map", "pair_id", "pairs", "id"))
        .take();
    manager.create_table(map).await?;
    manager.create_index(index("message_map", &["target_chat", "target_message"])).await
}

/// Per pair and hour (UTC, hours since 1970). The row repeats what the pair was then, so that the history of a pair
/// outlives it; erasing the user erases it.
async fn delivery_counts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let counts = Table::create()
        .table("delivery_counts")
        .col(uuid("pair_id"))
        .col(big_integer("hour"))
        .col(uuid("user_id"))
        .col(uuid("source_account"))
        .col(uuid("target_account"))
        .col(text("source_platform"))
        .col(text("target_platform"))
        .col(big_integer("messages"))
        .col(big_integer("parts"))
        .primary_key(&mut primary_key(&["pair_id", "hour"]))
        .foreign_key(&mut cascade("delivery_counts", "user_id", "users", "id"))
        .take();
    manager.create_table(counts).await?;
    manager.create_index(index("delivery_counts", &["user_id", "hour"])).await
}
