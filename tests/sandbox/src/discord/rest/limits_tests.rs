//! The limiter under a clock of its own.

use super::*;

const START: u64 = 1_000_000;

fn limiter(limits: Limits) -> (RateLimiter, Violations) {
    let violations = Violations::default();
    (RateLimiter::new(limits, 3, violations.clone()), violations)
}

fn key(bucket: Bucket, major: u64) -> Key {
    Key { bot: 1, bucket, major }
}

fn count(violations: &Violations, rule: Rule) -> u64 {
    violations.snapshot().get(rule.as_str()).copied().unwrap_or_default()
}

#[test]
fn five_messages_in_five_seconds_from_the_first() {
    let (limiter, violations) = limiter(Limits::Published);
    let post = key(Bucket::CreateMessage, 7);
    for n in 0..5_u64 {
        let state = limiter.admit(post, START + n * 1_000).unwrap();
        assert_eq!((state.limit, state.remaining), (5, 4 - n));
        assert_eq!(state.reset_after_ms, 5_000 - n * 1_000);
    }
    let refusal = limiter.admit(post, START + 4_500).unwrap_err();
    assert_eq!((refusal.scope, refusal.retry_after_ms), (Scope::User, 500));
    assert_eq!(count(&violations, Rule::DiscordRateLimit), 1);
    limiter.admit(post, START + 4_999).unwrap_err();
    assert_eq!(count(&violations, Rule::DiscordCallDuringWait), 1);
    assert!(limiter.admit(post, START + 5_000).is_ok());
    assert!(limiter.admit(key(Bucket::CreateMessage, 8), START + 4_500).is_ok(), "another channel");
    assert!(limiter.admit(key(Bucket::EditMessage, 7), START + 4_500).is_ok(), "another route of that name");
}

#[test]
fn fifty_requests_in_any_second_over_all_routes() {
    let (limiter, violations) = limiter(Limits::Published);
    for n in 0..50 {
        limiter.admit(key(Bucket::CreateMessage, n), START + n * 10).unwrap();
    }
    let refusal = limiter.admit(key(Bucket::Other, 0), START + 999).unwrap_err();
    assert_eq!((refusal.scope, refusal.retry_after_ms), (Scope::Global, 1));
    assert_eq!(count(&violations, Rule::DiscordGlobalRateLimit), 1);
    assert!(limiter.admit(key(Bucket::Other, 0), START + 1_000).is_ok());
    assert!(limiter.admit(Key { bot: 2, ..key(Bucket::Other, 0) }, START + 999).is_ok(), "another bot");
}

#[test]
fn without_limits_nothing_is_refused_and_headers_are_generous() {
    let (limiter, violations) = limiter(Limits::None);
    for _ in 0..10_000 {
        let state = limiter.admit(key(Bucket::CreateMessage, 7), START).unwrap();
        assert!(state.remaining > 900_000);
    }
    assert!(violations.snapshot().is_empty());
}

#[test]
fn a_wait_that_was_told_binds_the_whole_bot() {
    let (limiter, violations) = limiter(Limits::None);
    assert!(!limiter.tell_to_wait(1, 5_000, START).deserved);
    assert!(violations.snapshot().is_empty(), "the first refusal is the server's doing");
    assert_eq!(limiter.check_wait(1, START + 4_000).unwrap_err().retry_after_ms, 1_000);
    assert_eq!(count(&violations, Rule::DiscordCallDuringWait), 1);
    assert!(limiter.check_wait(2, START + 4_000).is_ok());
    assert!(limiter.check_wait(1, START + 5_000).is_ok());
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
        limiter.admit(key(Bucket::CreateMessage, channel), START + channel * 1_000).unwrap();
    }
    assert!(limiter.lock().windows.len() <= MAX_BUCKETS);
    assert!(limiter.lock().globals.len() == 1);
}
