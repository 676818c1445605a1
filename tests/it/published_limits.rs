//! With the platforms' published limits enforced, steady load in every direction breaks none of them (feature S3).

use std::time::Duration;

use serde_json::json;
use switchyard_sandbox::{Limits, PairCounts, SandboxConfig, SeedShape};
use tokio::time::Instant;

use crate::harness::daemon::{Daemon, World};
use crate::harness::operator::{add_pair, webhook};

/// How long the load lasts, in seconds: a minute, or what this variable says.
const SECONDS: &str = "SWITCHYARD_TEST_LIMITS_SECONDS";

/// Between two messages in one source chat: each target gets more than it may be sent.
const PAUSE: Duration = Duration::from_millis(700);

/// The load is over when so many messages have arrived at each target at least: nothing stands still.
const ARRIVED_AT_LEAST: usize = 5;

fn seconds() -> Duration {
    let told = std::env::var(SECONDS).ok();
    Duration::from_secs(told.map_or(60, |text| text.parse().expect("a number of seconds")))
}

daemon_on_both_databases! {
    /// Telegram's users and bots, Discord's bots and webhooks: three pairs in every direction, and a webhook beside the
    /// targets of two, with edits between.
    async fn steady_load_breaks_no_published_limit(data) {
        let counts = PairCounts {
            telegram_to_discord: 3,
            telegram_to_telegram: 3,
            discord_to_telegram: 3,
            discord_to_discord: 3,
        };
        let shape = SeedShape {
            telegram_users: 2,
            telegram_bots: 1,
            discord_bots: 2,
            webhooks: 2,
            pairs: counts,
        };
        let world = World::start(SandboxConfig { limits: Limits::Published, shape, ..SandboxConfig::default() }).await;
        assert_eq!(world.seed["limits"], "published");
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let mut hooks = Vec::new();
        for (index, platform) in ["telegram", "discord"].into_iter().enumerate() {
            let n = pairs.iter().position(|pair| pair.source.platform == platform).expect("such a source");
            let pair = add_pair(&data, pairs[n].source.clone(), webhook(&world, index)).await;
            hooks.push((n, pair.target));
        }
        let end = Instant::now() + seconds();
        let mut written: Vec<Vec<String>> = vec![Vec::new(); pairs.len()];
        let mut last = vec![String::new(); pairs.len()];
        let mut ticks = tokio::time::interval(PAUSE);
        for round in 0_usize.. {
            ticks.tick().await;
            if Instant::now() >= end {
                break;
            }
            for (n, pair) in pairs.iter().enumerate() {
                // Every tenth time the last message is changed instead.
                if round % 10 == 9 {
                    let text = format!("changed in round {round}");
                    world.edit(&pair.source, &last[n], &text).await;
                    *written[n].last_mut().expect("a message") = text;
                    continue;
                }
                let text = format!("round {round}");
                last[n] = world.write(&pair.source, &json!({ "text": text })).await;
                written[n].push(text);
            }
        }
        let targets = pairs.iter().map(|pair| &pair.target).enumerate();
        for (n, target) in targets.chain(hooks.iter().map(|(n, target)| (*n, target))) {
            let arrived = world.wait_for(target, ARRIVED_AT_LEAST).await;
            assert_in_order(&arrived, &written[n]);
        }
        let broken = world.get("/sandbox/violations").await;
        assert_eq!(broken, json!({}));
    }
}

/// What arrived is what was written first, in order; a message whose edit is still under way shows its first words.
fn assert_in_order(arrived: &[String], written: &[String]) {
    assert!(arrived.len() <= written.len(), "more arrived than was written: {arrived:?}");
    for (place, (there, here)) in arrived.iter().zip(written).enumerate() {
        let same = there == here || (here.starts_with("changed") && there.starts_with("round"));
        assert!(same, "{there:?} stands at {place}, where {here:?} was written");
    }
}
