//! What the throttle of each identity (an account, a network address) remembers across restarts: holds, learned limits, counts of long windows.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let states = Table::create()
            .table("throttle_states")
            .col(text("identity").primary_key())
            .col(text("state"))
            .take();
        manager.create_table(states).await
    }
}
