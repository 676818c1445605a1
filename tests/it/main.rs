//! Integration tests: one binary, a file per capability.

#[macro_use]
mod harness;

mod adapter_discord;
mod adapter_harness;
mod adapter_telegram;
mod cli_args;
mod cli_daemon;
mod cli_support;
mod config_layers;
mod http_actor;
mod http_admin;
mod http_problems;
mod http_support;
mod store_claims;
mod store_intake;
mod store_lease;
mod store_open;
mod store_outbox;
mod store_secrets;
