//! Strangers: clients of others against the sandbox, and what they write comes out at the other side of the daemon.

use std::io::Write;
use std::process::Command;

use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World};
use crate::harness::operator::{add_pair, webhook};

/// The Python with the peers' packages (`tests/peers/requirements.txt`); CI always names one.
const PYTHON: &str = "SWITCHYARD_PEERS_PYTHON";

const DISCORD_PY: &str = "discord_first_light.py";

/// Runs a script against the sandbox of a test, unless no Python was named.
async fn run_script(world: &World, data: &DataDir, script: &'static str, arguments: &[&str]) {
    let Some(python) = python() else { return };
    let control = world.control.clone();
    let arguments: Vec<String> = arguments.iter().copied().map(str::to_owned).collect();
    let run = move || {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        Command::new(python).arg(path).args(["--sandbox", &control]).args(arguments).output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().expect("the script runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr),
        data.read_log()
    );
}

/// The Python that was named; says so loudly where none was.
pub(crate) fn python() -> Option<String> {
    let named = std::env::var(PYTHON).ok();
    if named.is_none() {
        // Past the test harness, which swallows what a passing test prints.
        let said = format!("SKIPPED: {PYTHON} names no Python with the peers' packages\n");
        std::io::stderr().write_all(said.as_bytes()).expect("standard error");
    }
    named
}

daemon_on_both_databases! {
    async fn what_telethon_sends_is_forwarded_by_the_daemon(data) {
        if python().is_none() {
            return;
        }
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        run_script(&world, &data, "telethon_first_light.py", &["--expect-forwarded"]).await;
    }

    async fn what_the_daemon_delivers_is_seen_by_discord_py(data) {
        if python().is_none() {
            return;
        }
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let seen = ["--expect-forwarded", "--expect-followed"];
        let into_discord = world.pairs().into_iter().filter(|pair| pair.target.platform == "discord");
        for (n, pair) in into_discord.enumerate() {
            let n = n.to_string();
            run_script(&world, &data, DISCORD_PY, &[&seen[..], &["--pair", &n]].concat()).await;
            if n == "0" {
                add_pair(&data, pair.source, webhook(&world, 0)).await;
                run_script(&world, &data, DISCORD_PY, &[&seen[..], &["--webhook", "0"]].concat()).await;
            }
        }
    }
}
