//! The operations with which a seeded world begins.

use crate::seed::{Seed, TelegramBot, TelegramUser};

use super::op::{Kind, NewChannel, Op, Role, User};

/// The account from which Telegram itself writes.
pub(crate) const SERVICE: i64 = 777_000;
/// 2025-01-01T00:00:00Z: the moment at which everything seeded was made.
const MADE_AT: i64 = 1_735_689_600;
/// Bare id of the first broadcast channel.
const FIRST_BROADCAST: i64 = 1_500_000_001;
/// Bare id of the first supergroup whose content is protected.
const FIRST_PROTECTED: i64 = 1_600_000_001;

/// Users, supergroups and, for every account, a broadcast channel that it reads and a supergroup whose content is
/// protected. Not journaled: the journal's fingerprint names the seed.
pub(crate) fn operations(seed: &Seed) -> Vec<Op> {
    let telegram = &seed.telegram;
    let service = User {
        id: SERVICE,
        first_name: "Telegram".to_owned(),
        last_name: None,
        username: None,
        phone: Some("42777".to_owned()),
        bot: false,
    };
    let mut ops = vec![Op::User(service)];
    ops.extend(telegram.users.iter().map(account));
    ops.extend(telegram.bots.iter().map(bot));
    let persons: Vec<i64> =
        telegram.persons.iter().filter_map(|person| i64::try_from(person.id).ok()).collect();
    ops.extend(telegram.persons.iter().zip(&persons).map(|(person, id)| {
        let (first, last) = person.name.split_once(' ').unwrap_or((&person.name, ""));
        Op::User(User {
            id: *id,
            first_name: first.to_owned(),
            last_name: (!last.is_empty()).then(|| last.to_owned()),
            username: Some(format!("sandbox_{}", first.to_lowercase())),
            phone: None,
            bot: false,
        })
    }));
    let Some((&owner, others)) = persons.split_first() else { return ops };
    for channel in &telegram.channels {
        ops.push(Op::Channel(made(channel.id, channel.title.clone(), Kind::Megagroup, owner)));
        for user in others.iter().chain([&channel.member]) {
            ops.push(joined(channel.id, *user));
        }
    }
    for (user, id) in telegram.users.iter().zip(FIRST_PROTECTED..) {
        let mut protected = made(id, format!("Protected of {}", user.name), Kind::Megagroup, owner);
        protected.noforwards = true;
        ops.push(Op::Channel(protected));
        ops.push(joined(id, user.user_id));
    }
    for (user, id) in telegram.users.iter().zip(FIRST_BROADCAST..) {
        let mut news = made(id, format!("News of {}", user.name), Kind::Broadcast, owner);
        news.username = Some(format!("sandbox_news_{}", user.user_id));
        ops.push(Op::Channel(news));
        ops.push(joined(id, user.user_id));
    }
    ops
}

fn account(user: &TelegramUser) -> Op {
    let (first, last) = user.name.split_once(' ').unwrap_or((&user.name, ""));
    Op::User(User {
        id: user.user_id,
        first_name: first.to_owned(),
        last_name: (!last.is_empty()).then(|| last.to_owned()),
        username: Some(format!("sandbox_user_{}", user.user_id)),
        phone: Some(user.phone.chars().filter(char::is_ascii_digit).collect()),
        bot: false,
    })
}

fn bot(bot: &TelegramBot) -> Op {
    Op::User(User {
        id: bot.user_id,
        first_name: bot.name.clone(),
        last_name: None,
        username: Some(format!("sandbox_{}_bot", bot.user_id)),
        phone: None,
        bot: true,
    })
}

fn made(id: i64, title: String, kind: Kind, creator: i64) -> NewChannel {
    NewChannel { id, title, username: None, kind, noforwards: false, creator, at: MADE_AT }
}

const fn joined(channel: i64, user: i64) -> Op {
    Op::Member { channel, user, role: Some(Role::Member), at: MADE_AT }
}
