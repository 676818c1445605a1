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
