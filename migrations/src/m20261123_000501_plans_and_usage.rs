//! What a user may use: plan, and the messages of each day that are confirmed as delivered.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, primary_key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A user without a row has the default plan.
        let plans = Table::create()
            .table("user_plans")
            .col(uuid("user_id").primary_key())
            .col(text("plan"))
            .col(big_integer_null("until"))
            .col(text("state"))
            .col(big_integer("changed_at"))
            .foreign_key(&mut cascade("user_plans", "user_id", "users", "id"))
            .take();
        manager.create_table(plans).await?;

        // `day` counts from 1970-01-01 UTC. `told_at`: when the user was told that the day's messages are used up.
        let usage = Table::create()
            .table("user_usage")
            .col(uuid("user_id"))
            .col(big_integer("day"))
            .col(big_integer("delivered"))
            .col(big_integer_null("told_at"))
            .primary_key(&mut primary_key(&["user_id", "day"]))
            .foreign_key(&mut cascade("user_usage", "user_id", "users", "id"))
            .take();
        manager.create_table(usage).await
    }
}
