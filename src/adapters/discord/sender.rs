//! Sends as a Discord bot: one call a part, with a nonce under which Discord accepts it once.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::Serialize;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::id::ChannelId;
use switchyard_actors::model::{PartBody, Place, SendOutcome};
use switchyard_actors::ports::{Clock, MessageSender, Operation, SendReport, SendRequest};
use tracing::info;

use crate::config::DiscordConfig;

use super::look::{self, Sought};
use super::rest::Rest;
use super::{errors, limits};

/// Sends through one bot's token.
pub(super) struct DiscordSender {
    rest: Arc<Rest>,
    config: DiscordConfig,
    clock: Arc<dyn Clock>,
    /// The bot's own user id.
    own_id: i64,
    /// Set by the first 401: from then on no call goes out, since refused calls add up to a ban of the address.
    dead: OnceLock<String>,
}

/// Body of Create Message (discord.com/developers/docs/resources/message#create-message).
#[derive(Serialize)]
struct Form<'a> {
    content: &'a str,
    nonce: &'a str,
    enforce_nonce: bool,
    allowed_mentions: AllowedMentions,
}

/// Nobody is notified by a forwarded message.
#[derive(Serialize)]
struct AllowedMentions {
    parse: [&'static str; 0],
}

impl DiscordSender {
    pub(super) fn new(rest: Arc<Rest>, config: DiscordConfig, clock: Arc<dyn Clock>, own_id: i64) -> Self {
        Self { rest, config, clock, own_id, dead: OnceLock::new() }
    }

    async fn try_send(&self, request: &SendRequest) -> SendReport {
        let refused = |error: &str| report(SendOutcome::Refused { error: error.to_owned() });
        let Some(channel_id) = channel(request.target) else {
            return refused("the target is not a Discord channel");
        };
        let Operation::Send { body: PartBody::Markdown { content }, .. } = &request.operation else {
            return refused("the text is not in Discord's format");
        };
        let nonce = request.key.discord_nonce();
        if let Some(since_ms) = request.unclear_since.filter(|since| self.is_old(*since)) {
            let (author, known) = (self.own_id, request.known.as_slice());
            let sought = Sought { channel: channel_id, author, content, nonce: &nonce, since_ms, known };
            match look::find(&self.rest, &self.config, &sought).await {
                Ok(None) => {}
                Ok(Some(message)) => {
                    info!(
                        channel = channel_id.get(),
                        "a message whose answer was lost is found at the target"
                    );
                    return report(SendOutcome::Delivered { message: Some(message) });
                }
                Err(outcome) => return report(outcome),
            }
        }
        let allowed_mentions = AllowedMentions { parse: [] };
        let form = Form { content, nonce: &nonce, enforce_nonce: true, allowed_mentions };
        let Ok(body) = serde_json::to_vec(&form) else { return refused("the text is no JSON") };
        let call = Request::new(Route::ChannelMessages { channel_id }, LightMethod::Post).body(Some(body));
        match self.rest.call(call).await {
            Ok(answer) => SendReport {
                outcome: errors::outcome(&answer, &self.config),
                hint: limits::hint(&answer.headers),
            },
            Err(error) => report(errors::unanswered(error)),
        }
    }

    /// Whether the nonce of a send at this time (Unix milliseconds) may be forgotten by now. So may one from the
    /// future: the clock was set back.
    fn is_old(&self, since_ms: i64) -> bool {
        let age = self.clock.now().timestamp_millis().saturating_sub(since_ms);
        u128::try_from(age).map_or(true, |age| age >= self.config.nonce_life.as_millis())
    }
}

#[async_trait]
impl MessageSender for DiscordSender {
    async fn send(&self, request: SendRequest) -> SendReport {
        if let Some(error) = self.dead.get() {
            return report(SendOutcome::SessionDead { error: error.clone() });
        }
        let report = self.try_send(&request).await;
        if let SendOutcome::SessionDead { error } = &report.outcome {
            // A second 401 at the same moment changes nothing.
            let _ = self.dead.set(error.clone());
        }
        report
    }
}

/// A thread is a channel of its own.
fn channel(target: Place) -> Option<ChannelId> {
    let id = target.thread.map_or(target.chat.get(), switchyard_actors::model::ThreadId::get);
    u64::try_from(id).ok().filter(|id| *id != 0).map(ChannelId::new)
}

const fn report(outcome: SendOutcome) -> SendReport {
    SendReport { outcome, hint: None }
}
