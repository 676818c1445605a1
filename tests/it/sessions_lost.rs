//! Sessions and tokens that the platform takes away under load (design section 4 and 7): one account stops, everything
//! else goes on, and after a new login all that was written meanwhile arrives, in order and once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, eventually, verb};
use crate::harness::operator::{list, ok, seeded};

/// Messages of a pair before its account is struck, until it is noticed, while it is away, and afterwards.
const STAGES: [usize; 4] = [30, 30, 30, 10];

/// A pair in every direction that concerns Telegram, for each of two accounts of a kind.
async fn world(telegram_bots: u16) -> World {
    let pairs = PairCounts {
        telegram_to_discord: 2,
        telegram_to_telegram: 2,
        discord_to_telegram: 2,
        discord_to_discord: 2,
    };
    let shape =
        SeedShape { telegram_users: 2, telegram_bots, discord_bots: 2, pairs, ..SeedShape::default() };
    World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await
}

/// What is written to every pair, stage by stage, and how much of it there is.
struct Load {
    pairs: Vec<SeededPair>,
    written: usize,
    stage: usize,
}

impl Load {
    fn new(world: &World) -> Self {
        Self { pairs: world.pairs(), written: 0, stage: 0 }
    }

    async fn next_stage(&mut self, world: &World) {
        let until = self.written + STAGES[self.stage];
        for n in self.written..until {
            for pair in &self.pairs {
                world.write_text(&pair.source, &format!("m{n}")).await;
            }
        }
        (self.written, self.stage) = (until, self.stage + 1);
    }

    /// All that was written is at the target: in order, once.
    async fn arrives(&self, world: &World, which: impl Fn(&SeededPair) -> bool) {
        let expected: Vec<_> = (0..self.written).map(|n| format!("m{n}")).collect();
        for pair in self.pairs.iter().filter(|pair| which(pair)) {
            let direction = format!("{} to {}", pair.source.platform, pair.target.platform);
            assert_eq!(world.wait_for(&pair.target, expected.len()).await, expected, "{direction}");
        }
    }
}

fn uses(pair: &SeededPair, account: &str) -> bool {
    pair.source.account == account || pair.target.account == account
}

fn account(world: &World, kind: &str) -> String {
    seeded(world, kind, 0)["id"].as_str().expect("an id").to_owned()
}

async fn healths(data: &DataDir) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let accounts = list(data, "accounts").await;
    accounts.iter().map(|found| (text(&found["id"]), text(&found["health"]["status"]))).collect()
}

/// Waits until the account stands so, and sees that every other one is connected and the daemon ready.
async fn stands_alone(data: &DataDir, account: &str, status: &str) {
    eventually(&format!("the account to be {status}"), || async {
        let healths = healths(data).await;
        healths.iter().any(|(id, health)| id == account && health == status).then_some(())
    })
    .await;
    for (id, health) in healths(data).await {
        // One that reads what it missed is connected too.
        let stands = matches!(health.as_str(), "connected" | "catching_up");
        assert!(id == account || stands, "{id} is {health}\n{}", data.read_log());
    }
    assert!(verb(data, &["healthcheck", "--ready"]).await.status.success(), "{}", data.read_log());
}

/// A session that a person registered elsewhere, as Telethon writes it.
fn telethon_session(world: &World) -> String {
    let key = [9_u8; 256];
    let user = world.sandbox.seed().telegram.users[0].user_id;
    world.sandbox.telegram().register_auth_key(&key, Some(user)).expect("a key");
    let address = world.sandbox.telegram_address();
    let std::net::IpAddr::V4(ip) = address.ip() else { panic!("not IPv4") };
    let bytes = [&[2], ip.octets().as_slice(), &address.port().to_be_bytes(), &key].concat();
    format!("1{}", URL_SAFE.encode(bytes))
}

/// A user's session ends under load, as source and as target; `sign_in` is what the operator does then.
async fn user_is_signed_out(data: DataDir, fault: &str, sign_in: impl AsyncFn(&World, &DataDir)) {
    let world = world(0).await;
    let sick = account(&world, "telegram_user");
    let _daemon = Daemon::start(&world, &data).await;
    let mut load = Load::new(&world);
    load.next_stage(&world).await;
    world.fault(&json!({ "target": sick, "kind": fault, "count": 1 })).await;
    load.next_stage(&world).await;
    stands_alone(&data, &sick, "needs_login").await;
    let log = data.read_log();
    assert!(log.contains("Telegram User 1 needs login: the platform ended its session"), "{log}");
    load.next_stage(&world).await;
    load.arrives(&world, |pair| !uses(pair, &sick)).await;
    sign_in(&world, &data).await;
    load.next_stage(&world).await;
    load.arrives(&world, |_| true).await;
    stands_alone(&data, &sick, "connected").await;
}

