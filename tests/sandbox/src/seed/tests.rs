//! A seed is the same every time, and all its ids differ.

use std::collections::HashSet;

use super::*;

fn shape(telegram_users: u16, discord_bots: u16, pairs: u16) -> SeedShape {
    SeedShape { telegram_users, discord_bots, pairs }
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
