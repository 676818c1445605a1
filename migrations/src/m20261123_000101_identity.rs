//! Users who sign in: what they are known by, their sign-ins, keys, one-time codes and failures.
//!
//! Nothing here can be read without the owner's data key: addresses and names are sealed, and what has to be found is found
//! by keyed hashes. Users of the operator and of the sandbox have no address and no password.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        users(manager).await?;
        sessions(manager).await?;
        api_keys(manager).await?;
        one_time_codes(manager).await?;
        failures(manager).await
    }
}

async fn users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns: [ColumnDef; 10] = [
        // Keyed hash of the normalised address.
        blob_null("email_tag"),
        // Address, shown name, locale, time zone.
        blob_null("profile"),
        // A PHC string, sealed.
        blob_null("password"),
        big_integer_null("password_at"),
        text("state").default("active").take(),
        text_null("state_reason"),
        big_integer("state_at").default(0).take(),
        // Grows with every change of the profile.
        big_integer("version").default(1).take(),
        big_integer_null("last_seen"),
        // How often the erasure was tried.
        integer("erasure_tries").default(0).take(),
    ];
    for column in columns {
        // SQLite takes one column in one statement.
        manager.alter_table(Table::alter().table("users").add_column(column).take()).await?;
    }
    manager.create_index(unique("users", &["email_tag"])).await?;
    manager.create_index(index("users", &["state"])).await
}

/// A sign-in: one chain of refresh tokens, of which one counts.
async fn sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let sessions = Table::create()
        .table("user_sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .col(big_integer("rotated_at"))
        .col(big_integer("expires_at"))
        .col(big_integer("generation"))
        .col(blob("token_tag"))
        // Address and program, sealed.
        .col(blob("device"))
        .col(big_integer_null("ended_at"))
        .col(text_null("end_cause"))
        .foreign_key(&mut cascade("user_sessions", "user_id", "users", "id"))
        .take();
    manager.create_table(sessions).await?;
    manager.create_index(index("user_sessions", &["user_id", "created_at"])).await?;
    manager.create_index(index("user_sessions", &["expires_at"])).await
}

async fn api_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let keys = Table::create()
        .table("api_keys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(blob("tag"))
        // Name, first letters and scopes, sealed.
        .col(blob("details"))
        .col(big_integer("created_at"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("last_used_at"))
        .foreign_key(&mut cascade("api_keys", "user_id", "users", "id"))
        .take();
    manager.create_table(keys).await?;
    manager.create_index(unique("api_keys", &["tag"])).await?;
    manager.create_index(index("api_keys", &["user_id"])).await?;

    let resets = Table::create()
        .table("password_resets")
        .col(blob("tag").primary_key())
        .col(uuid("user_id"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .foreign_key(&mut cascade("password_resets", "user_id", "users", "id"))
        .take();
    manager.create_table(resets).await?;
    manager.create_index(index("password_resets", &["user_id", "created_at"])).await
}

async fn one_time_codes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let totp = Table::create()
        .table("user_totp")
        .col(uuid("user_id").primary_key())
        .col(blob("secret"))
        .col(big_integer("created_at"))
        .col(big_integer_null("confirmed_at"))
        .col(big_integer_null("last_step"))
        .foreign_key(&mut cascade("user_totp", "user_id", "users", "id"))
        .take();
    manager.create_table(totp).await?;

    let recovery = Table::create()
        .table("user_recovery_codes")
        .col(uuid("user_id"))
        .col(blob("tag"))
        .primary_key(&mut primary_key(&["user_id", "tag"]))
        .foreign_key(&mut cascade("user_recovery_codes", "user_id", "users", "id"))
        .take();
    manager.create_table(recovery).await
}

/// Of whom and from where sign-ins failed, as keyed hashes: also of addresses that nobody has here.
async fn failures(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let failures = Table::create()
        .table("login_failures")
        .col(blob("subject").primary_key())
        .col(integer("failures"))
        .col(big_integer("last_at"))
        .col(big_integer("blocked_until"))
        .take();
    manager.create_table(failures).await?;
    manager.create_index(index("login_failures", &["last_at"])).await
}
