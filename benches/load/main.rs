//! What the daemon promises under load, measured from outside: real processes, real clients, the sandbox as the platforms.
//!
//! `cargo bench --bench load -- suspension|events|pairs`; without a name, all three; a number behind `events` says how many
//! queues. Every part is bounded in count and in time, prints a table, and ends with an error where something was lost.
//! `--profile dev` measures a debug build.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints its result and fails loudly"
)]

mod daemon;
mod events;
mod measure;
mod pairs;
mod suspension;

use std::time::Duration;

/// Longest time of one part.
const PART_MAX: Duration = Duration::from_secs(1_800);

#[actix_web::main]
async fn main() {
    switchyard::crypto::install_ring_provider();
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    let queues = asked.iter().find_map(|word| word.parse().ok()).unwrap_or(events::QUEUES);
    println!("build: {}", if cfg!(debug_assertions) { "debug" } else { "optimised" });
    if wants("suspension") {
        tokio::time::timeout(PART_MAX, suspension::run()).await.expect("within its time");
    }
    if wants("events") {
        tokio::time::timeout(PART_MAX, events::run(queues)).await.expect("within its time");
    }
    if wants("pairs") {
        tokio::time::timeout(PART_MAX, pairs::run()).await.expect("within its time");
    }
}
