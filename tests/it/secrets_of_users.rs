//! What is secret of users, staff and installation lies in no file, log or column in plain text: row by row, all of it planted
//! through the doors by which it comes (feature S2).

use reqwest::Method;
use serde_json::{Value, json};
use switchyard::crypto::Totp;
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, eventually};
use crate::harness::needles::Needles;
use crate::harness::operator::{add_pair, ok, webhook};
use crate::harness::people::{Api, Tokens, answer, letter, tokens};
use crate::identity_guard::{base32, seconds};

const ANN: &str = "ann.planted@example.org";
const PASSWORD: &str = "planted password of Ann";
const GUESS: &str = "planted guess of somebody";
const BODY: &str = "planted words of a message";
const HELD: &str = "planted words that wait";
const ADMIN: &str = "planted password of the staff";
const PROVIDER: &str = "planted-provider-secret-4711";

/// Where something was planted: each must hold a row, or the walk looks at nothing.
const FILLED: &[&str] = &[
    "users",
    "user_sessions",
    "user_totp",
    "user_recovery_codes",
    "api_keys",
    "password_resets",
    "idempotency_keys",
    "bot_link_codes",
    "account_secrets",
    "provider_secrets",
    "admins",
    "events",
    "delivery_parts",
    "data_keys",
];

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Ann's password, tokens, second factor, keys and codes.
async fn plant_of_ann(api: &Api, data: &DataDir, needles: &mut Needles) {
    let who = json!({ "email": ANN, "password": PASSWORD });
    assert_eq!(api.post("/auth/register", &who).await.0, 202);
    assert_eq!(api.try_login(ANN, GUESS).await.0, 401);
    let ann: Tokens = tokens(&api.post("/auth/login", &who).await.1);
    let order = async |path: &'static str, body: Value| {
        let request = api.user(&ann, Method::POST, path).header("idempotency-key", path).json(&body);
        let (status, made) = answer(request).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    };
    let key =
        order("/me/api-keys", json!({ "name": "planted name of a key", "scopes": ["pairs:read"] })).await;
    let key = text(&key["secret"]);
    assert_eq!(answer(api.key(&key, Method::GET, "/pairs")).await.0, 200);
    let begun = text(&order("/me/totp", json!({})).await["secret"]);
    let raw = base32(&begun);
    let code = Totp::new(&raw, "x", "y").expect("a secret").code(seconds());
    let confirmed = order("/me/totp/confirm", json!({ "code": code })).await;
    let link = order("/me/telegram-link", json!({})).await;
    for (name, secret) in [
        ("the address", ANN),
        ("the password", PASSWORD),
        ("a guess", GUESS),
        ("an access token", ann.access.as_str()),
        ("a refresh token", ann.refresh.as_str()),
        ("an API key", key.as_str()),
        ("an API key's name", "planted name of a key"),
        ("the second factor in base 32", begun.as_str()),
        ("a code that links a chat", link["code"].as_str().expect("a code")),
    ] {
        needles.add(name, secret.as_bytes());
    }
    needles.add("the second factor", &raw);
    for code in confirmed["recovery_codes"].as_array().expect("codes") {
        needles.add("a recovery code", text(code).as_bytes());
    }
    assert_eq!(api.post("/auth/password/forgot", &json!({ "email": ANN })).await.0, 202);
    let letter = letter(data, ANN, "swp_").await;
    let token = letter.split(|sign: char| !sign.is_ascii_alphanumeric() && !"_-".contains(sign));
    let token = token.into_iter().find(|word| word.starts_with("swp_")).expect("a token").to_owned();
    needles.add("a token that resets a password", token.as_bytes());
}

