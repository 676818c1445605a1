//! Long work that goes on by itself: what was ordered, how far it is, who works on it.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let jobs = Table::create()
            .table("work_jobs")
            .col(uuid("id").primary_key())
            .col(text("kind"))
            .col(text("state"))
            .col(text("task"))
            .col(text_null("cursor"))
            .col(big_integer_null("total"))
            .col(big_integer("done"))
            .col(big_integer("failed"))
            .col(text_null("error"))
            .col(text("created_by"))
            .col(uuid_null("node_id"))
            .col(big_integer_null("lease_until"))
            .col(big_integer("created_at"))
            .col(big_integer_null("started_at"))
            .col(big_integer_null("finished_at"))
            .take();
        manager.create_table(jobs).await?;
        manager.create_index(index("work_jobs", &["state", "created_at"])).await
    }
}
