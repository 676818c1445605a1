//! Nothing is ever one too many, whatever the network does, and little is given away for it.

use super::sim::{Chance, Load, Outcome, run};
use super::*;

const SEEDS: [u64; 3] = [1, 2, 3];
const SENDS: usize = 20_000;

fn backlog(kind: AccountKind, lanes: Vec<Lane>, seed: u64) -> Load {
    Load {
        profile: Profile::named(kind, "normal").unwrap(),
        backlogged: lanes,
        depth: 1,
        next: |_| (1, Class::Live),
        lone: None,
        stalls: false,
        kill_every: None,
        lose_one_in: 1_000,
        headers: false,
        sends: SENDS,
        until: Duration::MAX,
        seed,
    }
}

fn groups(count: i64) -> Vec<Lane> {
    (1..=count).map(|id| chat(-id)).collect()
}

fn chats(count: i64) -> Vec<Lane> {
    (1..=count).map(chat).collect()
}

/// Sends a second, as a part of `ideal`.
fn share(outcome: &Outcome, ideal: f64) -> f64 {
    f64::from(u32::try_from(outcome.sends).unwrap()) / outcome.elapsed.as_secs_f64() / ideal
}

/// Jain's index of what the lanes got.
fn evenness(outcome: &Outcome) -> f64 {
    let got = || outcome.by_lane.values().map(|count| f64::from(*count));
    let (sum, squares) = (got().sum::<f64>(), got().map(|count| count * count).sum::<f64>());
    sum * sum / (f64::from(u32::try_from(outcome.by_lane.len()).unwrap()) * squares)
}

fn check(outcome: &Outcome, ideal: f64, least: f64) {
    assert_eq!(outcome.violations, 0, "one too many");
    let share = share(outcome, ideal);
    assert!(share >= least, "throughput {share} of the ideal");
    assert!(share <= 1.06, "throughput {share}: more than the budget allows");
    println!("throughput {share:.3}, evenness {:.5}", evenness(outcome));
}

#[test]
fn a_bot_with_many_groups_is_bound_by_its_account() {
    for seed in SEEDS {
        let load = backlog(AccountKind::TelegramBot, groups(150), seed);
        let outcome = run(Load { lose_one_in: 0, ..load });
        check(&outcome, 30.0, 0.95);
        assert!(evenness(&outcome) >= 0.99);
        let fair = Duration::from_secs_f64(150.0 / 30.0);
        assert!(outcome.longest_gap <= fair * 2, "{:?}", outcome.longest_gap);
    }
}

#[test]
fn stalls_cost_little_and_break_nothing() {
    for seed in SEEDS {
        let load = backlog(AccountKind::TelegramBot, groups(150), seed);
        check(&run(Load { stalls: true, ..load }), 30.0, 0.90);
        let load = backlog(AccountKind::DiscordBot, chats(400), seed);
        check(&run(Load { stalls: true, ..load }), 50.0, 0.90);
    }
}

#[test]
fn a_discord_bot_with_many_channels_is_bound_by_its_account() {
    for seed in SEEDS {
        let load = backlog(AccountKind::DiscordBot, chats(400), seed);
        let outcome = run(Load { headers: true, ..load });
        check(&outcome, 50.0, 0.95);
        assert!(evenness(&outcome) >= 0.99);
    }
}

#[test]
fn few_lanes_are_bound_by_their_chats() {
    for seed in SEEDS {
        let load = backlog(AccountKind::TelegramBot, groups(10), seed);
        check(&run(Load { sends: 4_000, ..load }), 10.0 * 20.0 / 60.0, 0.97);
        let load = backlog(AccountKind::DiscordBot, chats(4), seed);
        check(&run(Load { sends: 4_000, ..load }), 4.0, 0.95);
        let load = backlog(AccountKind::DiscordWebhook, chats(1), seed);
        check(&run(Load { sends: 4_000, ..load }), 0.5, 0.95);
    }
}

#[test]
fn a_user_keeps_to_every_window_of_the_account() {
    for profile in ["cautious", "normal", "fast"] {
        let load = backlog(AccountKind::TelegramUser, groups(50), 5);
        let profile = Profile::named(AccountKind::TelegramUser, profile).unwrap();
        let outcome = run(Load { profile, sends: 5_000, ..load });
        assert_eq!(outcome.violations, 0);
    }
}

#[test]
fn albums_and_edits_mixed_break_nothing() {
    let mixed = |chance: &mut Chance| match chance.below(10) {
        0 => (1, Class::Urgent),
        1 | 2 => (2 + u32::try_from(chance.below(9)).unwrap(), Class::Live),
        3 | 4 => (1, Class::Backfill),
        _ => (1, Class::Live),
    };
    for seed in SEEDS {
        let load = backlog(AccountKind::TelegramBot, groups(200), seed);
        let outcome = run(Load { next: mixed, depth: 2, stalls: true, ..load });
        assert_eq!(outcome.violations, 0);
    }
}

#[test]
fn a_lone_message_waits_little_beside_a_backlog_and_not_at_all_without_one() {
    for seed in SEEDS {
        let load = backlog(AccountKind::TelegramBot, groups(150), seed);
        let outcome = run(Load { lone: Some(chat(7)), lose_one_in: 0, ..load });
        let waits = &outcome.lone_waits;
        let (half, most) = (waits[waits.len() / 2], waits[waits.len() * 95 / 100]);
        println!("lone: p50 {half:?}, p95 {most:?} of {}", waits.len());
        assert!(half <= ms(20) && most <= ms(50), "p50 {half:?}, p95 {most:?}");

        let load = backlog(AccountKind::TelegramBot, Vec::new(), seed);
        let outcome = run(Load { lone: Some(chat(7)), lose_one_in: 0, sends: 500, ..load });
        assert_eq!(outcome.lone_waits.last(), Some(&Duration::ZERO), "an idle system");
    }
}

#[test]
fn a_client_that_is_killed_every_minute_breaks_nothing() {
    for (kind, lanes) in [
        (AccountKind::TelegramBot, groups(10)),
        (AccountKind::TelegramBot, groups(150)),
        (AccountKind::TelegramUser, groups(50)),
        (AccountKind::DiscordBot, chats(4)),
        (AccountKind::DiscordBot, chats(400)),
        (AccountKind::DiscordWebhook, chats(1)),
    ] {
        for (seed, every) in [(1, 60), (2, 17), (3, 5)] {
            let load = backlog(kind, lanes.clone(), seed);
            let outcome = run(Load { kill_every: Some(secs(every)), until: secs(600), ..load });
            println!("{kind:?}, {} lanes, killed every {every} s: {} sent", lanes.len(), outcome.sends);
            assert_eq!(outcome.violations, 0, "{kind:?}, {} lanes, killed every {every} s", lanes.len());
            assert!(outcome.sends > 0 || every < 60);
        }
    }
}
