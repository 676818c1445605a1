//! Accounts and pairs of a running daemon, by command line, against the sandbox: what is connected or added works at once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use switchyard_sandbox::{SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, SeededPair, World, eventually, verb};
use crate::harness::operator::{fails, list, ok, second_word, seeded, told};

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn ends(pair: &SeededPair) -> (String, String) {
    let end = |account: &str, chat: &str| format!("{account}:{chat}");
    (end(&pair.source.account, &pair.source.chat), end(&pair.target.account, &pair.target.chat))
}

daemon_on_both_databases! {
    async fn a_new_token_revives_a_bot_and_what_waited_arrives(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0);
        let account = pair.target.account.as_str();
        world.fault(&json!({ "target": account, "kind": "unauthorized", "count": 1000 })).await;
        let _daemon = Daemon::start(&world, &data).await;
        world.write_text(&pair.source, "waits").await;
        eventually("the account to need a login", || async {
            let accounts = list(&data, "accounts").await;
            let sick = accounts.iter().find(|found| found["id"] == account)?;
            (sick["health"]["status"] == "needs_login").then_some(())
        })
        .await;
        let token = text(&seeded(&world, "discord_bot", 0)["token"]);
        let add = ["accounts", "add-bot", "--discord"];
        let (code, complaint) = fails(&data, &add, token).await;
        assert_eq!(code, 69, "the platform still refuses: {complaint}");
        assert!(!complaint.contains(token), "{complaint}");
        world.no_faults().await;
        let said = ok(&data, &add, &format!("{token}\n")).await;
        assert!(said.contains(account) && said.contains("has a new login"), "{said}");
        assert_eq!(world.wait_for(&pair.target, 1).await, ["waits"]);
        let (code, complaint) = fails(&data, &add, "").await;
        assert_eq!((code, complaint.as_str()), (64, "switchyard: no token was given\n"));
        assert!(!data.read_log().contains(token), "a token is in the log");
    }

    async fn a_person_signs_in_with_code_and_password_and_forwards(data) {
        let shape = SeedShape { telegram_users: 2, ..SeedShape::default() };
        let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
        let _daemon = Daemon::start(&world, &data).await;
        let known = text(&seeded(&world, "telegram_user", 1)["id"]).to_owned();
        ok(&data, &["accounts", "remove", &known, "--yes"], "").await;
        assert!(list(&data, "accounts").await.iter().all(|found| found["id"] != known.as_str()));
        let user = &world.sandbox.seed().telegram.users[1];
        let (code, password) = (user.code.reveal(), user.password.as_ref().expect("a password").reveal());
        let login = ["accounts", "login"];
        let answers = format!("{}\n00000\n{code}\nwrong\n{password}\n", user.phone);
        let (exit, said, asked) = told(&data, &login, &answers).await;
        assert_eq!(exit, 0, "{said}{asked}\n{}", data.read_log());
        assert!(asked.contains("the code is wrong") && asked.contains("the password is wrong"), "{asked}");
        for secret in [code, password] {
            assert!(!format!("{said}{asked}{}", data.read_log()).contains(secret), "{said}{asked}");
        }
        let accounts = list(&data, "accounts").await;
        let new = accounts.iter().find(|found| found["platform_id"] == user.user_id.to_string().as_str());
        assert_eq!(new.expect("connected")["health"]["status"], "connected");
        let (exit, complaint) = fails(&data, &login, "12\n").await;
        assert_eq!(exit, 69, "{complaint}");
    }

    async fn an_imported_session_is_logged_out_when_it_is_removed(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        let user = world.sandbox.seed().telegram.users[0].user_id;
        let key = [7_u8; 256];
        world.sandbox.telegram().register_auth_key(&key, Some(user)).expect("a key");
        let address = world.sandbox.telegram_address();
        let std::net::IpAddr::V4(ip) = address.ip() else { panic!("not IPv4") };
        let bytes = [&[2], ip.octets().as_slice(), &address.port().to_be_bytes(), &key].concat();
        let session = format!("1{}", URL_SAFE.encode(bytes));
        let import = ["accounts", "import", "--telethon-session", "-"];
        let said = ok(&data, &import, &session).await;
        assert!(said.contains(&pair.source.account), "the account was here: {said}");
        world.write_text(&pair.source, "by the imported session").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["by the imported session"]);
        let (code, complaint) = fails(&data, &["accounts", "remove", &pair.source.account], "").await;
        assert!(code == 64 && complaint.contains("--yes"), "{complaint}");
        ok(&data, &["accounts", "remove", &pair.source.account, "--yes"], "").await;
        let left = list(&data, "pairs").await;
        let gone = left.iter().all(|left| !left.to_string().contains(&pair.source.account));
        assert!(gone && !left.is_empty(), "its pairs went with it, and no others: {left:?}");
        let (code, complaint) = fails(&data, &import, &session).await;
        assert_eq!(code, 69, "the platform no longer knows the key: {complaint}");
        assert!(!complaint.contains(&session), "{complaint}");
    }

    async fn a_pair_forwards_from_the_moment_it_is_added(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        let (from, to) = ends(&pair);
        let (code, complaint) = fails(&data, &["pairs", "add", "--from", &from, "--to", &to], "").await;
        assert!(code == 69 && complaint.contains(&pair.id), "a twin is named: {complaint}");
        let nowhere = format!("{}:-1009999999999", pair.source.account);
        let said = ok(&data, &["pairs", "add", "--from", &nowhere, "--to", &to], "").await;
        let blind = second_word(&said);
        eventually("the pair to say that its source cannot be read", || async {
            let pairs = list(&data, "pairs").await;
            let pair = pairs.iter().find(|pair| pair["id"] == blind.as_str()).expect("the pair");
            pair["text"].as_str().expect("a text").contains("cannot read its source").then_some(())
        })
        .await;
        ok(&data, &["pairs", "remove", &blind], "").await;
        ok(&data, &["pairs", "remove", &pair.id], "").await;
        world.write_text(&pair.source, "while there was no pair").await;
        let said = ok(&data, &["pairs", "add", "--from", &from, "--to", &to], "").await;
        assert!(said.trim_end().ends_with("forwards"), "{said}");
        world.write_text(&pair.source, "at once").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["at once"]);
        let id = second_word(&said);
        ok(&data, &["pairs", "pause", &id], "").await;
        world.write_text(&pair.source, "waits").await;
        let pairs = list(&data, "pairs").await;
        let paused = pairs.iter().find(|pair| pair["id"] == id.as_str()).expect("the pair");
        assert_eq!(paused["paused"], json!(["admin"]));
        ok(&data, &["pairs", "resume", &id], "").await;
        assert_eq!(world.wait_for(&pair.target, 2).await, ["at once", "waits"]);
        // What was removed stays removed, also where the sandbox seeds again.
        let before = list(&data, "pairs").await.len();
        assert!(daemon.terminate().await.success());
        let _daemon = Daemon::start(&world, &data).await;
        assert_eq!(list(&data, "pairs").await.len(), before);
        let nobody = "0193a0b0-0000-7000-8000-000000000001";
        for (from, to, why) in [
            (format!("{nobody}:5"), to.clone(), "there is no account"),
            (from.clone(), from.clone(), "same place"),
            (from.clone(), format!("{}:-5", pair.target.account), "Discord channel"),
        ] {
            let (code, complaint) = fails(&data, &["pairs", "add", "--from", &from, "--to", &to], "").await;
            assert!(code == 64 && complaint.contains(why), "{complaint}");
        }
        let unknown = verb(&data, &["pairs", "pause", nobody]).await;
        assert_eq!(unknown.status.code(), Some(64));
    }
}
