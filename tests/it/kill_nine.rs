//! kill -9 in the middle of 2,000 messages, in each direction: all arrive, in order, none twice (features F9, R1;
//! design: promises). By webhook all arrive at least once, and what may stand twice is told.

use std::collections::BTreeMap;
use std::io::Write;

use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, End, World, eventually};
use crate::harness::operator::{add_pair, webhook};

const MESSAGES: usize = 2_000;
const KILLS: usize = 6;

/// A world with these pairs alone.
fn only(pairs: PairCounts, telegram_bots: u16) -> SandboxConfig {
    let shape =
        SeedShape { telegram_users: 1, telegram_bots, discord_bots: 1, pairs, ..SeedShape::default() };
    SandboxConfig { shape, ..SandboxConfig::default() }
}

const NONE: PairCounts = PairCounts {
    telegram_to_discord: 0,
    telegram_to_telegram: 0,
    discord_to_telegram: 0,
    discord_to_discord: 0,
};

fn text(n: usize) -> String {
    format!("message {n}")
}

/// What is written: the messages, and what must come after the last of them.
fn written() -> Vec<String> {
    (0..MESSAGES).map(text).chain(["end".to_owned()]).collect()
}

/// Writes the messages while a daemon is killed again and again in the middle of its work; answers the last daemon.
async fn kill_while_writing(
    world: &World,
    data: &DataDir,
    mut daemon: Daemon,
    source: &End,
    target: &End,
) -> Daemon {
    let writing = async {
        for n in 0..MESSAGES {
            world.write_text(source, &text(n)).await;
        }
    };
    let killing = async {
        for kill in 1..=KILLS {
            // The next kill comes in the middle of the work: after another share of it has arrived.
            let share = MESSAGES * kill / (KILLS + 1);
            eventually("a share of the messages", || async {
                (world.texts(target).await.len() >= share).then_some(())
            })
            .await;
            daemon.kill();
            daemon = Daemon::start(world, data).await;
        }
        daemon
    };
    let ((), daemon) = tokio::join!(writing, killing);
    daemon
}

/// Where sends carry a key nothing stands twice.
async fn kill_nine(data: &DataDir, config: SandboxConfig) {
    let world = World::start(config).await;
    let pair = world.pairs().remove(0);
    // A pair forwards what is written from its first connection on.
    let daemon = Daemon::start(&world, data).await;
    let _daemon = kill_while_writing(&world, data, daemon, &pair.source, &pair.target).await;
    world.wait_for(&pair.target, MESSAGES).await;
    // What comes after the last must come after it: a late repeat would stand before it.
    world.write_text(&pair.source, "end").await;
    assert_eq!(world.wait_for(&pair.target, MESSAGES + 1).await, written());
}

/// What a daemon says, in log and ledger, of a send that may be the second one.
const SENT_AGAIN: &str = "sent again, may stand twice";

/// A webhook's sends carry no key: what was under way when the daemon was killed may stand twice, which is told.
async fn kill_nine_to_a_webhook(data: &DataDir) {
    let pairs = PairCounts { telegram_to_discord: 1, ..NONE };
    let world = World::start(only(pairs, 0)).await;
    let daemon = Daemon::start(&world, data).await;
    // Its source goes to a bot's channel as well: each target has a lane of its own.
    let seeded = world.pairs().remove(0);
    let pair = add_pair(data, seeded.source.clone(), webhook(&world, 0)).await;
    let daemon = kill_while_writing(&world, data, daemon, &pair.source, &pair.target).await;
    world.write_text(&pair.source, "end").await;
    let arrived = eventually("the end by webhook", || async {
        let texts = world.texts(&pair.target).await;
        texts.iter().any(|text| text == "end").then_some(texts)
    })
    .await;
    assert_eq!(world.wait_for(&seeded.target, MESSAGES + 1).await, written(), "by the bot");
    assert!(daemon.terminate().await.success(), "{}", data.read_log());

    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    let mut firsts = Vec::with_capacity(arrived.len());
    for text in &arrived {
        let count = copies.entry(text.clone()).or_default();
        *count += 1;
        if *count == 1 {
            firsts.push(text.clone());
        }
    }
    assert_eq!(firsts, written(), "each arrives, and the first copies are in order");
    let repeats = arrived.len() - firsts.len();
    let twice = copies.values().filter(|count| **count > 1).count();
    let said = data.read_log().lines().filter(|line| line.contains(SENT_AGAIN)).count();
    let noted = data.deliveries_noted(SENT_AGAIN).await;
    let counted = format!(
        "{MESSAGES} messages by webhook, {KILLS} kills: {repeats} repeats, {said} told in the log, {noted} in the ledger\n"
    );
    // Past the test harness, which swallows what a passing test prints.
    std::io::stderr().write_all(counted.as_bytes()).expect("standard error");
    // One send is under way in a lane, so a kill leaves one that is unclear at most.
    assert!(repeats <= said && said <= KILLS, "{repeats} repeats, {said} told, {KILLS} kills");
    assert!(twice <= noted && noted <= said, "{twice} stand twice, {noted} noted, {said} told");
}

daemon_on_both_databases! {
    async fn telegram_to_discord(data) {
        kill_nine(&data, only(PairCounts { telegram_to_discord: 1, ..NONE }, 0)).await;
    }

    async fn telegram_to_telegram_by_a_user(data) {
        kill_nine(&data, only(PairCounts { telegram_to_telegram: 1, ..NONE }, 0)).await;
    }

    async fn telegram_to_telegram_by_a_bot(data) {
        kill_nine(&data, only(PairCounts { telegram_to_telegram: 1, ..NONE }, 1)).await;
    }

    async fn discord_to_telegram(data) {
        kill_nine(&data, only(PairCounts { discord_to_telegram: 1, ..NONE }, 0)).await;
    }

    async fn discord_to_discord(data) {
        kill_nine(&data, only(PairCounts { discord_to_discord: 1, ..NONE }, 0)).await;
    }

    async fn to_a_webhook(data) {
        kill_nine_to_a_webhook(&data).await;
    }
}
