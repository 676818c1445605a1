//! What outlives a restart: holds, learned limits, counts of long windows, and a silence for the short ones.

use super::super::LimiterState;
use super::*;

const WALL: i64 = 1_700_000_000_000;

/// Writes the state and starts anew from what was read, `down` later, with a clock of its own that starts at zero.
fn restart(limiter: &mut Limiter, now: Duration, kind: AccountKind, name: &str, down: Duration) -> Limiter {
    let written = serde_json::to_string(&limiter.export(now, WALL)).unwrap();
    let state: LimiterState = serde_json::from_str(&written).unwrap();
    let wall = WALL + i64::try_from(down.as_millis()).unwrap();
    Limiter::restore(Profile::named(kind, name).unwrap(), 9, ms(0), wall, state)
}

/// When a reservation is granted.
fn granted_at(limiter: &mut Limiter, now: Duration, lane: Lane) -> Duration {
    let ticket = limiter.reserve(now, lane, 1, Class::Live);
    let log = drain(limiter, now, usize::MAX);
    log.iter().find(|(_, id)| *id == ticket).unwrap().0
}

fn send_one(limiter: &mut Limiter, now: Duration, lane: Lane, done: Done) {
    limiter.reserve(now, lane, 1, Class::Urgent);
    let granted = grants(limiter, now);
    limiter.done(now, granted[0].1, done);
}

#[test]
fn holds_go_on_after_a_restart() {
    let kind = AccountKind::TelegramUser;
    let mut old = limiter(kind, "sandbox");
    send_one(&mut old, secs(50), chat(1), hold(HoldScope::Chat, secs(1_000)));
    send_one(&mut old, secs(50), chat(2), hold(HoldScope::Account, secs(100)));
    assert!(old.must_persist());
    let mut new = restart(&mut old, secs(50), kind, "sandbox", secs(40));
    assert!(!old.must_persist(), "written");
    let other = granted_at(&mut new, ms(0), chat(3));
    assert!(other >= secs(61) && other <= secs(67), "the account's: {other:?}");
    let held = granted_at(&mut new, other, chat(1));
    assert!(held >= secs(961) && held <= secs(992), "the chat's: {held:?}");
}

#[test]
fn a_clock_that_went_back_does_not_shorten_a_hold() {
    let mut old = limiter(AccountKind::TelegramUser, "sandbox");
    send_one(&mut old, secs(50), chat(1), hold(HoldScope::Account, secs(100)));
    let state = old.export(secs(50), WALL);
    let profile = Profile::named(AccountKind::TelegramUser, "sandbox").unwrap();
    let mut new = Limiter::restore(profile, 9, ms(0), WALL - 3_600_000, state);
    assert!(granted_at(&mut new, ms(0), chat(1)) >= secs(3_701));
}

#[test]
fn a_long_window_counts_what_went_before() {
    let kind = AccountKind::TelegramUser;
    let mut old = limiter(kind, "normal");
    // Twenty a minute: all of them at about second 0.
    for id in 1..=20 {
        old.reserve(ms(0), chat(id), 1, Class::Live);
    }
    assert_eq!(drain(&mut old, ms(0), 20).len(), 20);
    let mut new = restart(&mut old, secs(10), kind, "normal", secs(5));
    assert_eq!(new.view(ms(0)).budgets[0].state, super::super::BudgetState::Full);
    let at = granted_at(&mut new, ms(0), chat(30));
    assert!(at >= secs(45), "a minute after they went, 15 s of which have passed: {at:?}");
    // Five more than were sent are booked, and a second restart does not count anything anew.
    let hour = new.view(ms(1)).budgets[2].used;
    let again = restart(&mut new, ms(1), kind, "normal", ms(0)).view(ms(0)).budgets[2].used;
    assert!(again <= hour + 1 + 5, "{hour}, then {again}");
}

#[test]
fn what_another_limiter_sent_counts_from_its_answer_on() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    let waiting = limiter.reserve(secs(10), chat(1), 1, Class::Live);
    limiter.count_other(secs(10), chat(1), 1);
    assert_eq!(grants(&mut limiter, secs(10)), [], "the chat has no room any more");
    let log = drain(&mut limiter, secs(10), 1);
    assert_eq!(log, [(ms(11_002), waiting)]);
    assert_eq!(granted_at(&mut limiter, secs(20), chat(2)), secs(20));
}

