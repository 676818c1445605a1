//! The audit log: one chain of entries that no statement changes or takes away.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::{prelude::*, schema::*};

use crate::column::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// REPLACE takes a row away without firing a trigger for it, so an entry that is there is not written again either.
const SQLITE: &str = "
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";

const POSTGRES: &str = "
CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log
FOR EACH ROW EXECUTE FUNCTION audit_log_refuse();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse();
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Who acted stands in the row itself: it outlives the admin and the user. `hash` covers the row and the hash before.
        let audit_log = Table::create()
            .table("audit_log")
            .col(big_integer("seq").primary_key())
            .col(uuid("order_id"))
            .col(big_integer("at"))
            .col(text("phase"))
            .col(text("actor_kind"))
            .col(uuid_null("actor_id"))
            .col(text_null("actor_name"))
            .col(text("address"))
            .col(text("request_id"))
            .col(text("action"))
            .col(text_null("target"))
            .col(text_null("before"))
            .col(text_null("after"))
            .col(text_null("outcome"))
            .col(text("hash"))
            .take();
        manager.create_table(audit_log).await?;
        for columns in [["at", "seq"], ["action", "seq"], ["target", "seq"], ["actor_id", "seq"]] {
            manager.create_index(index("audit_log", &columns)).await?;
        }

        // The last entry's number and hash: the row whose lock puts entries in one order.
        let head = Table::create()
            .table("audit_head")
            .col(integer("id").primary_key())
            .col(big_integer("seq"))
            .col(text("hash"))
            .take();
        manager.create_table(head).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared("INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '')").await?;
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        connection.execute_unprepared(triggers).await.map(|_done| ())
    }
}
