//! Lanes: order, one in flight, cancellation, no head-of-line blocking, memory.

use super::*;

#[test]
fn a_lane_goes_in_order_one_at_a_time() {
    let mut limiter = limiter(AccountKind::TelegramBot, "sandbox");
    let tickets: Vec<TicketId> = (0..3).map(|_| limiter.reserve(ms(0), chat(1), 1, Class::Live)).collect();
    for (n, ticket) in tickets.iter().enumerate() {
        let granted = grants(&mut limiter, ms(0));
        assert_eq!(granted.len(), 1, "grant {n}");
        assert_eq!(granted[0].0, *ticket);
        assert_eq!(limiter.poll(ms(1)), super::super::Polled::default(), "in flight");
        limiter.done(ms(1), granted[0].1, answered());
    }
}

#[test]
fn a_later_urgent_message_does_not_pass_in_its_lane() {
    let mut limiter = limiter(AccountKind::TelegramBot, "sandbox");
    let first = limiter.reserve(ms(0), chat(1), 1, Class::Backfill);
    let second = limiter.reserve(ms(0), chat(1), 1, Class::Urgent);
    let order: Vec<TicketId> = drain(&mut limiter, ms(0), 9).into_iter().map(|(_, id)| id).collect();
    assert_eq!(order, [first, second]);
}

#[test]
fn other_lanes_pass_a_lane_that_may_not_go() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for _ in 0..50 {
        limiter.reserve(ms(0), chat(1), 1, Class::Live);
    }
    let others: Vec<TicketId> = (2..20).map(|id| limiter.reserve(ms(0), chat(id), 1, Class::Live)).collect();
    let log = drain(&mut limiter, ms(0), 30);
    for other in others {
        let at = log.iter().find(|(_, id)| *id == other).unwrap().0;
        assert!(at < secs(1), "lane of {other:?} waited {at:?} behind another chat");
    }
}

#[test]
fn a_cancelled_head_lets_the_next_one_go() {
    let mut limiter = limiter(AccountKind::TelegramBot, "sandbox");
    let first = limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let second = limiter.reserve(ms(0), chat(1), 1, Class::Backfill);
    let third = limiter.reserve(ms(0), chat(1), 1, Class::Live);
    limiter.cancel(ms(0), first);
    limiter.cancel(ms(0), first);
    limiter.cancel(ms(0), third);
    let granted = grants(&mut limiter, ms(0));
    assert_eq!(granted.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [second]);
    limiter.cancel(ms(0), second);
    limiter.done(ms(1), granted[0].1, answered());
    assert_eq!(limiter.view(ms(1)).reservations, 0);
}

#[test]
fn an_unknown_grant_is_ignored() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    limiter.reserve(ms(0), chat(1), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(1), granted[0].1, answered());
    let before = limiter.view(ms(1));
    limiter.done(ms(1), granted[0].1, hold(HoldScope::Account, secs(9)));
    assert_eq!(limiter.view(ms(1)), before);
}

#[test]
fn what_was_not_sent_gives_its_slot_back_at_once() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for _ in 0..3 {
        limiter.reserve(ms(0), chat(1), 1, Class::Urgent);
        let granted = grants(&mut limiter, ms(0));
        assert_eq!(granted.len(), 1);
        let done = Done { answer: Answer::NotSent, hint: None, hold: None };
        limiter.done(ms(0), granted[0].1, done);
    }
    assert_eq!(limiter.view(ms(0)).budgets[0].used, 0);
}

