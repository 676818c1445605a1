//! `switchyard login` on the customer's machine: signs in at Telegram itself, and hands the very session over, sealed.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchyard_sandbox::{SandboxConfig, SeedShape};

use crate::account_changes::{call, get};
use crate::harness::daemon::{Daemon, DataDir, World, eventually, switchyard};
use crate::harness::operator::{list, ok, seeded};

/// Runs `login` as the operator of a daemon on this machine, with answers line by line.
async fn login(world: &World, data: &DataDir, flags: &[&str], answers: &str) -> (i32, String) {
    use std::io::Write;
    let mut command = switchyard(&["login"]);
    command.arg("--data-dir").arg(data.path()).arg(format!("--sandbox={}", world.control)).args(flags);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let answers = answers.to_owned();
    let run = move || {
        let mut child = command.spawn().expect("the command starts");
        // A command that refuses at once reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(answers.as_bytes());
        child.wait_with_output().expect("the command ends")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit code"), String::from_utf8(said).expect("text"))
}

/// The world without the account of its second user, who has a password.
async fn world(data: &DataDir) -> (World, Daemon) {
    let shape = SeedShape { telegram_users: 2, ..SeedShape::default() };
    let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
    let daemon = Daemon::start(&world, data).await;
    let known = seeded(&world, "telegram_user", 1)["id"].as_str().expect("an id").to_owned();
    ok(data, &["accounts", "remove", &known, "--yes"], "").await;
    (world, daemon)
}

daemon_on_both_databases! {
    async fn the_session_that_signed_in_is_the_one_that_the_server_uses(data) {
        let (world, daemon) = world(&data).await;
        let user = &world.sandbox.seed().telegram.users[1];
        let (code, password) = (user.code.reveal(), user.password.as_ref().expect("a password").reveal());
        let answers = format!("{}\n00000\n{code}\nwrong\n{password}\n", user.phone);
        let (exit, said) = login(&world, &data, &[], &answers).await;
        assert_eq!(exit, 0, "{said}\n{}", data.read_log());
        assert!(said.contains("the code is wrong") && said.contains("the password is wrong"), "{said}");
        assert!(said.contains("is connected at the server") && said.contains("nothing is kept here"), "{said}");
        assert_eq!(world.sandbox.telegram().signed_in_keys(user.user_id), 1, "no second authorisation");
        for secret in [code, password] {
            assert!(!format!("{said}{}", data.read_log()).contains(secret), "{said}");
        }
        let of_user = |accounts: Vec<Value>| {
            let id = user.user_id.to_string();
            accounts.into_iter().find(|found| found["platform_id"] == id.as_str()).expect("connected")
        };
        let connected = || async {
            (of_user(list(&data, "accounts").await)["health"]["status"] == "connected").then_some(())
        };
        eventually("the account to be connected", connected).await;
        assert!(daemon.terminate().await.success());
        let _daemon = Daemon::start(&world, &data).await;
        eventually("the account to be connected after a restart", connected).await;
        assert_eq!(world.sandbox.telegram().signed_in_keys(user.user_id), 1, "by the same session");
    }

    async fn a_scanned_session_is_handed_over_as_well(data) {
        let (world, _daemon) = world(&data).await;
        let user = world.sandbox.seed().telegram.users[0].user_id;
        let scan = eventually("the code to be shown", || async { world.scan(user).await.then_some(()) });
        let ((exit, said), ()) = tokio::join!(login(&world, &data, &["--qr"], ""), scan);
        assert!(exit == 0 && said.contains("has a new login at the server"), "{exit}: {said}");
        eventually("the replaced session to end", || async {
            (world.sandbox.telegram().signed_in_keys(user) == 1).then_some(())
        })
        .await;
    }

    async fn what_was_sealed_for_somebody_else_is_refused(data) {
        let (world, _daemon) = world(&data).await;
        let key = get(&data, "/api/v1/accounts/telegram/sealing-key").await;
        assert_eq!(key["user"], world.seed["user"]["id"]);
        assert_eq!(key["telegram"]["api_id"], world.seed["telegram"]["api_id"]);
        let sealing: switchyard::services::sealed::SealingKey = serde_json::from_value(key).expect("a key");
        let session = secrecy::SecretSlice::from(vec![7_u8; 256]);
        let mut thief = sealing.clone();
        thief.user = switchyard_actors::model::UserId::from_uuid(uuid::Uuid::from_u128(1));
        let rng = switchyard::crypto::SystemRng;
        for (to, status, what) in [
            (&thief, StatusCode::BAD_REQUEST, "invalid_request"),
            (&sealing, StatusCode::UNPROCESSABLE_ENTITY, "credential_refused"),
        ] {
            let sealed = switchyard::services::sealed::seal_session(to, 2, &session, &rng).expect("sealed");
            let order = json!({ "kind": "telegram_user", "sealed_session": sealed });
            let (answer, problem) = call(&data, Method::POST, "/api/v1/accounts", Some(&order)).await;
            assert_eq!((answer, &problem["code"]), (status, &json!(what)), "{problem}");
        }
        assert!(!data.read_log().contains("BwcHBw"), "the key is in the log");
    }

    async fn a_flood_of_codes_is_told_with_its_wait(data) {
        let (world, _daemon) = world(&data).await;
        world.fault(&json!({ "target": "telegram", "kind": "flood_wait", "count": 20, "wait": 77 })).await;
        let order = json!({ "method": "phone", "phone": world.sandbox.seed().telegram.users[0].phone });
        let logins = "/api/v1/accounts/telegram/logins";
        let (status, problem) = call(&data, Method::POST, logins, Some(&order)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("platform_wait")), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("77 s")), "{problem}");
    }
}
