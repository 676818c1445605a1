//! What owners and operators change of accounts of a running daemon: names, reconnects, and sessions that are replaced.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::{fails, ok, seeded};

/// A call of the daemon's API as its operator.
pub(crate) async fn call(
    data: &DataDir,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> (StatusCode, Value) {
    let read = |name: &str| std::fs::read_to_string(data.path().join(name)).expect("a daemon runs");
    let url = format!("http://{}{path}", read("http-address").trim());
    let request = reqwest::Client::new().request(method, url).bearer_auth(read("operator-token").trim());
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

pub(crate) async fn get(data: &DataDir, path: &str) -> Value {
    let (status, body) = call(data, Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}\n{}", data.read_log());
    body
}

/// How an account is, in one word.
async fn health(data: &DataDir, id: &str) -> String {
    get(data, &format!("/api/v1/accounts/{id}")).await["health"]["status"]
        .as_str()
        .expect("a status")
        .to_owned()
}

daemon_on_both_databases! {
    async fn a_name_of_ones_own_stays_and_two_editors_do_not_overwrite_each_other(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let bot = seeded(&world, "discord_bot", 0);
        let path = format!("/api/v1/accounts/{}", bot["id"].as_str().expect("an id"));
        let (status, changed) = call(&data, Method::PATCH, &path, Some(&json!({ "name": " Ours " }))).await;
        assert_eq!((status, &changed["name"], &changed["version"]), (StatusCode::OK, &json!("Ours"), &json!(1)));
        let token = bot["token"].as_str().expect("a token");
        ok(&data, &["accounts", "add-bot", "--discord"], token).await;
        assert_eq!(get(&data, &path).await["name"], "Ours", "a new login changes no name");
        assert!(daemon.terminate().await.success());
        let _daemon = Daemon::start(&world, &data).await;
        let kept = get(&data, &path).await;
        assert_eq!((&kept["name"], &kept["version"]), (&json!("Ours"), &json!(1)));
        let (status, _) = call(&data, Method::PATCH, &path, Some(&json!({ "name": "" }))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (_, plain) = call(&data, Method::PATCH, &path, Some(&json!({ "name": null }))).await;
        assert_ne!(plain["name"], "Ours");
        let proxy = json!({ "proxy": { "host": "127.0.0.1", "port": 9 } });
        let (status, refused) = call(&data, Method::PATCH, &path, Some(&proxy)).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (StatusCode::BAD_REQUEST, &json!("/proxy")));
    }

    async fn a_reconnect_connects_anew_and_a_revoked_session_needs_a_login(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let user = seeded(&world, "telegram_user", 0)["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/accounts/{user}/reconnect");
        assert_eq!(call(&data, Method::POST, &path, None).await.0, StatusCode::ACCEPTED);
        eventually("the session to be back", || async {
            (health(&data, &user).await == "connected").then_some(())
        })
        .await;
        world.fault(&json!({ "target": user, "kind": "session_revoked", "count": 1 })).await;
        call(&data, Method::POST, &path, None).await;
        eventually("the account to need a login", || async {
            (health(&data, &user).await == "needs_login").then_some(())
        })
        .await;
        let (status, problem) = call(&data, Method::POST, &path, None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("needs_login")));
    }

    async fn a_new_login_ends_the_session_that_it_replaces(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let user = &world.sandbox.seed().telegram.users[0];
        let keys = || world.sandbox.telegram().signed_in_keys(user.user_id);
        assert_eq!(keys(), 1);
        for _ in 0..2 {
            ok(&data, &["accounts", "login"], &format!("{}\n{}\n", user.phone, user.code.reveal())).await;
            eventually("the replaced session to end", || async { (keys() == 1).then_some(()) }).await;
        }
        let pair = world.pairs().remove(0);
        world.write_text(&pair.source, "by the one that is left").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["by the one that is left"]);
    }

    async fn what_looks_like_a_secret_on_the_command_line_is_not_repeated(data) {
        let secret = "123456:AAFXAy5-PawQlnYywUlZ";
        for args in [
            vec!["accounts", "add-bot", "--telegram", secret],
            vec!["accounts", "add-bot", secret],
            vec!["accounts", secret],
            vec!["accounts", "add-webhook", secret, "--token-fil=x"],
            vec!["login", "--server", "https://a.example", secret],
        ] {
            let (code, complaint) = fails(&data, &args, "").await;
            assert!(code == 64 && !complaint.contains("AAFX"), "{args:?}: {code} {complaint}");
        }
        let long = data.path().with_file_name("long");
        std::fs::write(&long, "x".repeat(100_000)).expect("a file");
        let file = long.to_str().expect("a path");
        let (code, complaint) = fails(&data, &["accounts", "add-bot", "--discord", "--token-file", file], "").await;
        assert!(code == 64 && complaint.contains("longer than"), "{code}: {complaint}");
    }
}
