//! kill -9 in the middle of 2,000 messages, in each direction: all arrive, in order, none twice (features F9, R1;
//! design: promises).

use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, eventually};

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

async fn kill_nine(data: &DataDir, config: SandboxConfig) {
    let world = World::start(config).await;
    let pair = world.pairs().remove(0);
    let text = |n: usize| format!("message {n}");
    let writing = async {
        for n in 0..MESSAGES {
            world.write_text(&pair.source, &text(n)).await;
        }
    };
    // A pair forwards what is written from its first connection on.
    let mut daemon = Daemon::start(&world, data).await;
    let killing = async {
        for kill in 1..=KILLS {
            // The next kill comes in the middle of the work: after another share of it has arrived.
            let share = MESSAGES * kill / (KILLS + 1);
            eventually("a share of the messages", || async {
                (world.texts(&pair.target).await.len() >= share).then_some(())
            })
            .await;
            daemon.kill();
            daemon = Daemon::start(&world, data).await;
        }
        daemon
    };
    let ((), _daemon) = tokio::join!(writing, killing);
    world.wait_for(&pair.target, MESSAGES).await;
    // What comes after the last must come after it: a late repeat would stand before it.
    world.write_text(&pair.source, "end").await;
    let arrived = world.wait_for(&pair.target, MESSAGES + 1).await;
    let expected: Vec<String> = (0..MESSAGES).map(text).chain(["end".to_owned()]).collect();
    assert_eq!(arrived, expected);
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
}
