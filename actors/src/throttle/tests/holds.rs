//! Waits that platforms ask for, and their rate-limit headers.

use super::*;

#[test]
fn a_chat_hold_freezes_that_chat_alone_and_for_longer_than_asked() {
    let mut limiter = limiter(AccountKind::TelegramUser, "sandbox");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(0), granted[0].1, hold(HoldScope::Chat, secs(100)));
    assert!(limiter.must_persist());
    let held = limiter.reserve(ms(0), chat(1), 1, Class::Urgent);
    let free = limiter.reserve(ms(0), chat(2), 1, Class::Backfill);
    let log = drain(&mut limiter, ms(0), 2);
    assert_eq!(log.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [free, held]);
    assert!(log[0].0 < secs(1));
    assert!(log[1].0 >= secs(101) && log[1].0 <= secs(106), "{log:?}");
}

#[test]
fn an_account_hold_freezes_everything_until_it_ends() {
    for scope in [HoldScope::Account, HoldScope::Egress] {
        let mut limiter = limiter(AccountKind::TelegramUser, "sandbox");
        limiter.reserve(ms(0), chat(1), 1, Class::Live);
        let granted = grants(&mut limiter, ms(0));
        limiter.done(ms(0), granted[0].1, hold(scope, secs(5)));
        limiter.reserve(ms(0), chat(2), 1, Class::Urgent);
        let polled = limiter.poll(secs(6) - ms(1));
        assert!(polled.granted.is_empty());
        let wake = polled.wake_at.unwrap();
        assert!(wake >= secs(6) && wake <= secs(6) + ms(250), "{wake:?}");
        assert_eq!(grants(&mut limiter, wake).len(), 1);
    }
}

#[test]
fn a_shorter_hold_does_not_end_a_longer_one() {
    let mut limiter = limiter(AccountKind::TelegramUser, "sandbox");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    limiter.reserve(ms(0), chat(2), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(0), granted[0].1, hold(HoldScope::Account, secs(50)));
    limiter.done(ms(0), granted[1].1, hold(HoldScope::Account, secs(0)));
    assert!(limiter.view(ms(0)).held_ms.unwrap() >= 51_000);
    assert_eq!(limiter.view(ms(0)).holds, 2);
}

#[test]
fn nothing_goes_before_the_headers_reset() {
    let mut limiter = limiter(AccountKind::DiscordBot, "sandbox");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(100), granted[0].1, headers(5, 0, ms(4_900)));
    limiter.reserve(ms(100), chat(1), 1, Class::Live);
    let polled = limiter.poll(ms(100));
    assert_eq!((polled.granted.len(), polled.wake_at), (0, Some(ms(5_000))));
    assert_eq!(grants(&mut limiter, ms(5_000)).len(), 1);
}

#[test]
fn a_limit_in_the_headers_is_adopted_at_once() {
    let mut limiter = limiter(AccountKind::DiscordBot, "normal");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.export(ms(0), 0);
    limiter.done(ms(100), granted[0].1, headers(2, 1, ms(9_990)));
    assert!(limiter.must_persist());
    let budget = &limiter.chats.values().next().unwrap().windows[0];
    assert_eq!((budget.limit(), budget.span()), (2, secs(10)));
}

/// Lanes that all post through one webhook.
fn webhook_threads(limiter: &mut Limiter, count: i64) -> Vec<TicketId> {
    (1..=count).map(|id| limiter.reserve(ms(0), thread(9, id), 1, Class::Live)).collect()
}

#[test]
fn the_first_request_goes_alone_until_headers_come() {
    let mut limiter = limiter(AccountKind::DiscordWebhook, "normal");
    webhook_threads(&mut limiter, 8);
    let first = grants(&mut limiter, ms(0));
    assert_eq!(first.len(), 1);
    assert_eq!(limiter.poll(ms(50)).granted, []);
    limiter.done(ms(90), first[0].1, headers(5, 4, ms(1_950)));
    assert_eq!(grants(&mut limiter, ms(90)).len(), 4, "four are left of five");
    assert_eq!(limiter.poll(ms(1_500)).granted, []);
}

