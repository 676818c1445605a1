//! The limiter under a clock of its own.

use super::*;

const START: u64 = 1_000_000;

fn limiter(limits: Limits) -> (RateLimiter, Violations) {
    let violations = Violations::default();
    (RateLimiter::new(limits, 3, violations.clone()), violations)
}

fn key(bucket: Bucket, major: u64) -> Key {
    Key { caller: Caller::Bot(1), bucket, major }
}

fn count(violations: &Violations, rule: Rule) -> u64 {
    violations.snapshot().get(rule.as_str()).copied().unwrap_or_default()
}

#[test]
fn five_messages_in_five_seconds_from_the_first() {
    let (limiter, violations) = limiter(Limits::Published);
    let post = key(Bucket::CreateMessage, 7);
    for n in 0..5_u64 {
        let state = limiter.admit(post, None, START + n * 1_000).unwrap();
        assert_eq!((state.limit, state.remaining), (5, 4 - n));
        assert_eq!(state.reset_after_ms, 5_000 - n * 1_000);
    }
    let refusal = limiter.admit(post, None, START + 4_500).unwrap_err();
    assert_eq!((refusal.scope, refusal.retry_after_ms), (Scope::User, 500));
    assert_eq!(count(&violations, Rule::DiscordRateLimit), 1);
    limiter.admit(post, None, START + 4_999).unwrap_err();
    assert_eq!(count(&violations, Rule::DiscordCallDuringWait), 1);
    assert!(limiter.admit(post, None, START + 5_000).is_ok());
    assert!(limiter.admit(key(Bucket::CreateMessage, 8), None, START + 4_500).is_ok(), "another channel");
    assert!(
        limiter.admit(key(Bucket::EditMessage, 7), None, START + 4_500).is_ok(),
        "another route of that name"
    );
}

#[test]
fn fifty_requests_in_any_second_over_all_routes() {
    let (limiter, violations) = limiter(Limits::Published);
    for n in 0..50 {
        limiter.admit(key(Bucket::CreateMessage, n), None, START + n * 10).unwrap();
    }
    let refusal = limiter.admit(key(Bucket::Other, 0), None, START + 999).unwrap_err();
    assert_eq!((refusal.scope, refusal.retry_after_ms), (Scope::Global, 1));
    assert_eq!(count(&violations, Rule::DiscordGlobalRateLimit), 1);
    assert!(limiter.admit(key(Bucket::Other, 0), None, START + 1_000).is_ok());
    assert!(
        limiter.admit(Key { caller: Caller::Bot(2), ..key(Bucket::Other, 0) }, None, START + 999).is_ok(),
        "another bot"
    );
}

#[test]
fn without_limits_nothing_is_refused_and_headers_are_generous() {
    let (limiter, violations) = limiter(Limits::None);
    for _ in 0..10_000 {
        let state = limiter.admit(key(Bucket::CreateMessage, 7), None, START).unwrap();
        assert!(state.remaining > 900_000);
    }
    assert!(violations.snapshot().is_empty());
}

#[test]
fn a_wait_that_was_told_binds_the_whole_bot() {
    let (limiter, violations) = limiter(Limits::None);
    assert!(!limiter.tell_to_wait(Caller::Bot(1), 5_000, START).deserved);
    assert!(violations.snapshot().is_empty(), "the first refusal is the server's doing");
    assert_eq!(limiter.check_wait(Caller::Bot(1), START + 4_000).unwrap_err().retry_after_ms, 1_000);
    assert_eq!(count(&violations, Rule::DiscordCallDuringWait), 1);
    assert!(limiter.check_wait(Caller::Bot(2), START + 4_000).is_ok());
    assert!(limiter.check_wait(Caller::Bot(1), START + 5_000).is_ok());
}

