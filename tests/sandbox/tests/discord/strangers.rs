//! A client of others: discord.py, run as a script from `tests/peers`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use switchyard_sandbox::Limits;

use crate::harness::{World, config};

/// How long the whole script may take; each of its steps has a deadline of its own.
const SCRIPT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discord_py_agrees() {
    let Some(python) = std::env::var_os("SWITCHYARD_PEERS_PYTHON") else {
        println!(
            "SKIPPED: discord_py_agrees needs SWITCHYARD_PEERS_PYTHON, a Python with tests/peers/requirements.txt installed"
        );
        return;
    };
    let mut config = config(Limits::None);
    config.shape.webhooks = 2;
    let world = World::start(config).await;
    let mut script = Command::new(python);
    script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/discord_first_light.py"));
    script.args(["--sandbox", &world.sandbox.control_url()]);
    let script = tokio::task::spawn_blocking(move || script.output());
    let output =
        tokio::time::timeout(SCRIPT, script).await.expect("the script did not end").unwrap().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.sandbox.stop().await;
}
