//! Decisions touch what they grant, not what waits; nobody ready waits for ever.

use super::*;

const CROWD: i64 = 10_000;

fn examined(limiter: &Limiter) -> u64 {
    limiter.view(ms(0)).examined
}

#[test]
fn a_crowd_of_idle_frozen_or_full_lanes_costs_nothing() {
    let mut limiter = limiter(AccountKind::TelegramBot, "sandbox");
    // Ten thousand chats under holds, each with something to send.
    for id in 1..=CROWD {
        limiter.reserve(ms(0), chat(id), 1, Class::Live);
    }
    let granted = grants(&mut limiter, ms(0));
    assert_eq!(granted.len(), usize::try_from(CROWD).unwrap());
    for (_, grant) in granted {
        limiter.done(ms(0), grant, hold(HoldScope::Chat, secs(3_600)));
    }
    for id in 1..=CROWD {
        limiter.reserve(ms(1), chat(id), 1, Class::Live);
    }
    let before = examined(&limiter);
    for n in 0..1_000_u64 {
        let now = ms(10 + n);
        assert!(limiter.poll(now).wake_at.unwrap() > secs(3_600));
        limiter.reserve(now, chat(-1), 1, Class::Live);
        let granted = grants(&mut limiter, now);
        assert_eq!(granted.len(), 1);
        limiter.done(now, granted[0].1, answered());
    }
    let each = (examined(&limiter) - before) / 1_000;
    assert!(each <= 6, "{each} chats looked at for one send");
}

#[test]
fn a_crowd_of_ready_lanes_costs_what_is_granted() {
    let mut limiter = limiter(AccountKind::DiscordBot, "normal");
    for id in 1..=CROWD {
        limiter.reserve(ms(0), chat(id), 1, Class::Live);
    }
    let before = examined(&limiter);
    let log = drain(&mut limiter, ms(0), usize::try_from(CROWD).unwrap());
    let polls_and_grants = u64::try_from(log.len()).unwrap();
    let each = (examined(&limiter) - before) / polls_and_grants;
    assert!(each <= 8, "{each} chats looked at for one send");
}

#[test]
fn backlogged_lanes_of_every_class_go_on() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    let mut classes = std::collections::HashMap::new();
    for _ in 0..60 {
        for id in 1..=150 {
            let class = match id % 3 {
                0 => Class::Urgent,
                1 => Class::Live,
                _ => Class::Backfill,
            };
            classes.insert(limiter.reserve(ms(0), chat(id), 1, class), (class, id));
        }
    }
    let log = drain(&mut limiter, ms(0), 2_400);
    let count = |class| log.iter().filter(|(_, id)| classes[id].0 == class).count();
    let (urgent, live, backfill) = (count(Class::Urgent), count(Class::Live), count(Class::Backfill));
    assert!(urgent <= 1_260, "not more than every other: {urgent}");
    assert!(live >= 1_000, "{live}");
    assert!(backfill >= 2_400 / 20 - 5, "at least one in twenty: {backfill}");
    assert!(backfill <= 2_400 / 10, "{backfill}");
    let urgent_first = log.iter().position(|(_, id)| classes[id].0 == Class::Urgent);
    assert_eq!(urgent_first, Some(0));
}

#[test]
fn lone_messages_in_any_number_do_not_starve_a_backlog() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    let mut backlog = Vec::new();
    for _ in 0..20 {
        for id in 1..=10 {
            backlog.push(limiter.reserve(ms(0), chat(id), 1, Class::Live));
        }
    }
    let (mut served, mut longest) = (0, ms(0));
    let mut reserved = std::collections::HashMap::new();
    let mut flying = Vec::new();
    // Twenty lone messages a second beside ten chats that may send one a second each: thirty, all there is.
    for step in 0..800_u64 {
        let now = ms(step * 25);
        if step % 2 == 0 {
            let lane = chat(1_000 + i64::try_from(step).unwrap());
            reserved.insert(limiter.reserve(now, lane, 1, Class::Live), now);
        }
        for (ticket, grant) in grants(&mut limiter, now) {
            match reserved.remove(&ticket) {
                Some(since) => longest = longest.max(now - since),
                None => served += 1,
            }
            flying.push(grant);
        }
        flying.drain(..).for_each(|grant| limiter.done(now, grant, answered()));
    }
    assert!(served >= 150 && backlog.len() == 200, "{served} of 200");
    assert!(longest <= secs(1), "{longest:?}");
}

#[test]
fn more_lone_messages_than_can_go_do_not_starve_a_backlog() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    let backlog: Vec<TicketId> =
        (0..200).map(|n| limiter.reserve(ms(0), chat(n % 10 + 1), 1, Class::Live)).collect();
    let mut last = [ms(0); 10];
    for step in 0..800_u64 {
        let now = ms(step * 25);
        limiter.reserve(now, chat(1_000 + i64::try_from(step).unwrap()), 1, Class::Live);
        for (ticket, grant) in grants(&mut limiter, now) {
            if let Some(n) = backlog.iter().position(|id| *id == ticket) {
                last[n % 10] = now;
            }
            limiter.done(now, grant, answered());
        }
    }
    // At most two hundred are ready at once: a round of them takes 7 s.
    let silent = secs(20) - *last.iter().min().unwrap();
    assert!(silent <= secs(14), "{silent:?}");
}

#[test]
fn the_backfill_leaves_room_in_long_windows_for_what_is_live() {
    let mut limiter = limiter(AccountKind::TelegramUser, "normal");
    let live = limiter.reserve(ms(0), chat(1), 1, Class::Live);
    for id in 2..60 {
        limiter.reserve(ms(0), chat(id), 1, Class::Backfill);
    }
    let log = drain(&mut limiter, ms(0), 18);
    assert_eq!(log[0].1, live);
    assert!(log[17].0 < secs(10), "18 of 20 at once");
    let now = secs(20);
    assert!(limiter.poll(now).granted.is_empty(), "two slots are kept");
    let live = limiter.reserve(now, chat(1), 1, Class::Live);
    assert_eq!(grants(&mut limiter, now).first().map(|(ticket, _)| *ticket), Some(live));
    // Ten minutes after the last live message nothing is kept for another.
    let waiting = limiter.view(now).reservations;
    let later = secs(700);
    assert!(waiting > 20);
    assert_eq!(grants(&mut limiter, later).len(), 19, "all but the one under way");
}
