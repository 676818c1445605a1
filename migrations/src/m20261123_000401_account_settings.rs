//! What owners set for their accounts: a name of their own. The version grows with each change.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::cascade;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let settings = Table::create()
            .table("account_settings")
            .col(uuid("account_id").primary_key())
            .col(text_null("label"))
            .col(big_integer("version"))
            .col(big_integer("updated_at"))
            .foreign_key(&mut cascade("account_settings", "account_id", "accounts", "id"))
            .take();
        manager.create_table(settings).await
    }
}
