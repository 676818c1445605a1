//! Lists over the ledger: what waits per account, what was given up, a user's deliveries by time; and paused queues.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index("deliveries", &["pair_id", "created_at"])).await?;
        // Partial: what was delivered, nearly everything, costs these two nothing.
        for statement in [
            "CREATE INDEX ix_deliveries_waiting ON deliveries (account_id, created_at) WHERE state = 'pending'",
            "CREATE INDEX ix_deliveries_dead ON deliveries (created_at, id) WHERE state = 'dead'",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        let pauses = Table::create()
            .table("queue_pauses")
            .col(uuid("account_id"))
            .col(text("cause"))
            .col(big_integer("since"))
            .primary_key(&mut primary_key(&["account_id", "cause"]))
            .foreign_key(&mut cascade("queue_pauses", "account_id", "accounts", "id"))
            .take();
        manager.create_table(pauses).await
    }
}
