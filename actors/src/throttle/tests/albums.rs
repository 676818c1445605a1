//! Messages that cost more than one, and more than a budget holds.

use super::super::profiles::{Budget, Scope};
use super::*;

fn ten_per(window: Duration) -> Limiter {
    let budget = |scope, limit| Budget { name: "test", scope, limit, window, headers: false };
    let budgets = vec![budget(Scope::Account, 10), budget(Scope::Chat, 2)];
    Limiter::new(Profile::custom(AccountKind::TelegramBot, budgets), 1)
}

#[test]
fn an_album_that_costs_more_than_a_window_goes_alone_and_is_paid_in_full() {
    let mut limiter = ten_per(secs(10));
    let before = limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let album = limiter.reserve(ms(0), chat(1), 6, Class::Live);
    let after = limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let log = drain(&mut limiter, ms(0), 9);
    assert_eq!(log.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [before, album, after]);
    assert!(log[1].0 >= secs(10), "when the window is empty: {log:?}");
    let pause = log[2].0 - log[1].0;
    assert!(pause >= secs(30) && pause < secs(31), "6 at 2 in 10 s: {pause:?}");
}

#[test]
fn a_heavy_message_passes_as_many_turns_as_it_cost() {
    let budget = Budget { name: "test", scope: Scope::Account, limit: 12, window: secs(2), headers: false };
    let mut limiter = Limiter::new(Profile::custom(AccountKind::TelegramBot, vec![budget]), 1);
    let mut costs = std::collections::HashMap::new();
    for lane in 1..=40_i64 {
        let cost = if lane <= 10 { 6 } else { 1 };
        for _ in 0..120 / cost {
            let ticket = limiter.reserve(ms(0), chat(lane), cost, Class::Live);
            costs.insert(ticket, (lane, cost));
        }
    }
    let mut sent = [0_u32; 41];
    for (at, ticket) in drain(&mut limiter, ms(0), 4_000) {
        let (lane, cost) = costs[&ticket];
        if at < secs(400) {
            sent[usize::try_from(lane).unwrap()] += cost;
        }
    }
    let (least, most) = (sent[1..].iter().min().unwrap(), sent[1..].iter().max().unwrap());
    assert!(most - least <= 18, "equal shares of the slots, to three albums: {sent:?}");
    assert!(*least >= 54, "{sent:?}");
}