#[test]
fn too_many_invalid_requests_shut_an_address_out_for_an_hour() {
    for (limits, banned) in [(Limits::None, false), (Limits::Published, true)] {
        let (limiter, violations) = limiter(limits);
        limiter.count_invalid(START);
        limiter.count_invalid(START + INVALID_WINDOW_MS);
        limiter.count_invalid(START + INVALID_WINDOW_MS + 1);
        assert!(!limiter.is_banned(START + INVALID_WINDOW_MS + 1), "the first one was in another window");
        limiter.count_invalid(START + INVALID_WINDOW_MS + 2);
        assert_eq!(limiter.is_banned(START + INVALID_WINDOW_MS + 3), banned);
        assert!(!limiter.is_banned(START + INVALID_WINDOW_MS + 2 + BAN_MS));
        assert_eq!(count(&violations, Rule::DiscordInvalidRequest), 4);
    }
}

#[test]
fn idle_buckets_are_dropped() {
    let (limiter, _) = limiter(Limits::None);
    for channel in 0..20_000 {
        limiter.admit(key(Bucket::CreateMessage, channel), None, START + channel * 1_000).unwrap();
    }
    assert!(limiter.lock().windows.len() <= MAX_BUCKETS);
    assert!(limiter.lock().globals.is_empty(), "nothing is counted without limits");
}

#[test]
fn webhooks_of_a_channel_share_thirty_messages_a_minute_and_refusals_count() {
    let (limiter, violations) = limiter(Limits::Published);
    let hook = |id| Key { caller: Caller::Webhook(id), bucket: Bucket::ExecuteWebhook, major: id };
    for n in 0..30 {
        limiter.admit(hook(n % 2), Some(7), START + n * 1_000).unwrap();
    }
    let refusal = limiter.admit(hook(2), Some(7), START + 30_000).unwrap_err();
    assert_eq!((refusal.scope, refusal.deserved), (Scope::Shared, false));
    assert_eq!(refusal.retry_after_ms, 31_000, "the first try has made room, the refused one has taken it");
    assert_eq!(refusal.bucket.unwrap().remaining, 4, "headers show only the webhook's own bucket");
    assert_eq!(count(&violations, Rule::DiscordWebhookChannelLimit), 1);
    limiter.admit(hook(2), Some(7), START + 31_000).unwrap_err();
    assert_eq!(count(&violations, Rule::DiscordCallDuringWait), 1);
    assert!(limiter.admit(hook(2), Some(8), START + 31_000).is_ok(), "another channel");
    assert!(limiter.admit(hook(2), None, START + 31_000).is_ok(), "an edit is no message");
    assert!(limiter.admit(hook(2), Some(7), START + 62_000).is_ok());
    assert_eq!(count(&violations, Rule::DiscordInvalidRequest), 0);
}

#[test]
fn five_messages_in_two_seconds_for_a_webhook_and_fifty_calls_a_second_for_an_address() {
    let (limiter, violations) = limiter(Limits::Published);
    let hook = |id| Key { caller: Caller::Webhook(id), bucket: Bucket::ExecuteWebhook, major: id };
    for _ in 0..5 {
        limiter.admit(hook(1), None, START).unwrap();
    }
    let refusal = limiter.admit(hook(1), None, START).unwrap_err();
    assert_eq!((refusal.scope, refusal.retry_after_ms), (Scope::User, 2_000));
    for n in 0..45 {
        limiter.admit(hook(2 + n), None, START).unwrap();
    }
    let refusal = limiter.admit(hook(99), None, START).unwrap_err();
    assert_eq!(refusal.scope, Scope::Global);
    assert!(limiter.admit(key(Bucket::Other, 0), None, START).is_ok(), "a bot has a budget of its own");
    assert_eq!(count(&violations, Rule::DiscordGlobalRateLimit), 1);
    let told = limiter.tell_to_wait(Caller::Webhook(1), 5_000, START);
    assert_eq!(told.scope, Scope::User);
    assert!(limiter.check_wait(Caller::Webhook(2), START).is_ok(), "another webhook");
}