/// Tokens and keys of the accounts, messages that went and messages that wait.
async fn plant_of_accounts(world: &World, data: &DataDir, needles: &mut Needles) -> SeededPair {
    for account in world.seed["accounts"].as_array().expect("accounts") {
        for field in ["token", "url"] {
            if let Some(secret) = account[field].as_str() {
                needles.add(field, secret.as_bytes());
            }
        }
    }
    for key in world.sandbox.registered_auth_keys() {
        // A part is enough to know it by.
        needles.add("an authorisation key", &key[..32]);
    }
    needles.add("a message", BODY.as_bytes());
    needles.add("a message that waits", HELD.as_bytes());
    let pair = world.pairs().remove(0);
    let to_hook = add_pair(data, pair.source.clone(), webhook(world, 0)).await;
    world.write_text(&pair.source, BODY).await;
    world.wait_for(&pair.target, 1).await;
    world.wait_for(&to_hook.target, 1).await;
    ok(data, &["queues", "pause", &pair.target.account], "").await;
    world.write_text(&pair.source, HELD).await;
    eventually("the second message to wait", || async {
        let health = answer(Api::of(data).operator(Method::GET, "/admin/health")).await.1;
        (health["store"]["deliveries_waiting"] == 1).then_some(())
    })
    .await;
    pair
}

/// Secrets of the staff and of the installation.
async fn plant_of_installation(api: &Api, data: &DataDir, needles: &mut Needles) {
    ok(data, &["admin", "add", "ada@example.org", "--role", "owner"], &format!("{ADMIN}\n")).await;
    let who = json!({ "email": "ada@example.org", "password": ADMIN });
    let (status, signed_in) = api.post("/admin/auth/login", &who).await;
    assert_eq!(status, 200, "{signed_in}");
    needles.add("an admin's password", ADMIN.as_bytes());
    needles.add("an admin's refresh token", text(&signed_in["refresh_token"]).as_bytes());
    let outside = tempfile::tempdir().expect("a folder");
    let file = outside.path().join("secret");
    std::fs::write(&file, PROVIDER).expect("a file");
    ok(data, &["secrets", "set", "bot-token", "--file", &file.display().to_string()], "").await;
    needles.add("a provider's secret", PROVIDER.as_bytes());
}

/// What lies where it must not.
fn look(needles: &Needles, places: &[(String, Vec<u8>)], when: &str) {
    for (place, content) in places {
        let mut found = needles.found_in(content);
        // A letter is to its reader, until there is a mail server to hand it to: it holds their address and a token.
        if place.ends_with(".eml") {
            found.retain(|name| !matches!(*name, "the address" | "a token that resets a password"));
        }
        assert!(found.is_empty(), "{found:?} in {place} {when}");
    }
}

daemon_on_both_databases! {
    async fn no_secret_lies_in_a_file_a_log_or_a_column(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start_with(&world, &data, &[("SWITCHYARD_LOG__LEVEL", "trace")]).await;
        let api = Api::of(&data);
        let mut needles = Needles::default();
        plant_of_accounts(&world, &data, &mut needles).await;
        plant_of_ann(&api, &data, &mut needles).await;
        plant_of_installation(&api, &data, &mut needles).await;
        assert!(needles.count() > 25, "{} secrets", needles.count());
        let letters = data.files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "eml"));
        let letters: Vec<u8> = letters.flat_map(|file| std::fs::read(file).expect("a letter")).collect();
        assert!(needles.found_in(&letters).contains(&"the address"), "the look finds what is there");
        for table in FILLED {
            assert!(data.rows(&format!("SELECT 1 FROM {table}")).await > 0, "{table} holds something");
        }
        let contents = data.contents().await;
        let there = |part: &str| contents.iter().any(|(name, _)| name.ends_with(part));
        assert!(there("daemon.log") && (data.store_url().is_some() || there("-wal")), "logs are looked at");
        look(&needles, &contents, "while it runs");
        let tables = data.tables().await;
        assert!(tables.len() > 30, "{} tables or columns", tables.len());
        look(&needles, &tables, "while it runs");
        assert!(daemon.terminate().await.success());
        look(&needles, &data.contents().await, "after the end");
    }
}
