//! Tests of the limiter under explicit time.

mod albums;
mod anchoring;
mod cost;
mod holds;
mod order;
mod properties;
mod restart;
mod sim;
mod view;

use std::time::Duration;

use super::{Answer, Class, Done, GrantId, Lane, Limiter, Profile, TicketId};
use crate::model::{AccountKind, ChatId, HoldScope, Place, Platform, ThreadId};
use crate::ports::RateLimitHint;

const RTT: Duration = Duration::from_millis(80);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn chat(id: i64) -> Lane {
    Lane::from(Place { platform: Platform::Telegram, chat: ChatId::new(id).unwrap(), thread: None })
}

fn thread(id: i64, thread: i64) -> Lane {
    let thread = Some(ThreadId::new(thread).unwrap());
    Lane::from(Place { thread, ..chat(id).place() })
}

fn limiter(kind: AccountKind, profile: &str) -> Limiter {
    Limiter::new(Profile::named(kind, profile).unwrap(), 7)
}

fn answered() -> Done {
    Done { answer: Answer::Answered { rtt: RTT }, hint: None, hold: None }
}

fn hold(scope: HoldScope, wait: Duration) -> Done {
    Done { hold: Some((scope, wait)), ..answered() }
}

fn headers(limit: u32, remaining: u32, reset_after: Duration) -> Done {
    Done { hint: Some(RateLimitHint { limit, remaining, reset_after }), ..answered() }
}

/// What a poll grants, without the alarm.
fn grants(limiter: &mut Limiter, now: Duration) -> Vec<(TicketId, GrantId)> {
    limiter.poll(now).granted
}

/// Grants everything in turn, each answered after [`RTT`], and tells when each was granted; ends, with nothing under way,
/// when `count` were.
fn drain(limiter: &mut Limiter, mut now: Duration, count: usize) -> Vec<(Duration, TicketId)> {
    let mut log = Vec::new();
    let mut flying: Vec<(Duration, GrantId)> = Vec::new();
    while log.len() < count {
        let polled = limiter.poll(now);
        for (ticket, grant) in polled.granted {
            log.push((now, ticket));
            flying.push((now + RTT, grant));
        }
        let answer = flying.iter().map(|(at, _)| *at).min();
        let Some(next) = [polled.wake_at, answer].into_iter().flatten().min() else { break };
        now = next.max(now);
        flying.retain(|(at, grant)| {
            let due = *at <= now;
            if due {
                limiter.done(now, *grant, answered());
            }
            !due
        });
    }
    flying.into_iter().for_each(|(at, grant)| limiter.done(at, grant, answered()));
    log
}
