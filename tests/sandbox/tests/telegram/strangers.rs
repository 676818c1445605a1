//! A client of others: Telethon, run as a script from `tests/peers`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::harness::sandbox;

/// How long the whole script may take; each of its steps has a deadline of its own.
const SCRIPT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telethon_agrees() {
    let Some(python) = std::env::var_os("SWITCHYARD_PEERS_PYTHON") else {
        println!(
            "SKIPPED: telethon_agrees needs SWITCHYARD_PEERS_PYTHON, a Python with tests/peers/requirements.txt installed"
        );
        return;
    };
    let sandbox = sandbox().await;
    let mut script = Command::new(python);
    script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/telethon_first_light.py"));
    script.args(["--sandbox", &format!("http://{}", sandbox.control_address())]);
    let script = tokio::task::spawn_blocking(move || script.output());
    let output =
        tokio::time::timeout(SCRIPT, script).await.expect("the script did not end").unwrap().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
