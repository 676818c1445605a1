//! Keys of the system beside those of the users, keys that come and go, which master key seals, and the rotations.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, primary_key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        data_keys(manager).await?;
        master_keys(manager).await?;

        // Secrets of the installation itself: a payment provider's key, the bot's token.
        let provider_secrets = Table::create()
            .table("provider_secrets")
            .col(text("name").primary_key())
            .col(blob("value"))
            .col(big_integer("updated_at"))
            .take();
        manager.create_table(provider_secrets).await
    }
}

/// A user has one data key that seals. Beside it may stand one that is about to, and those that did and still open.
async fn data_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let system_keys = Table::create()
        .table("system_keys")
        .col(text("purpose").primary_key())
        .col(blob("key_id"))
        .col(blob("wrapped"))
        .col(big_integer("created_at"))
        .take();
    manager.create_table(system_keys).await?;

    let spare_system_keys = Table::create()
        .table("spare_system_keys")
        .col(text("purpose"))
        .col(blob("key_id"))
        .col(blob("wrapped"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .primary_key(&mut primary_key(&["purpose", "key_id"]))
        .take();
    manager.create_table(spare_system_keys).await?;

    let spare_data_keys = Table::create()
        .table("spare_data_keys")
        .col(uuid("user_id"))
        .col(blob("key_id"))
        .col(blob("wrapped"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .primary_key(&mut primary_key(&["user_id", "key_id"]))
        .foreign_key(&mut cascade("spare_data_keys", "user_id", "users", "id"))
        .take();
    manager.create_table(spare_data_keys).await
}

async fn master_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Which master key wraps what is made now, and which were given up. The keys themselves are never here.
    let master_keys = Table::create()
        .table("master_keys")
        .col(blob("key_id").primary_key())
        .col(text("state"))
        .col(big_integer("changed_at"))
        .take();
    manager.create_table(master_keys).await?;

    // Which master keys each running node can read, and which of them it seals with.
    let node_keys = Table::create()
        .table("node_keys")
        .col(uuid("node_id"))
        .col(blob("key_id"))
        .col(boolean("seals"))
        .col(big_integer("seen_at"))
        .primary_key(&mut primary_key(&["node_id", "key_id"]))
        .take();
    manager.create_table(node_keys).await?;

    let rotations = Table::create()
        .table("key_rotations")
        .col(uuid("id").primary_key())
        .col(text("kind"))
        .col(blob("target"))
        .col(text("phase"))
        .col(blob_null("cursor"))
        .col(big_integer("total"))
        .col(big_integer("done"))
        .col(big_integer("steps"))
        .col(big_integer_null("wait_until"))
        .col(text_null("error"))
        .col(big_integer("started_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("finished_at"))
        .take();
    manager.create_table(rotations).await
}
