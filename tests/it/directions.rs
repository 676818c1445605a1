//! All four directions through real clients and sockets: text, formatting, replies, edits, deletions (features F3, F4, F5).

use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, End, SeededPair, World, eventually};

/// Two pairs in every direction; on Telegram a bot writes to the first target and a user to the second.
fn every_direction() -> SandboxConfig {
    let pairs = PairCounts {
        telegram_to_discord: 2,
        telegram_to_telegram: 2,
        discord_to_telegram: 2,
        discord_to_discord: 2,
    };
    let shape =
        SeedShape { telegram_users: 2, telegram_bots: 1, discord_bots: 2, pairs, ..SeedShape::default() };
    SandboxConfig { shape, ..SandboxConfig::default() }
}

/// A text as people on a platform write it, and how a reader on either platform sees it.
struct Sample {
    telegram: (&'static str, Value),
    discord: &'static str,
}

fn samples() -> Vec<Sample> {
    let entity = |kind: &str, offset: usize, length: usize| json!({ "type": kind, "offset": offset, "length": length });
    let link = json!({ "type": "text_link", "offset": 0, "length": 4, "url": "https://example.org/a" });
    vec![
        Sample { telegram: ("plain words", json!([])), discord: "plain words" },
        Sample { telegram: ("bold word", json!([entity("bold", 0, 4)])), discord: "**bold** word" },
        Sample { telegram: ("an italic word", json!([entity("italic", 3, 6)])), discord: "an *italic* word" },
        Sample { telegram: ("see x = 1", json!([entity("code", 4, 5)])), discord: "see `x = 1`" },
        Sample { telegram: ("gone word", json!([entity("strikethrough", 0, 4)])), discord: "~~gone~~ word" },
        Sample { telegram: ("😀 hidden", json!([entity("spoiler", 3, 6)])), discord: "😀 ||hidden||" },
        Sample { telegram: ("docs", json!([link])), discord: "[docs](<https://example.org/a>)" },
    ]
}

impl Sample {
    fn written(&self, end: &End) -> Value {
        match end.platform.as_str() {
            "telegram" => json!({ "text": self.telegram.0, "entities": self.telegram.1 }),
            _ => json!({ "text": self.discord }),
        }
    }

    fn seen(&self, end: &End) -> (String, Value) {
        match end.platform.as_str() {
            "telegram" => (self.telegram.0.to_owned(), self.telegram.1.clone()),
            _ => (self.discord.to_owned(), json!([])),
        }
    }
}

fn direction(pair: &SeededPair) -> String {
    format!("{} to {}", pair.source.platform, pair.target.platform)
}

fn text(item: &Value) -> &str {
    item["text"].as_str().expect("a text")
}

/// Waits until the target of a pair shows just these texts.
async fn shows(world: &World, pair: &SeededPair, expected: &[&str]) -> Vec<Value> {
    let what = format!("{expected:?} at the target, {}", direction(pair));
    eventually(&what, || async {
        let items = world.read(&pair.target).await;
        let texts: Vec<&str> = items.iter().map(text).collect();
        (texts == expected).then_some(items)
    })
    .await
}

daemon_on_both_databases! {
    async fn formatted_text_goes_in_every_direction(data) {
        let world = World::start(every_direction()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        assert_eq!(pairs.len(), 8);
        for pair in &pairs {
            for sample in &samples() {
                world.write(&pair.source, &sample.written(&pair.source)).await;
            }
        }
        for pair in &pairs {
            world.wait_for(&pair.target, samples().len()).await;
            let items = world.read(&pair.target).await;
            let seen: Vec<_> = items.iter().map(|item| (text(item).to_owned(), item["entities"].clone())).collect();
            let expected: Vec<_> = samples().iter().map(|sample| sample.seen(&pair.target)).collect();
            assert_eq!(seen, expected, "{}", direction(pair));
        }
    }

    async fn replies_edits_and_deletions_follow_in_every_direction(data) {
        let world = World::start(every_direction()).await;
        let _daemon = Daemon::start(&world, &data).await;
        for pair in &world.pairs() {
            let question = world.write_text(&pair.source, "question").await;
            let answer = world.write(&pair.source, &json!({ "text": "answer", "reply_to": question })).await;
            let doomed = world.write_text(&pair.source, "doomed").await;
            let before = shows(&world, pair, &["question", "answer", "doomed"]).await;
            assert_eq!(before[1]["reply_to"], before[0]["id"], "{}", direction(pair));
            assert_eq!(before[0]["reply_to"], Value::Null);
            assert_eq!(before[1]["edited_at"], Value::Null);

            world.edit(&pair.source, &answer, "better answer").await;
            world.delete(&pair.source, &doomed).await;
            let after = shows(&world, pair, &["question", "better answer"]).await;
            let ids = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
            assert_eq!(ids(&after), ids(&before[..2]), "the copies are the same messages, {}", direction(pair));
            assert_ne!(after[1]["edited_at"], Value::Null);
            assert_eq!(after[1]["reply_to"], after[0]["id"]);
        }
    }

    async fn what_changed_while_the_daemon_was_away_follows_where_the_platform_tells(data) {
        let world = World::start(every_direction()).await;
        let daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let mut written = Vec::new();
        for pair in &pairs {
            let kept = world.write_text(&pair.source, "kept").await;
            let doomed = world.write_text(&pair.source, "doomed").await;
            written.push((kept, doomed));
        }
        for pair in &pairs {
            world.wait_for(&pair.target, 2).await;
        }
        assert!(daemon.terminate().await.success(), "{}", data.read_log());
        for (pair, (kept, doomed)) in pairs.iter().zip(&written) {
            world.edit(&pair.source, kept, "changed").await;
            world.delete(&pair.source, doomed).await;
            world.write(&pair.source, &json!({ "text": "late answer", "reply_to": kept })).await;
        }
        let _daemon = Daemon::start(&world, &data).await;
        for pair in &pairs {
            let items = shows(&world, pair, &["changed", "late answer"]).await;
            assert_eq!(items[1]["reply_to"], items[0]["id"], "{}", direction(pair));
        }
    }
}

/// The seeded world as `serve --sandbox` makes it: one pair in every direction.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_world_has_a_pair_in_every_direction() {
    let data = DataDir::default();
    let world = World::start(SandboxConfig::default()).await;
    let _daemon = Daemon::start(&world, &data).await;
    let pairs = world.pairs();
    let mut directions: Vec<_> = pairs.iter().map(direction).collect();
    directions.sort();
    let every = ["discord to discord", "discord to telegram", "telegram to discord", "telegram to telegram"];
    assert_eq!(directions, every);
    for pair in &pairs {
        world.write_text(&pair.source, &direction(pair)).await;
    }
    for pair in &pairs {
        assert_eq!(world.wait_for(&pair.target, 1).await, [direction(pair)]);
    }
}
