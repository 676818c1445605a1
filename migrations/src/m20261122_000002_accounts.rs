//! Connected platform accounts, their encrypted secrets, and the peers they have met.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let accounts = Table::create()
            .table("accounts")
            .col(uuid("id").primary_key())
            .col(uuid("user_id"))
            .col(text("kind"))
            .col(big_integer("platform_id"))
            .col(text("name"))
            .col(text("profile"))
            .col(text("state"))
            .col(big_integer("created_at"))
            .foreign_key(&mut cascade("accounts", "user_id", "users", "id"))
            .take();
        manager.create_table(accounts).await?;
        // One platform account is connected once, whoever asks.
        manager.create_index(unique("accounts", &["kind", "platform_id"])).await?;
        manager.create_index(index("accounts", &["user_id"])).await?;

        let secrets = Table::create()
            .table("account_secrets")
            .col(uuid("account_id"))
            .col(text("name"))
            .col(blob("value"))
            .col(big_integer("updated_at"))
            .primary_key(&mut primary_key(&["account_id", "name"]))
            .foreign_key(&mut cascade("account_secrets", "account_id", "accounts", "id"))
            .take();
        manager.create_table(secrets).await?;

        let peers = Table::create()
            .table("peers")
            .col(uuid("account_id"))
            .col(big_integer("peer_id"))
            .col(blob("record"))
            .primary_key(&mut primary_key(&["account_id", "peer_id"]))
            .foreign_key(&mut cascade("peers", "account_id", "accounts", "id"))
            .take();
        manager.create_table(peers).await
    }
}
