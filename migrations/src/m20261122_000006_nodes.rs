//! Nodes with their lease, and which node works for which account under which epoch.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::cascade;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let nodes = Table::create()
            .table("nodes")
            .col(uuid("id").primary_key())
            .col(big_integer("renewed_at"))
            .col(big_integer("lease_until"))
            .take();
        manager.create_table(nodes).await?;

        let assignments = Table::create()
            .table("assignments")
            .col(uuid("account_id").primary_key())
            .col(uuid("node_id"))
            .col(big_integer("epoch"))
            .col(big_integer("assigned_at"))
            .foreign_key(&mut cascade("assignments", "account_id", "accounts", "id"))
            .take();
        manager.create_table(assignments).await
    }
}
