//! Orders that came with an idempotency key, and what was answered to them.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `id` and `fingerprint` are keyed hashes: of caller, operation and key, and of what was ordered. While there is no
        // answer the order is being carried out, by `attempt`, until `lease_until`. An answer is sealed under the key of the
        // user whose it is, or under the system's.
        let keys = Table::create()
            .table("idempotency_keys")
            .col(text("id").primary_key())
            .col(text("owner"))
            .col(uuid_null("user_id"))
            .col(blob("fingerprint"))
            .col(uuid("attempt"))
            .col(big_integer("lease_until"))
            .col(blob_null("user_answer"))
            .col(blob_null("system_answer"))
            .col(big_integer("expires_at"))
            .foreign_key(&mut cascade("idempotency_keys", "user_id", "users", "id"))
            .take();
        manager.create_table(keys).await?;
        manager.create_index(index("idempotency_keys", &["owner"])).await?;
        manager.create_index(index("idempotency_keys", &["user_id"])).await?;
        manager.create_index(index("idempotency_keys", &["expires_at"])).await
    }
}
