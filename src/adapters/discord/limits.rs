//! What an answer says of rate limits (discord.com/developers/docs/topics/rate-limits).

use std::time::Duration;

use reqwest12::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use switchyard_actors::model::HoldScope;
use switchyard_actors::ports::RateLimitHint;

use crate::config::DiscordConfig;

use super::rest::Answer;

/// The body of a 429 and of a refusal by slow mode.
#[derive(Deserialize)]
struct Refusal {
    retry_after: f64,
    #[serde(default)]
    global: bool,
    #[serde(default)]
    code: u32,
}

/// "The write action you are performing on the server has hit the write rate limit".
const SERVER_WRITES: u32 = 20_029;

/// The state of the bucket that the call was counted in. Headers that cannot be read are no hint, and nothing else.
pub(super) fn hint(headers: &HeaderMap) -> Option<RateLimitHint> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Some(RateLimitHint {
        limit: text("x-ratelimit-limit")?.parse().ok()?,
        remaining: text("x-ratelimit-remaining")?.parse().ok()?,
        reset_after: seconds(text("x-ratelimit-reset-after")?.parse().ok()?)?,
    })
}

/// How long a refused call must wait, and whom the wait holds.
///
/// The body tells most exactly; a body that is not Discord's comes from the proxy before it, which blocks the whole
/// address.
pub(super) fn wait(answer: &Answer, config: &DiscordConfig) -> (Duration, HoldScope) {
    let text = |name: &str| answer.headers.get(name)?.to_str().ok();
    let header = text(RETRY_AFTER.as_str()).and_then(|text| seconds(text.parse().ok()?));
    let Ok(refusal) = serde_json::from_slice::<Refusal>(&answer.body) else {
        return (header.unwrap_or(config.block_wait), HoldScope::Egress);
    };
    let account =
        refusal.global || refusal.code == SERVER_WRITES || text("x-ratelimit-scope") == Some("global");
    let scope = if account { HoldScope::Account } else { HoldScope::Chat };
    let wait = seconds(refusal.retry_after).or(header).unwrap_or(config.block_wait);
    (wait, scope)
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}
