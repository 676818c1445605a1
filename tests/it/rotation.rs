//! A rotation over 100,000 users' keys by a daemon that forwards meanwhile and is killed on the way: nothing is unreadable at
//! any moment, and all of it ends.

use std::io::Write;
use std::time::Duration;

use reqwest::Method;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;
use switchyard::crypto::{Keyring, Vault, WrappedKey};
use switchyard_actors::model::UserId;
use switchyard_sandbox::SandboxConfig;
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, verb};
use crate::harness::many::{self, users};
use crate::harness::people::{Api, PASSWORD, Tokens, answer, tokens};

const ANN: &str = "ann@example.org";
const KILLS: u64 = 2;
/// Steps of the whole rotation, a pause between each two.
const STEPS: usize = 100;
/// All of it is bounded.
const WHOLE: Duration = Duration::from_secs(600);

/// Data keys are asked for anew nearly each time, so that what is read was unwrapped just now; and who looks so often is not
/// refused for that.
const ENV: [(&str, &str); 5] = [
    ("SWITCHYARD_VAULT__DATA_KEY_TTL", "50ms"),
    // Long enough to be killed on the way, also where a look takes seconds.
    ("SWITCHYARD_VAULT__ROTATION_PAUSE", "200ms"),
    ("SWITCHYARD_VAULT__WATCH_INTERVAL", "500ms"),
    ("SWITCHYARD_PLANS__DEFAULT", "business"),
    ("SWITCHYARD_LIMITS__OPEN_REQUESTS", "100000"),
];

async fn json(data: &DataDir, args: &[&str]) -> Value {
    let output = verb(data, args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn keyring(data: &DataDir) -> String {
    let listing = json(data, &["keys", "list", "--json"]).await;
    std::fs::read_to_string(listing["file"].as_str().expect("a file")).expect("the keyring")
}

/// Who looks whether everything can be read.
struct Watch<'a> {
    world: &'a World,
    data: &'a DataDir,
    pair: SeededPair,
    ann: Tokens,
    written: usize,
    slowest: Duration,
}

impl Watch<'_> {
    /// A message arrives, and what is sealed of a user is read through the API: the profile, and the password.
    async fn look(&mut self) {
        let began = Instant::now();
        let text = format!("message {}", self.written);
        self.world.write_text(&self.pair.source, &text).await;
        self.written += 1;
        let texts = self.world.wait_for(&self.pair.target, self.written).await;
        assert_eq!(texts.last(), Some(&text));
        self.slowest = self.slowest.max(began.elapsed());
        let api = Api::of(self.data);
        let (status, me) = answer(api.user(&self.ann, Method::GET, "/me")).await;
        assert_eq!((status, me["email"].as_str()), (200, Some(ANN)), "{me}");
        if self.written.is_multiple_of(8) {
            assert_eq!(api.try_login(ANN, PASSWORD).await.0, 200);
        }
    }
}

/// Every user's key opens with this keyring alone.
async fn all_open(data: &DataDir, keyring: &str, count: usize) {
    let vault = Vault::new(Keyring::parse(keyring, "a test").expect("a keyring"), 1);
    let store = data.database().await;
    let asked = Statement::from_string(
        store.get_database_backend(),
        "SELECT user_id, key_id, wrapped FROM data_keys",
    );
    let rows = store.query_all_raw(asked).await.expect("keys");
    assert!(rows.len() >= count, "{} keys", rows.len());
    for row in rows {
        let user: Uuid = row.try_get("", "user_id").expect("an id");
        let id: Vec<u8> = row.try_get("", "key_id").expect("an id");
        let id = switchyard::crypto::KeyId::from_bytes(id.try_into().expect("eight bytes"));
        let stored = WrappedKey { id, wrapped: row.try_get("", "wrapped").expect("a key") };
        vault.unwrap_data_key(UserId::from_uuid(user), &stored).expect("it opens");
    }
    store.close().await.expect("the store closes");
}

async fn rotated(data: &DataDir, many: usize) {
    let batch = (many / STEPS).to_string();
    let env: Vec<_> = ENV.into_iter().chain([("SWITCHYARD_VAULT__ROTATION_BATCH", batch.as_str())]).collect();
    let world = World::start(SandboxConfig::default()).await;
    let mut daemon = Daemon::start_with(&world, data, &env).await;
    let ann = Api::of(data).new_user(ANN).await;
    let first = keyring(data).await;
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
    users(&data.database().await, &first, u128::try_from(many).expect("a number")).await;

    daemon = Daemon::start_with(&world, data, &env).await;
    let old = json(data, &["keys", "list", "--json"]).await["sealing"].as_str().expect("a key").to_owned();
    json(data, &["keys", "add", "--json"]).await;
    let pair = world.pairs().remove(0);
    let mut watch = Watch { world: &world, data, pair, ann, written: 0, slowest: Duration::ZERO };
    watch.look().await;
    let began = Instant::now();
    let rotation = json(data, &["keys", "rotate", "--json"]).await;
    let total = rotation["total"].as_u64().expect("a count");
    assert!(total >= u64::try_from(many).expect("a number"), "{rotation}");
    let (mut done, mut kills, mut told) = (0, 0, 0);
    let ended = loop {
        watch.look().await;
        let now = json(data, &["keys", "list", "--json"]).await["rotation"].clone();
        let come = now["done"].as_u64().expect("a count");
        assert!(come >= done, "progress goes back: {come} after {done}");
        assert!(now["error"].is_null(), "{now}");
        told += u64::from(come > done);
        done = come;
        if now["phase"] == "finished" {
            break now;
        }
        if kills < KILLS && done >= total * (kills + 1) / (KILLS + 3) {
            daemon.kill();
            daemon = Daemon::start_with(&world, data, &env).await;
            kills += 1;
        }
    };
    let took = began.elapsed();
    assert_eq!((kills, &ended["done"]), (KILLS, &ended["total"]), "{ended}");
    assert!(told > KILLS, "progress is told on the way: {told} times");
    verb(data, &["keys", "retire", &old]).await;
    let last = keyring(data).await;
    assert_eq!(last.split_whitespace().count(), 1, "the old key is out of the file");
    daemon.kill();
    all_open(data, &last, many).await;
    let daemon = Daemon::start_with(&world, data, &env).await;
    // Access tokens were signed under the key that is gone; the sign-in itself goes on.
    let (status, renewed) = Api::of(data).refresh(&watch.ann.refresh).await;
    assert_eq!(status, 200, "{renewed}");
    watch.ann = tokens(&renewed);
    watch.look().await;
    let log = data.read_log();
    assert!(!log.contains("cannot be opened") && !log.contains("cannot be read"), "nothing was unreadable");
    let said = format!(
        "{many} keys rotated in {:.1} s over {KILLS} kills, {} messages meanwhile, the slowest {} ms (restarts left out)\n",
        took.as_secs_f64(),
        watch.written,
        watch.slowest.as_millis()
    );
    // Past the test harness, which swallows what a passing test prints.
    std::io::stderr().write_all(said.as_bytes()).expect("standard error");
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}

daemon_on_both_databases! {
    async fn many_keys_are_rotated_while_messages_flow_over_kills(data) {
        let many = many::keys(&data);
        tokio::time::timeout(WHOLE, Box::pin(rotated(&data, many))).await.expect("in time");
    }
}
