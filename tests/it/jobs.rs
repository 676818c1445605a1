//! Scheduled jobs survive the daemon: last and next run are seen, and a restart does not repeat a run.

use serde_json::Value;
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

async fn purge(data: &DataDir) -> Option<Value> {
    let output = verb(data, &["status", "scheduler", "--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).ok()?;
    let job = status["jobs"].as_array()?.iter().find(|job| job["job"] == "retention.purge")?.clone();
    job["last_run"].is_string().then_some(job)
}

daemon_on_both_databases! {
    async fn a_run_is_remembered_across_a_kill(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let before = eventually("the first run", || purge(&data)).await;
        daemon.kill();
        let _daemon = Daemon::start(&world, &data).await;
        let after = eventually("the job", || purge(&data)).await;
        assert_eq!((&after["last_run"], &after["next_run"]), (&before["last_run"], &before["next_run"]));
        let table = verb(&data, &["status"]).await;
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        for job in ["lease.renew ", "retention.purge "] {
            assert!(table.lines().any(|line| line.starts_with(job)), "{table}");
        }
    }
}
