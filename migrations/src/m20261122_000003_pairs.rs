//! Forwarding pairs and the set of causes for which each is paused.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let pairs = Table::create()
            .table("pairs")
            .col(uuid("id").primary_key())
            .col(uuid("user_id"))
            .col(uuid("source_account"))
            .col(text("source_platform"))
            .col(big_integer("source_chat"))
            .col(big_integer_null("source_thread"))
            .col(uuid("target_account"))
            .col(text("target_platform"))
            .col(big_integer("target_chat"))
            .col(big_integer_null("target_thread"))
            .col(big_integer("created_at"))
            .foreign_key(&mut cascade("pairs", "user_id", "users", "id"))
            .foreign_key(&mut cascade("pairs", "source_account", "accounts", "id"))
            .foreign_key(&mut cascade("pairs", "target_account", "accounts", "id"))
            .take();
        manager.create_table(pairs).await?;
        manager.create_index(index("pairs", &["user_id"])).await?;
        manager.create_index(index("pairs", &["source_account", "source_chat"])).await?;
        manager.create_index(index("pairs", &["target_account"])).await?;

        let pauses = Table::create()
            .table("pair_pauses")
            .col(uuid("pair_id"))
            .col(text("cause"))
            .col(big_integer("since"))
            .primary_key(&mut primary_key(&["pair_id", "cause"]))
            .foreign_key(&mut cascade("pair_pauses", "pair_id", "pairs", "id"))
            .take();
        manager.create_table(pauses).await
    }
}