#[test]
fn what_was_in_flight_counts_from_the_restart_on() {
    let kind = AccountKind::TelegramBot;
    let mut old = limiter(kind, "normal");
    old.export(ms(0), WALL);
    old.reserve(ms(0), chat(-1), 10, Class::Live);
    old.poll(ms(0));
    old.export(ms(0), WALL);
    assert_eq!(grants(&mut old, ms(0)).len(), 1);
    let new = restart(&mut old, ms(0), kind, "normal", secs(600));
    let group = &new.chats.values().next().unwrap().windows[1];
    assert!(group.used(secs(59)) >= 10, "{}", group.used(secs(59)));
}

#[test]
fn short_windows_are_waited_for_in_silence_where_there_are_any() {
    for (kind, name, silence) in [
        (AccountKind::TelegramBot, "normal", 2),
        (AccountKind::TelegramUser, "normal", 2),
        (AccountKind::DiscordBot, "sandbox-published", 2),
        (AccountKind::DiscordBot, "sandbox", 0),
    ] {
        let mut old = limiter(kind, name);
        let state = old.close(ms(0), WALL);
        old.reserve(ms(0), chat(1), 1, Class::Urgent);
        assert_eq!(old.poll(ms(0)), super::super::Polled::default(), "closed");
        let profile = Profile::named(kind, name).unwrap();
        let mut new = Limiter::restore(profile, 9, ms(0), WALL, state);
        assert_eq!(granted_at(&mut new, ms(0), chat(1)), secs(silence), "{kind:?} {name}");
        let mut first = limiter(kind, name);
        assert_eq!(granted_at(&mut first, ms(0), chat(1)), ms(0), "a first start");
    }
}

#[test]
fn after_a_crash_every_chat_pays_for_what_was_booked() {
    let kind = AccountKind::DiscordBot;
    let mut new = restart(&mut limiter(kind, "normal"), ms(0), kind, "normal", secs(9));
    let at = granted_at(&mut new, ms(0), chat(1));
    assert!(at >= secs(5) && at < secs(6), "five in five seconds may have gone: {at:?}");
}

#[test]
fn a_learned_limit_outlives_a_restart_and_is_forgotten_after_a_day() {
    let kind = AccountKind::DiscordBot;
    let mut old = limiter(kind, "normal");
    send_one(&mut old, ms(0), chat(1), headers(2, 1, ms(9_900)));
    assert!(old.must_persist());
    let mut new = restart(&mut old, ms(0), kind, "normal", secs(60));
    let budget = |limiter: &Limiter| {
        let window = &limiter.chats.values().next().unwrap().windows[0];
        (window.limit(), window.span())
    };
    assert_eq!(budget(&new), (2, secs(10)));
    new.poll(secs(25 * 3_600));
    assert!(new.chats.is_empty());
}

#[test]
fn a_state_is_asked_for_before_more_is_granted_than_it_booked() {
    let mut limiter = limiter(AccountKind::TelegramUser, "normal");
    assert!(!limiter.must_persist(), "nothing waits");
    for id in 1..=12 {
        limiter.reserve(ms(0), chat(id), 1, Class::Live);
    }
    let mut portions = Vec::new();
    while limiter.view(ms(0)).reservations > 0 {
        assert!(limiter.must_persist());
        limiter.export(ms(0), WALL);
        assert!(!limiter.must_persist());
        let polled = limiter.poll(ms(0));
        portions.push(polled.granted.len());
        assert!(polled.wake_at == Some(ms(0)) || limiter.view(ms(0)).reservations == 0);
    }
    assert_eq!(portions, [5, 5, 2]);
    assert_eq!(
        super::limiter(AccountKind::TelegramUser, "sandbox").export(ms(0), 0),
        LimiterState::default()
    );
}

#[test]
fn a_state_stays_small() {
    let mut limiter = limiter(AccountKind::TelegramUser, "fast");
    for n in 0..9_000_u64 {
        limiter.reserve(secs(n * 8), chat(1), 1, Class::Live);
        for (_, grant) in grants(&mut limiter, secs(n * 8)) {
            limiter.done(secs(n * 8) + RTT, grant, answered());
        }
    }
    let used = limiter.view(secs(72_000)).budgets[3].used;
    let state = limiter.export(secs(72_000), WALL);
    let written = serde_json::to_string(&state).unwrap();
    assert!(written.len() < 40_000, "{} bytes for {used} sends", written.len());
    let profile = Profile::named(AccountKind::TelegramUser, "fast").unwrap();
    let new = Limiter::restore(profile, 1, ms(0), WALL, state);
    let counted = new.view(ms(0)).budgets[3].used;
    assert!(counted >= used && counted <= used + 60, "{used}, then {counted}");
}
