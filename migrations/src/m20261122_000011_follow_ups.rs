//! What edits, deletions and replies need: the answered message, and the ways from a message to its deliveries and pairs.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let answered = Table::alter().table("deliveries").add_column(big_integer_null("reply_to")).take();
        manager.alter_table(answered).await?;
        manager.create_index(index("deliveries", &["pair_id", "source_message"])).await?;
        manager.create_index(index("pairs", &["target_chat"])).await
    }
}
