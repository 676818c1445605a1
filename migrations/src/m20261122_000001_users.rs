//! Users and the data key of each, wrapped by a master key.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::cascade;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = Table::create()
            .table("users")
            .col(uuid("id").primary_key())
            .col(text("name"))
            .col(big_integer("created_at"))
            .take();
        manager.create_table(users).await?;

        // `key_id` names the data key in every blob it sealed; which master key wrapped it stands in `wrapped` itself.
        let data_keys = Table::create()
            .table("data_keys")
            .col(uuid("user_id").primary_key())
            .col(blob("key_id"))
            .col(blob("wrapped"))
            .col(big_integer("created_at"))
            .foreign_key(&mut cascade("data_keys", "user_id", "users", "id"))
            .take();
        manager.create_table(data_keys).await
    }
}
