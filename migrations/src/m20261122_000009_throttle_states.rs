//! What each account's throttle remembers across restarts: holds, learned limits, counts of long windows.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::cascade;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let states = Table::create()
            .table("throttle_states")
            .col(uuid("account_id").primary_key())
            .col(text("state"))
            .foreign_key(&mut cascade("throttle_states", "account_id", "accounts", "id"))
            .take();
        manager.create_table(states).await
    }
}
