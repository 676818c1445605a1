//! The tables as rows, one file each. Only the repositories of this room see them.

#![expect(unreachable_pub, reason = "the derive makes its own items public, so the model must be too")]

pub(super) mod account;
pub(super) mod account_secret;
pub(super) mod account_setting;
pub(super) mod admin;
pub(super) mod admin_network;
pub(super) mod admin_session;
pub(super) mod alert;
pub(super) mod api_key;
pub(super) mod assignment;
pub(super) mod audit_head;
pub(super) mod audit_log;
pub(super) mod cursor;
pub(super) mod data_key;
pub(super) mod delivery;
pub(super) mod delivery_count;
pub(super) mod delivery_part;
pub(super) mod event;
pub(super) mod idempotency_key;
pub(super) mod job;
pub(super) mod key_rotation;
pub(super) mod login_failure;
pub(super) mod master_key;
pub(super) mod message_map;
pub(super) mod node;
pub(super) mod node_key;
pub(super) mod pair;
pub(super) mod pair_pause;
pub(super) mod password_reset;
pub(super) mod peer;
pub(super) mod provider_secret;
pub(super) mod rate_limit;
pub(super) mod recovery_code;
pub(super) mod route;
pub(super) mod spare_data_key;
pub(super) mod spare_system_key;
pub(super) mod store_meta;
pub(super) mod system_key;
pub(super) mod throttle_state;
pub(super) mod user;
pub(super) mod user_plan;
pub(super) mod user_session;
pub(super) mod user_totp;
pub(super) mod user_usage;
