//! Admins and their sign-ins.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `email` is in lower case. `totp` is sealed; it counts from `totp_since` on, and `totp_step` is the last step
        // whose code was taken, so that none is taken twice.
        let admins = Table::create()
            .table("admins")
            .col(uuid("id").primary_key())
            .col(text("email"))
            .col(text("password"))
            .col(text("role"))
            .col(text("state"))
            .col(blob_null("totp"))
            .col(big_integer_null("totp_since"))
            .col(big_integer("totp_step"))
            .col(big_integer("created_at"))
            .col(big_integer_null("signed_in_at"))
            .take();
        manager.create_table(admins).await?;
        manager.create_index(unique("admins", &["email"])).await?;

        // `token` is the hash of the one refresh token that counts; any older one ends the sign-in.
        let sessions = Table::create()
            .table("admin_sessions")
            .col(uuid("id").primary_key())
            .col(uuid("admin_id"))
            .col(blob("token"))
            .col(text("address"))
            .col(big_integer("created_at"))
            .col(big_integer("refreshed_at"))
            .col(big_integer("expires_at"))
            .col(big_integer_null("ended_at"))
            .col(text_null("ended_by"))
            .foreign_key(&mut cascade("admin_sessions", "admin_id", "admins", "id"))
            .take();
        manager.create_table(sessions).await?;
        manager.create_index(index("admin_sessions", &["admin_id", "expires_at"])).await
    }
}
