//! SIGHUP: the limits of supervision are read again while everything runs (feature R1, behaviour s42).

use std::fs;

use serde_json::Value;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

/// A pair may fail for ever, a moment apart, and no storm is known.
const BRAVE: &str = "
[supervision]
backoff_base = \"10ms\"
backoff_cap = \"50ms\"
restarts_max = 1000000
storm_restarts = 0
probe_interval = \"0s\"

[queue]
event_attempts_max = 4000000
";

async fn status(data: &DataDir) -> Value {
    let output = verb(data, &["status", "--json", "--prefix", "pairs"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The failing pair as `status` shows it.
async fn pair(data: &DataDir, path: &str) -> Value {
    let shown = status(data).await;
    let items = shown["items"].as_array().expect("items");
    items.iter().find(|item| item["path"] == path).expect("the pair").clone()
}

async fn restarts(data: &DataDir, path: &str) -> u64 {
    pair(data, path).await["restarts_total"].as_u64().expect("a number")
}

async fn fails_on(data: &DataDir, path: &str) {
    let so_far = restarts(data, path).await;
    eventually("ten more restarts", || async { (restarts(data, path).await >= so_far + 10).then_some(()) })
        .await;
}

daemon_on_both_databases! {
    async fn limits_are_read_again_at_sighup_and_faulty_ones_are_refused_whole(data) {
        let pairs = PairCounts { telegram_to_discord: 2, ..PairCounts::default() };
        let shape = SeedShape { telegram_users: 2, discord_bots: 2, pairs, ..SeedShape::default() };
        let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
        let (sick, sound) = (world.pairs().remove(0), world.pairs().remove(1));
        let (path, failpoint) = (format!("pairs/{}", sick.id), format!("pair.plan@{}=panic", sick.id));
        let file = data.log().with_file_name("switchyard.toml");
        fs::write(&file, BRAVE).expect("a file");
        let env = [("SWITCHYARD_FAILPOINTS", failpoint.as_str())];
        let daemon = Daemon::start_under(&world, &data, &file, &env).await;
        world.write_text(&sick.source, "never goes").await;
        fails_on(&data, &path).await;

        // One key is sound and would park the pair, another is at fault: neither is taken, and both sides are named.
        let faulty = BRAVE.replace("1000000", "0").replace("\"50ms\"", "\"1ms\"");
        fs::write(&file, faulty).expect("a file");
        daemon.hang_up();
        eventually("the refusal", || async {
            let log = data.read_log();
            let line = log.lines().find(|line| line.contains("the configuration is not taken"))?.to_owned();
            assert!(line.contains("supervision.backoff_cap"), "{line}");
            Some(())
        })
        .await;
        fails_on(&data, &path).await;
        assert_ne!(pair(&data, &path).await["state"], "parked");

        let stormy = BRAVE.replace("storm_restarts = 0", "storm_restarts = 3\nstorm_window = \"60s\"\nstorm_floor = \"100ms\"");
        fs::write(&file, stormy).expect("a file");
        daemon.hang_up();
        eventually("the storm", || async {
            let reasons = status(&data).await["reasons"].to_string();
            reasons.contains("; storm: ").then_some(())
        })
        .await;

        fs::write(&file, BRAVE.replace("1000000", "0")).expect("a file");
        daemon.hang_up();
        eventually("the pair to be parked", || async {
            (pair(&data, &path).await["state"] == "parked").then_some(())
        })
        .await;
        world.write_text(&sound.source, "goes on").await;
        assert_eq!(world.wait_for(&sound.target, 1).await, ["goes on"]);
        assert!(daemon.terminate().await.success());
    }
}
