//! Since when it is known that a user reads the mail of their address.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let since = big_integer_null("email_confirmed_at");
        manager.alter_table(Table::alter().table("users").add_column(since).take()).await
    }
}
