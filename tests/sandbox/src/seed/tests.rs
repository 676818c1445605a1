//! A seed is the same every time, and all its ids differ.

use std::collections::HashSet;

use super::*;

fn shape(telegram_users: u16, discord_bots: u16, telegram_to_discord: u16) -> SeedShape {
    let pairs = PairCounts { telegram_to_discord, ..PairCounts::default() };
    SeedShape { telegram_users, discord_bots, pairs, ..SeedShape::default() }
}

/// Everything there is, in different numbers.
fn full() -> SeedShape {
    let pairs = PairCounts {
        telegram_to_discord: 3,
        telegram_to_telegram: 4,
        discord_to_telegram: 5,
        discord_to_discord: 6,
    };
    SeedShape { telegram_users: 2, telegram_bots: 2, discord_bots: 3, webhooks: 4, pairs }
}

#[test]
fn every_direction_has_its_pairs_and_no_chat_is_used_twice() {
    let seed = Seed::new(7, full()).unwrap();
    let ends = seed.pairs.iter().flat_map(|pair| [&pair.source, &pair.target]);
    let chats: HashSet<_> = ends.clone().map(|end| (end.platform, end.chat.clone())).collect();
    assert_eq!((seed.pairs.len(), chats.len()), (18, 36));
    let ids: HashSet<_> = seed.pairs.iter().map(|pair| pair.id).collect();
    assert_eq!(ids.len(), 18);
    for (direction, count) in Direction::ALL.into_iter().zip([3, 4, 5, 6]) {
        let pairs: Vec<_> = seed.pairs.iter().filter(|pair| pair.direction == direction).collect();
        assert_eq!(pairs.len(), count, "{direction:?}");
        for pair in pairs {
            assert_eq!(pair.source.platform, direction.platform(End::Source));
            assert_eq!(pair.target.platform, direction.platform(End::Target));
        }
    }
    assert!(ends.clone().all(|end| seed.has_account(end.account)));
}

#[test]
fn targets_on_telegram_alternate_between_bots_and_users_and_sources_are_users() {
    let seed = Seed::new(7, full()).unwrap();
    let is_bot = |end: &PairEnd| seed.telegram.bots.iter().any(|bot| bot.account == end.account);
    for direction in [Direction::TelegramToTelegram, Direction::DiscordToTelegram] {
        let pairs = seed.pairs.iter().filter(|pair| pair.direction == direction);
        for (index, pair) in pairs.enumerate() {
            assert!(!is_bot(&pair.source));
            assert_eq!(is_bot(&pair.target), index % 2 == 0, "{pair:?}");
        }
    }
    let without = Seed::new(7, SeedShape { telegram_bots: 0, ..full() }).unwrap();
    assert_eq!(without.pairs.len(), 18, "users take the bots' turns");
}

#[test]
fn more_accounts_and_directions_leave_the_ids_of_the_first_direction_as_they_are() {
    let (few, many) = (Seed::new(7, shape(2, 3, 3)).unwrap(), Seed::new(7, full()).unwrap());
    assert_eq!(few.pairs[..], many.pairs[..3]);
    assert_eq!(few.discord.bots[2].token, many.discord.bots[2].token);
}

#[test]
fn webhooks_lie_in_channels_of_their_own_beside_the_pairs() {
    let seed = Seed::new(7, full()).unwrap();
    let channels: HashSet<_> = seed.discord.webhooks.iter().map(|webhook| webhook.channel).collect();
    assert_eq!(channels.len(), 4);
    for webhook in &seed.discord.webhooks {
        let guild = seed.discord.guilds.iter().find(|guild| guild.id == webhook.guild).unwrap();
        let channel = guild.channels.iter().find(|channel| channel.id == webhook.channel).unwrap();
        assert!(channel.writable && channel.slot.is_none());
        assert!(seed.has_account(webhook.account));
        assert_eq!(webhook.token.reveal().len(), 68);
    }
    let ends = seed.pairs.iter().flat_map(|pair| [&pair.source, &pair.target]);
    assert!(ends.clone().all(|end| !channels.iter().any(|channel| channel.to_string() == end.chat)));
}

#[test]
fn every_second_user_has_a_password_and_bots_have_tokens_of_the_usual_form() {
    let seed = Seed::new(7, full()).unwrap();
    let users = &seed.telegram.users;
    assert!(users[0].password.is_none() && users[1].password.is_some());
    let token = seed.telegram.bots[1].token.reveal();
    let (id, secret) = token.split_once(':').unwrap();
    assert_eq!((id, secret.len()), ("3000002", 35));
    let debug = format!("{seed:?}");
    assert!(!debug.contains(token));
    assert!(!debug.contains(users[1].password.as_ref().unwrap().reveal()));
    assert!(!debug.contains(seed.discord.webhooks[0].token.reveal()));
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let one = Seed::new(7, shape(2, 3, 8)).unwrap();
    let two = Seed::new(7, shape(2, 3, 8)).unwrap();
    assert_eq!(one.user, two.user);
    assert_eq!(one.pairs, two.pairs);
    assert_eq!(one.discord.guilds, two.discord.guilds);
    assert_eq!(one.discord.bots[0].token, two.discord.bots[0].token);
    let other = Seed::new(8, shape(2, 3, 8)).unwrap();
    assert_ne!(one.user, other.user);
    assert_ne!(one.discord.bots[0].token, other.discord.bots[0].token);
    assert_ne!(one.fingerprint(), other.fingerprint());
}

#[test]
fn pairs_are_spread_and_share_no_chat() {
    let seed = Seed::new(7, shape(2, 3, 12)).unwrap();
    assert_eq!(seed.pairs.len(), 12);
    let chats: HashSet<_> =
        seed.pairs.iter().flat_map(|pair| [pair.source.chat.clone(), pair.target.chat.clone()]).collect();
    assert_eq!(chats.len(), 24);
    let ids: HashSet<_> = seed.pairs.iter().map(|pair| pair.id).collect();
    assert_eq!(ids.len(), 12);
    for user in &seed.telegram.users {
        assert_eq!(seed.pairs.iter().filter(|pair| pair.source.account == user.account).count(), 6);
    }
    for bot in &seed.discord.bots {
        assert_eq!(seed.pairs.iter().filter(|pair| pair.target.account == bot.account).count(), 4);
        assert!(seed.has_account(bot.account));
    }
    assert_eq!(seed.pairs[0].source.chat, "-1001000000001");
    assert_eq!(seed.user.id.get_version_num(), 7);
}

#[test]
fn a_pair_needs_accounts() {
    assert_eq!(Seed::new(1, shape(0, 1, 1)).unwrap_err(), ShapeError::NoAccount);
    assert_eq!(Seed::new(1, shape(1, 0, 1)).unwrap_err(), ShapeError::NoAccount);
}

#[test]
fn secrets_are_not_in_debug() {
    let seed = Seed::new(7, SeedShape::default()).unwrap();
    let debug = format!("{seed:?}");
    assert!(!debug.contains(seed.discord.bots[0].token.reveal()));
    assert!(!debug.contains(seed.telegram.users[0].code.reveal()));
    let token: Vec<_> = seed.discord.bots[0].token.reveal().split('.').map(str::len).collect();
    assert_eq!(token, [26, 6, 38]);
}
