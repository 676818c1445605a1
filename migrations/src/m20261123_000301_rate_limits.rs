//! How often whoever calls the API has called, in a window that slides.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `counts` is `slot:count,slot:count`, oldest first. Times and counts only: nothing that needs sealing.
        let rates = Table::create()
            .table("rate_limits")
            .col(text("subject").primary_key())
            .col(text("counts"))
            .col(big_integer("expires_at"))
            .take();
        manager.create_table(rates).await?;
        manager.create_index(index("rate_limits", &["expires_at"])).await
    }
}
