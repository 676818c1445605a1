//! A pair's name, and the number of its version, by which two editors notice each other.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = Table::alter().table("pairs").add_column(text_null("name")).take();
        manager.alter_table(name).await?;
        let version = Table::alter().table("pairs").add_column(big_integer("version").default(1)).take();
        manager.alter_table(version).await
    }
}