/// A bot's session ends under load: its token begins another, and nobody is asked.
async fn bot_signs_in_again(data: DataDir, fault: &str) {
    let world = world(1).await;
    let bot = account(&world, "telegram_bot");
    let _daemon = Daemon::start(&world, &data).await;
    let mut load = Load::new(&world);
    assert!(load.pairs.iter().any(|pair| pair.target.account == bot));
    for stage in 0..STAGES.len() {
        if (1..3).contains(&stage) {
            world.fault(&json!({ "target": bot, "kind": fault, "count": 1 })).await;
        }
        load.next_stage(&world).await;
    }
    load.arrives(&world, |_| true).await;
    stands_alone(&data, &bot, "connected").await;
    let log = data.read_log();
    assert!(!log.contains("needs login"), "a person was asked for:\n{log}");
}

/// An account may not write any more: it is quarantined until an operator lifts that.
async fn frozen_until_reconnected(data: DataDir, kind: &str, bots: u16) {
    let world = world(bots).await;
    let frozen = account(&world, kind);
    let _daemon = Daemon::start(&world, &data).await;
    let mut load = Load::new(&world);
    load.next_stage(&world).await;
    world.fault(&json!({ "target": frozen, "kind": "frozen", "seconds": 36_000 })).await;
    load.next_stage(&world).await;
    stands_alone(&data, &frozen, "quarantined").await;
    let log = data.read_log();
    assert!(log.contains("may not send and is quarantined"), "{log}");
    load.next_stage(&world).await;
    load.arrives(&world, |pair| pair.target.account != frozen).await;
    world.no_faults().await;
    ok(&data, &["reconnect", &frozen], "").await;
    load.next_stage(&world).await;
    load.arrives(&world, |_| true).await;
    stands_alone(&data, &frozen, "connected").await;
}

daemon_on_both_databases! {
    async fn a_revoked_user_session_waits_for_an_imported_one(data) {
        user_is_signed_out(data, "session_revoked", async |world, data| {
            let import = ["accounts", "import", "--telethon-session", "-"];
            let said = ok(data, &import, &telethon_session(world)).await;
            assert!(said.contains("has a new login"), "{said}");
        })
        .await;
    }

    async fn a_duplicated_user_key_waits_for_a_code(data) {
        user_is_signed_out(data, "auth_key_duplicated", async |world, data| {
            let user = &world.sandbox.seed().telegram.users[0];
            let answers = format!("{}\n{}\n", user.phone, user.code.reveal());
            let said = ok(data, &["accounts", "login"], &answers).await;
            assert!(said.contains("has a new login"), "{said}");
        })
        .await;
    }

    async fn a_revoked_bot_session_begins_another(data) {
        bot_signs_in_again(data, "session_revoked").await;
    }

    async fn a_duplicated_bot_key_is_replaced(data) {
        bot_signs_in_again(data, "auth_key_duplicated").await;
    }

    async fn a_frozen_bot_is_quarantined_until_it_is_reconnected(data) {
        frozen_until_reconnected(data, "telegram_bot", 1).await;
    }

    async fn a_frozen_user_reads_on_and_is_quarantined_for_sending(data) {
        frozen_until_reconnected(data, "telegram_user", 0).await;
    }

    async fn a_discord_token_that_was_taken_back_waits_for_a_new_one(data) {
        let world = world(1).await;
        let sick = account(&world, "discord_bot");
        let _daemon = Daemon::start(&world, &data).await;
        let mut load = Load::new(&world);
        assert!(load.pairs.iter().any(|pair| pair.source.account == sick && pair.source.platform == "discord"));
        load.next_stage(&world).await;
        world.fault(&json!({ "target": sick, "kind": "unauthorized", "seconds": 36_000 })).await;
        load.next_stage(&world).await;
        stands_alone(&data, &sick, "needs_login").await;
        assert!(data.read_log().contains("needs login: the platform ended its session"), "{}", data.read_log());
        load.next_stage(&world).await;
        load.arrives(&world, |pair| !uses(pair, &sick)).await;
        world.no_faults().await;
        let token = seeded(&world, "discord_bot", 0)["token"].as_str().expect("a token").to_owned();
        ok(&data, &["accounts", "add-bot", "--discord"], &token).await;
        load.next_stage(&world).await;
        load.arrives(&world, |_| true).await;
        stands_alone(&data, &sick, "connected").await;
    }
}
