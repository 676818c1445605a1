//! A client of others: Telethon, run as a script from `tests/peers`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use switchyard_sandbox::Sandbox;

use super::harness::{sandbox, sandbox_with};

/// How long the whole script may take; each of its steps has a deadline of its own.
const SCRIPT: Duration = Duration::from_secs(180);

/// Runs a script against a sandbox until it ends and returns what it said; without a Python that has what it needs, that
/// it was skipped.
async fn agrees(sandbox: &Sandbox, script: &str) -> String {
    let Some(python) = std::env::var_os("SWITCHYARD_PEERS_PYTHON") else {
        return format!(
            "SKIPPED: {script} needs SWITCHYARD_PEERS_PYTHON, a Python with tests/peers/requirements.txt installed"
        );
    };
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers").join(script));
    command.args(["--sandbox", &format!("http://{}", sandbox.control_address())]);
    let command = tokio::task::spawn_blocking(move || command.output());
    let output =
        tokio::time::timeout(SCRIPT, command).await.expect("the script did not end").unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telethon_agrees() {
    println!("{}", agrees(&sandbox().await, "telethon_first_light.py").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telethon_agrees_on_how_accounts_sign_in_and_what_bots_may_do() {
    let sandbox = sandbox_with(|config| {
        config.shape.telegram_bots = 1;
        config.shape.pairs.telegram_to_telegram = 1;
    })
    .await;
    println!("{}", agrees(&sandbox, "telethon_accounts.py").await);
}
