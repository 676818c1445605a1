//! What a limiter shows, and which profiles there are.

use super::super::BudgetState;
use super::*;

#[test]
fn a_budget_warns_from_four_fifths_on() {
    let mut limiter = limiter(AccountKind::TelegramUser, "normal");
    let mut seen = Vec::new();
    for id in 1..=20 {
        limiter.reserve(ms(0), chat(id), 1, Class::Live);
        assert_eq!(grants(&mut limiter, ms(0)).len(), 1);
        seen.push(limiter.view(ms(0)).state);
    }
    let count = |state| seen.iter().filter(|other| **other == state).count();
    let counts = [BudgetState::Ok, BudgetState::Warning, BudgetState::Full].map(count);
    assert_eq!(counts, [15, 4, 1], "16 of 20 is four fifths");
    limiter.reserve(ms(0), chat(21), 1, Class::Live);
    let view = limiter.view(ms(0));
    assert_eq!((view.lanes_in_flight, view.lanes_ready, view.lanes_waiting), (20, 1, 0));
    assert_eq!((view.reservations, view.grants), (1, 20));
    // One message each is all that a chat may have in 1.1 s.
    assert_eq!(view.chat_budgets.len(), 20);
}

#[test]
fn a_view_is_json_without_what_does_not_apply() {
    let mut limiter = limiter(AccountKind::DiscordBot, "normal");
    limiter.reserve(ms(0), chat(5), 1, Class::Live);
    let granted = grants(&mut limiter, ms(0));
    limiter.done(ms(0), granted[0].1, hold(HoldScope::Chat, secs(0)));
    let view = serde_json::to_value(limiter.view(ms(400))).unwrap();
    assert_eq!(view["held_chats"], serde_json::json!([{"chat": "5", "left_ms": 600}]));
    assert_eq!((&view["held_ms"], &view["holds"]), (&serde_json::Value::Null, &1.into()));
    let budget = serde_json::json!({
        "name": "account", "used": 1, "limit": 50, "window_ms": 1_000, "fraction": 0.02, "state": "ok",
    });
    assert_eq!(view["budgets"], serde_json::json!([budget]));
}

#[test]
fn an_unknown_profile_is_told_which_there_are() {
    let error = Profile::named(AccountKind::TelegramUser, "brisk").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown throttle profile \"brisk\": expected one of cautious, normal, fast, sandbox, sandbox-published"
    );
    for kind in [
        AccountKind::TelegramUser,
        AccountKind::TelegramBot,
        AccountKind::DiscordBot,
        AccountKind::DiscordWebhook,
    ] {
        for name in ["cautious", "normal", "fast", "sandbox", "sandbox-published"] {
            assert_eq!(Profile::named(kind, name).unwrap().name(), name);
        }
    }
}
