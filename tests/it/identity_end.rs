//! Users take their data and go: the export is whole, and after the deletion nothing is left to be read.

use reqwest::Method;
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::{list, ok, seeded};
use crate::harness::people::{Api, Tokens, answer, letter};

const ANN: &str = "ann@example.org";

fn url(data: &DataDir) -> String {
    let file = || format!("sqlite://{}", data.path().join("switchyard.sqlite").display());
    data.store_url().map_or_else(file, str::to_owned)
}

/// Every wrapped data key there is.
async fn wrapped_keys(data: &DataDir) -> Vec<Vec<u8>> {
    let store = Database::connect(url(data)).await.expect("the store");
    let asked = Statement::from_string(store.get_database_backend(), "SELECT wrapped FROM data_keys");
    let rows = store.query_all_raw(asked).await.expect("keys");
    let keys = rows.iter().map(|row| row.try_get("", "wrapped").expect("a key")).collect();
    store.close().await.expect("the store closes");
    keys
}

/// A seeded bot changes hands: the operator removes it, the user connects it.
async fn take_over_bot(world: &World, data: &DataDir, api: &Api, user: &Tokens) -> String {
    let bot = seeded(world, "discord_bot", 0);
    let known = bot["id"].as_str().expect("an id");
    ok(data, &["accounts", "remove", known, "--yes"], "").await;
    let order = json!({ "kind": "discord_bot", "token": bot["token"] });
    let (status, made) = answer(api.user(user, Method::POST, "/accounts").json(&order)).await;
    assert_eq!(status, 201, "{made}");
    made["account"]["id"].as_str().expect("an id").to_owned()
}

daemon_on_both_databases! {
    async fn who_goes_takes_everything_along_and_leaves_nothing(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let before = wrapped_keys(&data).await;
        let ann = api.new_user(ANN).await;
        let hers: Vec<Vec<u8>> =
            wrapped_keys(&data).await.into_iter().filter(|key| !before.contains(key)).collect();
        assert_eq!(hers.len(), 1, "each user has a key");
        let account = take_over_bot(&world, &data, &api, &ann).await;
        let key = json!({ "name": "a key of hers", "scopes": ["pairs:read"] });
        let (_, key) = answer(api.user(&ann, Method::POST, "/me/api-keys").json(&key)).await;
        let key = key["secret"].as_str().unwrap().to_owned();

        let (status, export) = answer(api.user(&ann, Method::GET, "/me/export")).await;
        assert_eq!(status, 200, "{export}");
        assert_eq!(export["profile"]["email"], ANN);
        assert_eq!(export["sessions"][0]["id"], ann.session.as_str());
        assert_eq!(export["api_keys"][0]["name"], "a key of hers");
        assert_eq!(export["sections"]["accounts"]["items"][0]["id"], account.as_str());
        assert_eq!(export["sections"]["accounts"]["truncated"], false);
        let text = export.to_string();
        let token = seeded(&world, "discord_bot", 0)["token"].as_str().unwrap();
        for secret in [key.as_str(), token, ann.refresh.as_str()] {
            assert!(!text.contains(secret), "a secret is in the export");
        }
        let others = list(&data, "accounts").await;
        let foreign = others.iter().filter(|found| found["id"] != account.as_str());
        for other in foreign {
            assert!(!text.contains(other["id"].as_str().unwrap()), "somebody else's account is in the export");
        }

        let (status, _) = answer(api.user(&ann, Method::DELETE, "/me")).await;
        assert_eq!(status, 202);
        assert_eq!(api.lets_in(&ann).await, 401, "at once");
        assert_eq!(answer(api.key(&key, Method::GET, "/pairs")).await.0, 401);
        assert_eq!(api.refresh(&ann.refresh).await.0, 401);
        assert_eq!(api.try_login(ANN, crate::harness::people::PASSWORD).await.0, 401);
        letter(&data, ANN, "is being deleted").await;
        eventually("her key to be gone", || async {
            (!wrapped_keys(&data).await.contains(&hers[0])).then_some(())
        })
        .await;
        eventually("her account to be gone", || async {
            list(&data, "accounts").await.iter().all(|found| found["id"] != account.as_str()).then_some(())
        })
        .await;
        assert!(daemon.terminate().await.success());
        // Not even the wrapped key is left for somebody who has the master key.
        for (place, content) in data.contents().await {
            let found = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
            assert!(!found(&hers[0]), "the wrapped key lies in {place}");
            assert!(place.ends_with(".eml") || !found(ANN.as_bytes()), "her address lies in {place}");
        }
        let _daemon = Daemon::start(&world, &data).await;
        Api::of(&data).new_user(ANN).await;
    }

    async fn a_deletion_goes_on_after_kill_nine_and_needs_a_fresh_sign_in(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_AUTH__FRESH_FOR", "1ms")];
        let daemon = Daemon::start_with(&world, &data, &env).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        let account = take_over_bot(&world, &data, &api, &ann).await;
        let (status, problem) = answer(api.user(&ann, Method::DELETE, "/me")).await;
        assert_eq!((status, &problem["code"]), (403, &json!("fresh_sign_in_needed")));
        assert_eq!(api.lets_in(&ann).await, 200);
        daemon.kill();
        let daemon = Daemon::start(&world, &data).await;
        let (status, problem): (u16, Value) = answer(Api::of(&data).user(&ann, Method::DELETE, "/me")).await;
        assert_eq!(status, 202, "{problem}");
        // Killed right behind the answer, wherever the erasure is by then.
        daemon.kill();
        let _daemon = Daemon::start(&world, &data).await;
        eventually("her account to be gone", || async {
            list(&data, "accounts").await.iter().all(|found| found["id"] != account.as_str()).then_some(())
        })
        .await;
        let api = Api::of(&data);
        assert_eq!(api.lets_in(&ann).await, 401);
        eventually("her address to be free", || async {
            (wrapped_keys(&data).await.len() == 1).then_some(())
        })
        .await;
    }
}
