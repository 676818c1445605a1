//! The outbox of domain events, from which every stream is told.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `id` grows in the order of commits, as its writers take turns, and is never used twice.
        let events = Table::create()
            .table("events_outbox")
            .col(big_pk_auto("id"))
            .col(big_integer("at"))
            .col(text("topic"))
            .col(text("audience"))
            .col(uuid_null("user_id"))
            .col(text("subject"))
            .col(text("body"))
            .foreign_key(&mut cascade("events_outbox", "user_id", "users", "id"))
            .take();
        manager.create_table(events).await?;
        manager.create_index(index("events_outbox", &["user_id", "id"])).await?;
        manager.create_index(index("events_outbox", &["at"])).await
    }
}