#[test]
fn the_floor_of_the_round_trip_shortens_answered_slots_only_and_ends_with_the_connection() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for id in 1..=25 {
        limiter.reserve(ms(0), chat(id), 1, Class::Urgent);
    }
    assert_eq!(drain(&mut limiter, ms(0), 25).len(), 25);
    assert_eq!(limiter.view(ms(80)).rtt_floor_ms, 72);
    let slot = |limiter: &mut Limiter, now: Duration, answer| {
        limiter.reserve(now, chat(99), 1, Class::Urgent);
        let granted = grants(limiter, now);
        limiter.done(now, granted[0].1, Done { answer, hint: None, hold: None });
        let used = |at| limiter.view(at).budgets[0].used;
        (0..3_100).map(ms).find(|after| used(now + *after) == 0).unwrap()
    };
    assert_eq!(slot(&mut limiter, secs(10), Answer::Answered { rtt: RTT }), ms(1_002 - 72));
    assert_eq!(slot(&mut limiter, secs(20), Answer::GaveUp), ms(1_002));
    assert_eq!(slot(&mut limiter, secs(25), Answer::Abandoned), ms(3_002), "it may still be on its way");
    limiter.reconnected();
    assert_eq!(
        slot(&mut limiter, secs(30), Answer::Answered { rtt: RTT }),
        ms(1_002),
        "one answer on the new one"
    );
}

#[test]
fn topics_share_the_budget_of_their_telegram_chat_and_keep_their_own_order() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    let a = limiter.reserve(ms(0), thread(-5, 1), 1, Class::Live);
    let b = limiter.reserve(ms(0), thread(-5, 2), 1, Class::Live);
    let log = drain(&mut limiter, ms(0), 2);
    assert_eq!(log.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [a, b]);
    assert!(log[1].0 >= secs(1), "one message a second in one chat: {log:?}");
}

#[test]
fn the_urgent_and_the_lone_do_not_keep_the_pace() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for id in [1, 2] {
        limiter.reserve(ms(0), chat(id), 1, Class::Live);
    }
    assert_eq!(drain(&mut limiter, ms(0), 2).len(), 2);
    // Both lanes spoke lately, and their chats' second has passed.
    let now = secs(3);
    let first = limiter.reserve(now, chat(1), 1, Class::Live);
    let paced = limiter.reserve(now, chat(2), 1, Class::Live);
    let polled = limiter.poll(now);
    assert_eq!(polled.granted.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first]);
    let next = polled.wake_at.unwrap();
    assert!(next > now + ms(20) && next < now + ms(40), "{next:?}");
    let lone = limiter.reserve(now, chat(3), 1, Class::Live);
    let urgent = limiter.reserve(now, chat(4), 1, Class::Urgent);
    let granted = grants(&mut limiter, now);
    assert_eq!(granted.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [urgent, lone]);
    let granted = grants(&mut limiter, next + ms(40));
    assert_eq!(granted.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [paced]);
}

#[test]
fn a_lone_message_passes_a_backlog_once() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for _ in 0..5 {
        for id in 1..=100 {
            limiter.reserve(ms(0), chat(id), 1, Class::Live);
        }
    }
    let now = drain(&mut limiter, ms(0), 250).last().unwrap().0 + RTT;
    let lone = limiter.reserve(now, chat(-777), 1, Class::Live);
    let log = drain(&mut limiter, now, 3);
    let place = |log: &[(Duration, TicketId)], id| log.iter().position(|(_, ticket)| *ticket == id);
    assert!(place(&log, lone).unwrap() < 2, "{log:?}");
    let again = limiter.reserve(now + secs(2), chat(-777), 1, Class::Live);
    let log = drain(&mut limiter, now + secs(2), 200);
    assert!(place(&log, again).unwrap() >= 50, "{:?}", place(&log, again));
}

#[test]
fn everything_is_forgotten_once_it_means_nothing() {
    let mut limiter = limiter(AccountKind::TelegramBot, "normal");
    for id in 1..500 {
        limiter.reserve(ms(0), chat(-id), 1, Class::Live);
    }
    assert_eq!(drain(&mut limiter, ms(0), 999).len(), 499);
    assert!(!limiter.lanes.is_empty());
    limiter.poll(secs(300));
    assert_eq!(limiter.remembered(), 0);
}
