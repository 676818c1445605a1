//! The networks that admins may call from, as they were set at run time.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let networks = Table::create()
            .table("admin_networks")
            .col(text("network").primary_key())
            .col(text("note"))
            .col(big_integer("added_at"))
            .take();
        manager.create_table(networks).await
    }
}
