//! Use cases: what API and command line can ask for, named by verbs.

pub mod accounts;
pub mod admin;
pub mod announcements;
pub mod audit;
pub mod caller;
pub mod desk;
pub mod doctor;
pub mod entry;
pub mod fault;
mod gates;
pub mod idempotency;
pub mod identity;
pub mod limiter;
pub mod linking;
pub mod networks;
pub mod operator;
pub mod page;
pub mod pairs;
pub mod sandbox;
pub mod sensitive;
pub mod sign_ins;
