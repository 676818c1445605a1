//! Switchyard: forwards messages between Telegram and Discord under supervision.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod http;
pub mod network;
pub mod outgoing;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod threads;
