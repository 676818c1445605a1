//! Facts about the store as a whole, such as who made it.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let meta =
            Table::create().table("store_meta").col(text("name").primary_key()).col(text("value")).take();
        manager.create_table(meta).await
    }
}