#[test]
fn the_smaller_of_own_count_and_headers_counts() {
    // The headers say one is left where the own count has room for four.
    let mut fewer = limiter(AccountKind::DiscordWebhook, "normal");
    webhook_threads(&mut fewer, 8);
    let first = grants(&mut fewer, ms(0));
    fewer.done(ms(90), first[0].1, headers(5, 1, ms(1_500)));
    assert_eq!(grants(&mut fewer, ms(90)).len(), 1);
    assert_eq!(grants(&mut fewer, ms(1_589)).len(), 0);
    assert_eq!(grants(&mut fewer, ms(1_590)).len(), 3, "after the reset, as the own count allows");
    // The headers promise a hundred; the own count still knows of 30 a minute in the channel.
    let mut more = limiter(AccountKind::DiscordWebhook, "normal");
    webhook_threads(&mut more, 100);
    let first = grants(&mut more, ms(0));
    more.done(ms(90), first[0].1, headers(100, 99, ms(1_950)));
    assert_eq!(grants(&mut more, ms(90)).len(), 29);
}

#[test]
fn what_is_in_flight_is_not_among_what_is_left_and_older_headers_say_nothing() {
    let mut limiter = limiter(AccountKind::DiscordWebhook, "sandbox");
    webhook_threads(&mut limiter, 8);
    let first = grants(&mut limiter, ms(0));
    limiter.done(ms(90), first[0].1, headers(5, 2, ms(2_000)));
    let pair = grants(&mut limiter, ms(100));
    assert_eq!(pair.len(), 2);
    let lane = thread(9, 100);
    limiter.done(ms(200), pair[0].1, headers(5, 1, ms(1_900)));
    limiter.reserve(ms(200), lane, 1, Class::Urgent);
    assert_eq!(grants(&mut limiter, ms(200)).len(), 0, "the one that is left is under way");
    limiter.done(ms(210), pair[1].1, headers(5, 3, ms(1_900)));
    assert_eq!(grants(&mut limiter, ms(210)).len(), 3);
}

#[test]
fn headers_of_an_older_request_say_nothing() {
    let mut limiter = limiter(AccountKind::DiscordWebhook, "sandbox");
    webhook_threads(&mut limiter, 2);
    let first = grants(&mut limiter, ms(0));
    limiter.done(ms(90), first[0].1, headers(5, 4, ms(2_000)));
    let older = grants(&mut limiter, ms(100));
    limiter.reserve(ms(200), thread(9, 3), 1, Class::Live);
    let newer = grants(&mut limiter, ms(200));
    limiter.done(ms(300), newer[0].1, headers(5, 0, ms(5_000)));
    limiter.done(ms(310), older[0].1, headers(5, 4, ms(100)));
    limiter.reserve(ms(500), thread(9, 4), 1, Class::Live);
    let polled = limiter.poll(ms(500));
    assert_eq!((polled.granted.len(), polled.wake_at), (0, Some(ms(5_300))));
}

#[test]
fn a_slot_that_was_not_used_is_left_again() {
    let mut limiter = limiter(AccountKind::DiscordBot, "sandbox");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let first = grants(&mut limiter, ms(0));
    limiter.done(ms(90), first[0].1, headers(2, 1, ms(5_000)));
    for _ in 0..3 {
        limiter.reserve(ms(100), chat(1), 1, Class::Live);
        let granted = grants(&mut limiter, ms(100));
        assert_eq!(granted.len(), 1);
        limiter.done(ms(100), granted[0].1, Done { answer: Answer::NotSent, hint: None, hold: None });
    }
}

#[test]
fn asking_again_and_again_under_a_hold_leaves_nothing_behind() {
    let mut limiter = limiter(AccountKind::TelegramUser, "sandbox");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(0), granted[0].1, hold(HoldScope::Chat, secs(86_400)));
    for n in 0..1_000_u64 {
        let now = secs(10 * n);
        let ticket = limiter.reserve(now, chat(1), 1, Class::Live);
        assert!(limiter.poll(now).wake_at.unwrap() >= secs(86_401));
        limiter.cancel(now, ticket);
        assert_eq!(limiter.poll(now).wake_at, None);
    }
    assert!(limiter.remembered() <= 4, "{}", limiter.remembered());
}
