//! Strangers: clients of others against the sandbox, and what they write comes out at the other side of the daemon.

use std::io::Write;
use std::process::Command;

use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, World};

/// The Python with the peers' packages (`tests/peers/requirements.txt`); CI always names one.
const PYTHON: &str = "SWITCHYARD_PEERS_PYTHON";

daemon_on_both_databases! {
    async fn what_telethon_sends_is_forwarded_by_the_daemon(data) {
        let Ok(python) = std::env::var(PYTHON) else {
            // Past the test harness, which swallows what a passing test prints.
            let said = format!("SKIPPED: {PYTHON} names no Python with Telethon\n");
            std::io::stderr().write_all(said.as_bytes()).expect("standard error");
            return;
        };
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/telethon_first_light.py");
        let control = world.control.clone();
        let run = move || {
            let mut command = Command::new(python);
            command.args([script, "--sandbox", &control, "--expect-forwarded"]);
            command.output().expect("the script runs")
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr),
            data.read_log()
        );
    }
}
