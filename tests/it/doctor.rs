//! The doctor finds what is wrong, says what to do, ends by the gravest class, and tells no secret.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

/// Another master key than any that a test's daemon made.
const WRONG_KEY: &str = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What a run of the doctor said.
struct Said {
    code: Option<i32>,
    text: String,
    report: Value,
}

impl Said {
    /// The checks of a name.
    fn of(&self, name: &str) -> Vec<&Value> {
        self.report["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .filter(|check| check["check"] == name)
            .collect()
    }

    /// Verdict and finding of the first check of a name.
    fn first(&self, name: &str) -> (&str, &str) {
        let check = self.of(name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {}", self.text));
        (check["verdict"].as_str().expect("a word"), check["found"].as_str().expect("text"))
    }

    fn failed(&self) -> Vec<&str> {
        let failed = |check: &&Value| check["verdict"] == "fail";
        let checks = self.report["checks"].as_array().expect("checks").iter().filter(failed);
        checks.map(|check| check["check"].as_str().expect("a name")).collect()
    }
}

async fn doctor(data: &DataDir, sandbox: &str, env: &[(&str, &str)]) -> Said {
    let mut command = data.command(&["doctor", "--json"]);
    command.args((!sandbox.is_empty()).then_some(sandbox)).envs(env.iter().copied());
    let run = move || command.output().expect("the command runs");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["exit_code"].as_i64(), output.status.code().map(i64::from));
    for check in report["checks"].as_array().expect("checks") {
        assert_eq!(check["advice"].is_null(), check["verdict"] == "ok", "what to do is said: {check}");
    }
    Said { code: output.status.code(), text, report }
}

fn attach(world: &World) -> String {
    format!("--sandbox={}", world.control)
}

daemon_on_both_databases! {
    async fn a_healthy_daemon_is_found_healthy_running_or_not(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let running = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((running.code, running.failed()), (Some(0), vec![]), "{}", running.text);
        assert_eq!(running.first("daemon").0, "ok");
        assert!(running.first("store").1.contains("writes are the daemon's"), "{}", running.text);
        let pair = world.pairs().remove(0);
        world.write_text(&pair.source, "goes on").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["goes on"], "a look disturbs nothing");

        assert!(daemon.terminate().await.success());
        let alone = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((alone.code, alone.failed()), (Some(0), vec![]), "{}", alone.text);
        let kind = if data.store_url().is_some() { "PostgreSQL" } else { "SQLite" };
        let (verdict, store) = alone.first("store");
        assert!(verdict == "ok" && store.starts_with(kind) && store.contains("reads and writes"), "{store}");
        for check in ["config", "data.folder", "store.schema", "vault.key", "vault", "telegram", "discord"] {
            assert_eq!(alone.first(check).0, "ok", "{}", alone.text);
        }
        assert_eq!(alone.of("store.clock").len(), usize::from(data.store_url().is_some()));
        let accounts = alone.of("account");
        assert_eq!(accounts.len(), world.seed["accounts"].as_array().expect("accounts").len());
        assert!(accounts.iter().any(|check| check["found"].as_str().is_some_and(|found| found.contains("signed in"))));
        assert_eq!(alone.of("pair").len(), world.pairs().len());

        // It lets go of everything: a daemon starts at once.
        let daemon = Daemon::start(&world, &data).await;
        let text = verb(&data, &["doctor", &attach(&world)]).await;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.lines().next().is_some_and(|line| line.starts_with("ok ")), "{text}");
        for account in world.seed["accounts"].as_array().expect("accounts") {
            if let Some(secret) = account["token"].as_str() {
                assert!(!text.contains(secret) && !alone.text.contains(secret) && !running.text.contains(secret));
            }
        }
        assert!(daemon.terminate().await.success());
    }

    async fn a_wrong_key_is_told_and_exits_78(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        assert!(daemon.terminate().await.success());
        let env = [("SWITCHYARD_VAULT__MASTER_KEY", WRONG_KEY)];
        let said = doctor(&data, &attach(&world), &env).await;
        assert_eq!((said.code, said.first("vault").0), (Some(78), "fail"), "{}", said.text);
        assert!(said.first("vault").1.contains("not on the keyring"), "{}", said.text);
        assert!(!said.text.contains(WRONG_KEY));
    }

    async fn a_bad_token_is_told_and_exits_69(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        assert!(daemon.terminate().await.success());
        let account = world.pairs().remove(0).target.account;
        world.fault(&json!({ "target": account, "kind": "unauthorized", "count": 100 })).await;
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.failed()), (Some(69), vec!["account"]), "{}", said.text);
        let bad = said.of("account").into_iter().find(|check| check["verdict"] == "fail").expect("one");
        assert!(bad["found"].as_str().is_some_and(|found| found.contains(&account) && found.contains("401")));
    }

    async fn an_intent_that_a_source_needs_is_a_fault(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        assert!(daemon.terminate().await.success());
        let account = world.pairs().remove(0).target.account;
        let url = format!("{}/sandbox/discord/bots/{account}/intents", world.control);
        let off = json!({ "message_content": false });
        let answer = reqwest::Client::new().post(url).json(&off).send().await.unwrap();
        assert!(answer.status().is_success());
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.failed()), (Some(69), vec!["account"]), "{}", said.text);
        assert!(said.text.contains("message content intent is off"), "{}", said.text);
    }

    async fn missing_rights_and_intents_are_told(data) {
        let pairs = PairCounts { telegram_to_discord: 1, ..PairCounts::default() };
        let shape = SeedShape { pairs, ..SeedShape::default() };
        let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
        let daemon = Daemon::start(&world, &data).await;
        assert!(daemon.terminate().await.success());
        let pair = world.pairs().remove(0);
        let change = async |path: String, body: Value| {
            let url = format!("{}/sandbox/discord/{path}", world.control);
            let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        };
        change(format!("bots/{}/intents", pair.target.account), json!({ "message_content": false })).await;
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.failed()), (Some(0), vec![]), "no pair reads by it: {}", said.text);
        let off = said.of("account").into_iter().find(|check| check["verdict"] == "warn").expect("one");
        assert!(off["found"].as_str().is_some_and(|found| found.contains("message content intent is off")), "{off}");
        change(format!("chats/{}/permissions", pair.target.chat), json!({ "send_messages": false })).await;
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.failed()), (Some(69), vec!["pair"]), "{}", said.text);
        let (_, found) = said.first("pair");
        assert!(found.contains(&pair.id) && found.contains("lacks Send Messages"), "{found}");
    }

    async fn pending_schema_changes_are_told(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        assert!(daemon.terminate().await.success());
        let sqlite = format!("sqlite://{}", data.path().join("switchyard.sqlite").display());
        let store = sea_orm::Database::connect(data.store_url().unwrap_or(&sqlite)).await.unwrap();
        let last = "(SELECT max(version) FROM seaql_migrations)";
        store.execute_unprepared(&format!("DELETE FROM seaql_migrations WHERE version = {last}")).await.unwrap();
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.first("store.schema").0), (Some(0), "warn"), "{}", said.text);
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99991231_000001_unknown', 0)";
        store.execute_unprepared(newer).await.unwrap();
        let said = doctor(&data, &attach(&world), &[]).await;
        assert_eq!((said.code, said.first("store").0), (Some(78), "fail"), "{}", said.text);
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_exits_75() {
    let (world, data) = (World::start(SandboxConfig::default()).await, DataDir::default());
    let daemon = Daemon::start(&world, &data).await;
    assert!(daemon.terminate().await.success());
    let file = format!("sqlite://{}", data.path().join("switchyard.sqlite").display());
    let mut options = sea_orm::ConnectOptions::new(file);
    options.max_connections(1);
    let other = sea_orm::Database::connect(options).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let env = [("SWITCHYARD_STORE__BUSY_TIMEOUT", "100ms")];
    let said = doctor(&data, &attach(&world), &env).await;
    assert_eq!((said.code, said.first("store").0), (Some(75), "fail"), "{}", said.text);
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    assert_eq!(doctor(&data, &attach(&world), &env).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_platforms_exit_69_and_the_rest_is_looked_at() {
    let (world, data) = (World::start(SandboxConfig::default()).await, DataDir::default());
    let daemon = Daemon::start(&world, &data).await;
    assert!(daemon.terminate().await.success());
    let refused =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let base = format!("http://{refused}");
    let env =
        [("SWITCHYARD_TELEGRAM__ADDRESS", refused.as_str()), ("SWITCHYARD_DISCORD__API_BASE", base.as_str())];
    let said = doctor(&data, &attach(&world), &env).await;
    assert_eq!((said.code, said.failed()), (Some(69), vec!["telegram", "discord"]), "{}", said.text);
    assert_eq!(said.first("vault").0, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gravest_class_wins() {
    let (world, data) = (World::start(SandboxConfig::default()).await, DataDir::default());
    let daemon = Daemon::start(&world, &data).await;
    assert!(daemon.terminate().await.success());
    let env =
        [("SWITCHYARD_DOCTOR__DISK_FREE_WARN", "4096GiB"), ("SWITCHYARD_DOCTOR__DISK_FREE_FAIL", "4096GiB")];
    let said = doctor(&data, &attach(&world), &env).await;
    assert_eq!((said.code, said.failed()), (Some(74), vec!["data.disk"]), "{}", said.text);
    let env = [env[0], env[1], ("SWITCHYARD_VAULT__MASTER_KEY", WRONG_KEY)];
    assert_eq!(doctor(&data, &attach(&world), &env).await.code, Some(78));
    let env = [("SWITCHYARD_DOCTOR__DISK_FREE_WARN", "4096GiB")];
    let said = doctor(&data, &attach(&world), &env).await;
    assert_eq!((said.code, said.first("data.disk").0), (Some(0), "warn"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_start_it_says_what_is_not_there() {
    let data = DataDir::default();
    let wrong = doctor(&data, "", &[("SWITCHYARD_HTTP__LISTEM", "x")]).await;
    assert_eq!((wrong.code, wrong.failed()), (Some(78), vec!["config"]), "{}", wrong.text);
    let said = doctor(&data, "--sandbox", &[]).await;
    assert_eq!((said.code, said.failed()), (Some(0), vec![]), "{}", said.text);
    for check in ["data.folder", "vault.key", "store", "sandbox"] {
        assert_eq!(said.first(check).0, "warn", "{}", said.text);
    }
    assert!(!data.path().exists(), "it makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_the_data_and_open_modes_are_told() {
    let (world, data) = (World::start(SandboxConfig::default()).await, DataDir::default());
    let daemon = Daemon::start(&world, &data).await;
    let database = data.path().join("switchyard.sqlite");
    for name in ["switchyard.sqlite", "switchyard.sqlite-wal", "switchyard.sqlite-shm"] {
        let mode = fs::metadata(data.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(daemon.terminate().await.success());
    fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
    let said = doctor(&data, &attach(&world), &[]).await;
    let folder = said.of("data.folder").remove(0);
    assert_eq!(folder["verdict"], "warn");
    assert!(folder["advice"].as_str().is_some_and(|advice| advice.contains("switchyard.sqlite")), "{folder}");

    let (other, key) = (DataDir::default(), "key");
    fs::create_dir(other.path()).unwrap();
    fs::write(other.path().join(key), WRONG_KEY).unwrap();
    let file = other.path().join(key).display().to_string();
    let refused =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let base = format!("http://{refused}");
    let env = [
        ("SWITCHYARD_VAULT__MASTER_KEY_FILE", file.as_str()),
        ("SWITCHYARD_TELEGRAM__ADDRESS", refused.as_str()),
        ("SWITCHYARD_DISCORD__API_BASE", base.as_str()),
    ];
    let said = doctor(&other, "", &env).await;
    assert_eq!((said.code, said.first("vault.key").0), (Some(78), "fail"), "{}", said.text);
    assert!(!said.text.contains(WRONG_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_inside_a_daemon_is_found_and_a_changed_seed_is_a_configuration_fault() {
    let data = DataDir::default();
    let daemon = Daemon::start_embedded(&data).await;
    let said = doctor(&data, "", &[]).await;
    assert_eq!((said.code, said.failed()), (Some(0), vec![]), "{}", said.text);
    assert_eq!((said.first("sandbox").0, said.first("discord").0), ("ok", "ok"));
    daemon.kill();
    let path = data.path().display().to_string();
    let mut command = data.command(&["serve", "--sandbox", "--listen", "127.0.0.1:0"]);
    command.env("SWITCHYARD_SANDBOX__SEED", "4711");
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(&path), "{said}");
    let _daemon = Daemon::start_embedded(&data).await;
    eventually("the same daemon again", || async {
        verb(&data, &["healthcheck"]).await.status.success().then_some(())
    })
    .await;
}
