//! Schema changes, one file per change, forward only.
//!
//! Every change says the same thing to SQLite and PostgreSQL. Conventions: ids are UUIDs, times are Unix milliseconds in
//! 64-bit integers (exact on both, and sortable), closed vocabularies are text, ciphertext is a blob, and deleting a user
//! deletes everything of theirs by foreign keys.

#![expect(
    elided_lifetimes_in_paths,
    reason = "async_trait wants the signature of `up` as the trait spells it"
)]

use sea_orm_migration::prelude::*;

mod column;
mod m20261122_000001_users;
mod m20261122_000002_accounts;
mod m20261122_000003_pairs;
mod m20261122_000004_intake;
mod m20261122_000005_outbox;
mod m20261122_000006_nodes;
mod m20261122_000007_alerts_and_jobs;
mod m20261122_000008_store_meta;
mod m20261122_000009_throttle_states;
mod m20261122_000010_events_by_age;
mod m20261122_000011_follow_ups;
mod m20261123_000101_identity;
mod m20261123_000201_audit_log;
mod m20261123_000202_admin_networks;
mod m20261123_000203_admins;
mod m20261123_000301_rate_limits;
mod m20261123_000302_idempotency_keys;
mod m20261123_000401_account_settings;
mod m20261123_000501_plans_and_usage;
mod m20261123_000502_pair_settings;
mod m20261123_000601_events_outbox;
mod m20261123_000602_work_jobs;
mod m20261123_000603_ledger_lists;
mod m20261123_000701_keys;
mod m20261123_000801_bot;
mod m20261123_000901_email_confirmed;

pub use sea_orm_migration::{DbErr, MigrationStatus, MigratorTrait};

/// All schema changes in their order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_users::Migration),
            Box::new(m20261122_000002_accounts::Migration),
            Box::new(m20261122_000003_pairs::Migration),
            Box::new(m20261122_000004_intake::Migration),
            Box::new(m20261122_000005_outbox::Migration),
            Box::new(m20261122_000006_nodes::Migration),
            Box::new(m20261122_000007_alerts_and_jobs::Migration),
            Box::new(m20261122_000008_store_meta::Migration),
            Box::new(m20261122_000009_throttle_states::Migration),
            Box::new(m20261122_000010_events_by_age::Migration),
            Box::new(m20261122_000011_follow_ups::Migration),
            Box::new(m20261123_000101_identity::Migration),
            Box::new(m20261123_000201_audit_log::Migration),
            Box::new(m20261123_000202_admin_networks::Migration),
            Box::new(m20261123_000203_admins::Migration),
            Box::new(m20261123_000301_rate_limits::Migration),
            Box::new(m20261123_000302_idempotency_keys::Migration),
            Box::new(m20261123_000401_account_settings::Migration),
            Box::new(m20261123_000501_plans_and_usage::Migration),
            Box::new(m20261123_000502_pair_settings::Migration),
            Box::new(m20261123_000601_events_outbox::Migration),
            Box::new(m20261123_000602_work_jobs::Migration),
            Box::new(m20261123_000603_ledger_lists::Migration),
            Box::new(m20261123_000701_keys::Migration),
            Box::new(m20261123_000801_bot::Migration),
            Box::new(m20261123_000901_email_confirmed::Migration),
        ]
    }
}
