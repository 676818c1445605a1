//! The alert stream, and when each scheduled job last ran.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let alerts = Table::create()
            .table("alerts")
            .col(uuid("id").primary_key())
            .col(big_integer("at"))
            .col(text("severity"))
            .col(text("kind"))
            .col(text("subject"))
            .col(uuid_null("user_id"))
            .col(text("text"))
            .foreign_key(&mut cascade("alerts", "user_id", "users", "id"))
            .take();
        manager.create_table(alerts).await?;
        manager.create_index(index("alerts", &["at"])).await?;
        manager.create_index(index("alerts", &["user_id", "at"])).await?;

        let jobs =
            Table::create().table("jobs").col(text("name").primary_key()).col(big_integer("last_run")).take();
        manager.create_table(jobs).await
    }
}
