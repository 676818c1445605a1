//! Integration tests: one binary, a file per capability.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

#[macro_use]
mod harness;

mod account_changes;
mod accounts;
mod adapter_discord;
mod adapter_discord_source;
mod adapter_discord_target;
mod adapter_discord_webhook;
mod adapter_harness;
mod adapter_import;
mod adapter_login;
mod adapter_telegram;
mod adapter_telegram_bench;
mod adapter_telegram_bot;
mod adapter_telegram_target;
mod announcements;
mod authorization;
mod belongings;
mod bulk;
mod bulkheads;
mod chats;
mod cli_args;
mod cli_daemon;
mod cli_generate;
mod cli_support;
mod cli_watch;
mod config_layers;
mod contract;
mod directions;
mod doctor;
mod event_streams;
mod first_light;
mod http_accounts;
mod http_actor;
mod http_admin;
mod http_bot;
mod http_desk;
mod http_edge;
mod http_limits;
mod http_nobody;
mod http_ops;
mod http_problems;
mod http_staff;
mod http_support;
mod http_tls;
mod identity;
mod identity_end;
mod identity_guard;
mod jobs;
mod keys;
mod kill_nine;
mod notices;
mod operations;
mod operators;
mod pairs;
mod peers;
mod proxy;
mod published_limits;
mod quota;
mod rate_limits;
mod refusals;
mod reload;
mod rotation;
mod sealed_upload;
mod second_signal;
mod secrets;
mod secrets_of_users;
mod sessions_lost;
mod sign_ins;
mod staff_admins;
mod staff_allowlist;
mod staff_audit;
mod staff_cli;
mod staff_door;
mod staff_routes;
mod staff_support;
mod staff_users;
mod storage_faults;
mod store_accounts;
mod store_claims;
mod store_events;
mod store_follow;
mod store_idempotency;
mod store_intake;
mod store_key_rotation;
mod store_lease;
mod store_open;
mod store_outbox;
mod store_passwords;
mod store_secrets;
mod store_source_log;
mod store_standing;
mod store_system_secrets;
mod store_users;
mod suspension;
mod threads;
mod two_nodes;
mod two_systems;
mod webhooks;
