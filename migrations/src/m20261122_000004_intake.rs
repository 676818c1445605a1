//! Durable intake: events, one route per event and subscribed pair, and how far each source has been read.

use sea_orm_migration::{prelude::*, schema::*};

use crate::column::{cascade, index, primary_key, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `seq` is the order of acceptance. It is never used twice, also after the newest rows were purged
        // (AUTOINCREMENT, identity), and intake writes one account at a time, so it never goes backwards per chat.
        // `id` binds the ciphertext to its row and is never looked up: it needs no index.
        let events = Table::create()
            .table("events")
            .col(big_pk_auto("seq"))
            .col(uuid("id"))
            .col(uuid("account_id"))
            .col(text("platform"))
            .col(big_integer("chat"))
            .col(big_integer_null("thread"))
            .col(big_integer("message"))
            .col(text("kind"))
            .col(big_integer("revision"))
            .col(blob_null("payload"))
            .col(big_integer("accepted_at"))
            .foreign_key(&mut cascade("events", "account_id", "accounts", "id"))
            .take();
        manager.create_table(events).await?;
        // Intake accepts an event once.
        let once = unique("events", &["account_id", "chat", "message", "kind", "revision"]);
        manager.create_index(once).await?;

        let routes = Table::create()
            .table("routes")
            .col(uuid("id").primary_key())
            .col(uuid("pair_id"))
            .col(big_integer("event_seq"))
            .col(text("state"))
            .col(integer("attempts"))
            .col(uuid_null("delivery_id"))
            .col(text_null("skip"))
            .col(big_integer_null("closed_at"))
            .foreign_key(&mut cascade("routes", "pair_id", "pairs", "id"))
            .foreign_key(&mut cascade("routes", "event_seq", "events", "seq"))
            .take();
        manager.create_table(routes).await?;
        manager.create_index(unique("routes", &["event_seq", "pair_id"])).await?;
        // Open routes of a pair in order.
        manager.create_index(index("routes", &["pair_id", "state", "event_seq"])).await?;

        let cursors = Table::create()
            .table("cursors")
            .col(uuid("account_id"))
            .col(text("stream"))
            .col(text("value"))
            .col(big_integer("updated_at"))
            .primary_key(&mut primary_key(&["account_id", "stream"]))
            .foreign_key(&mut cascade("cursors", "account_id", "accounts", "id"))
            .take();
        manager.create_table(cursors).await
    }
}
