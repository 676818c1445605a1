//! Discord webhooks as targets of the whole daemon, in pairs that the operator adds (features F2 to F5).

use serde_json::{Value, json};
use switchyard_sandbox::{SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, End, SeededPair, World, eventually};
use crate::harness::operator::{add_pair, fails, list, ok, place, seeded, webhook};

/// A pair in every direction, and beside them two webhooks that nothing goes to yet.
async fn two_webhooks() -> World {
    let shape = SeedShape { webhooks: 2, ..SeedShape::default() };
    World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await
}

/// The source of the seeded pair that goes from one platform to another.
fn source(world: &World, from: &str, to: &str) -> End {
    let goes = |pair: &SeededPair| pair.source.platform == from && pair.target.platform == to;
    world.pairs().into_iter().find(goes).expect("a pair in every direction").source
}

/// Pairs from Telegram and from Discord, each to a webhook of its own.
async fn pairs_to_webhooks(world: &World, data: &DataDir) -> [SeededPair; 2] {
    let from_telegram = source(world, "telegram", "discord");
    let from_discord = source(world, "discord", "telegram");
    [
        add_pair(data, from_telegram, webhook(world, 0)).await,
        add_pair(data, from_discord, webhook(world, 1)).await,
    ]
}

/// The messages of a channel, oldest first, as Discord shows them to a bot that is in it.
async fn as_discord_shows(world: &World, channel: &str) -> Vec<Value> {
    let base = world.seed["discord"]["api_base"].as_str().expect("an address");
    let token = seeded(world, "discord_bot", 0)["token"].as_str().expect("a token");
    let call = reqwest::Client::new().get(format!("{base}/api/v10/channels/{channel}/messages?limit=100"));
    let answer = call.header("authorization", format!("Bot {token}")).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let mut messages: Vec<Value> = answer.json().await.expect("messages");
    messages.reverse();
    messages
}

fn field<'v>(items: &'v [Value], name: &str) -> Vec<&'v Value> {
    items.iter().map(|item| &item[name]).collect()
}

/// Waits until a webhook's channel shows just these texts.
async fn shows(world: &World, pair: &SeededPair, expected: &[&str]) -> Vec<Value> {
    let what = format!("{expected:?} by webhook, from {}", pair.source.platform);
    eventually(&what, || async {
        let items = world.read(&pair.target).await;
        (field(&items, "text") == expected).then_some(items)
    })
    .await
}

daemon_on_both_databases! {
    async fn text_goes_under_its_authors_name_with_its_formatting(data) {
        let world = two_webhooks().await;
        let _daemon = Daemon::start(&world, &data).await;
        let [from_telegram, from_discord] = pairs_to_webhooks(&world, &data).await;
        let bold = json!([{ "type": "bold", "offset": 0, "length": 4 }]);
        let person = world.sandbox.seed().telegram.persons[0].name.clone();
        world.write(&from_telegram.source, &json!({ "text": "bold word", "entities": bold, "from": person })).await;
        world.write(&from_discord.source, &json!({ "text": "an *italic* word", "from": "hasan" })).await;
        for (pair, text, author) in [
            (&from_telegram, "**bold** word", format!("{person} via Telegram")),
            (&from_discord, "an *italic* word", "hasan (forwarded)".to_owned()),
        ] {
            shows(&world, pair, &[text]).await;
            let shown = as_discord_shows(&world, &pair.target.chat).await;
            assert_eq!(shown[0]["author"]["username"], author, "{shown:?}");
            assert!(shown[0]["webhook_id"].is_string(), "{shown:?}");
        }
    }

    async fn edits_and_deletions_follow_and_an_answer_arrives_as_text(data) {
        let world = two_webhooks().await;
        let _daemon = Daemon::start(&world, &data).await;
        for pair in &pairs_to_webhooks(&world, &data).await {
            let question = world.write_text(&pair.source, "question").await;
            world.write(&pair.source, &json!({ "text": "answer", "reply_to": question })).await;
            let doomed = world.write_text(&pair.source, "doomed").await;
            let before = shows(&world, pair, &["question", "answer", "doomed"]).await;
            // Discord lets no webhook answer a message.
            assert_eq!(field(&before, "reply_to"), [&Value::Null; 3]);

            world.edit(&pair.source, &question, "better question").await;
            world.delete(&pair.source, &doomed).await;
            let after = shows(&world, pair, &["better question", "answer"]).await;
            assert_eq!(field(&after, "id"), field(&before[..2], "id"), "the copies are the same messages");
            assert_ne!(after[0]["edited_at"], Value::Null);
            assert_eq!(after[1]["edited_at"], Value::Null);
        }
        assert_eq!(world.get("/sandbox/violations").await, json!({}));
    }

    async fn a_webhook_writes_in_its_own_channel_only_and_cannot_be_read(data) {
        let world = two_webhooks().await;
        let _daemon = Daemon::start(&world, &data).await;
        let before = list(&data, "pairs").await;
        let (hook, other) = (webhook(&world, 0), webhook(&world, 1));
        let elsewhere = End { chat: other.chat.clone(), ..hook.clone() };
        let from = source(&world, "telegram", "discord");
        let only = format!("this webhook writes to channel {} only", hook.chat);
        for (from, to, why) in [
            (&from, &elsewhere, only.as_str()),
            (&hook, &other, "a webhook cannot read: name a bot that is in the channel"),
        ] {
            let add = ["pairs", "add", "--from", &place(from), "--to", &place(to)];
            let (code, complaint) = fails(&data, &add, "").await;
            assert!(code == 64 && complaint.contains(why), "{code}: {complaint}");
        }
        assert_eq!(list(&data, "pairs").await.len(), before.len(), "nothing was added");
    }

    async fn a_webhook_is_connected_by_its_address_and_writes_at_once(data) {
        let world = two_webhooks().await;
        let _daemon = Daemon::start(&world, &data).await;
        let hook = webhook(&world, 0);
        let told = |name: &str| seeded(&world, "discord_webhook", 0)[name].as_str().expect("a text").to_owned();
        ok(&data, &["accounts", "remove", &hook.account, "--yes"], "").await;
        let said = ok(&data, &["accounts", "add-webhook"], &format!("{}\n", told("url"))).await;
        let accounts = list(&data, "accounts").await;
        let new = accounts.iter().find(|found| found["platform_id"] == told("platform_id").as_str());
        let account = new.expect("connected")["id"].as_str().expect("an id").to_owned();
        assert!(said.contains(&account), "{said}");
        let pair = add_pair(&data, source(&world, "telegram", "discord"), End { account, ..hook }).await;
        world.write_text(&pair.source, "by its address").await;
        shows(&world, &pair, &["by its address"]).await;
        let log = data.read_log();
        assert!(!format!("{said}{log}").contains(&told("token")), "the webhook's token was told");
    }
}
