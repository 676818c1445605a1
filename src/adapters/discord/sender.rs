//! Sends as a Discord bot: one call a part, a new message with a nonce under which Discord accepts it once.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::id::ChannelId;
use switchyard_actors::model::{MessageId, PartBody, Place, Platform, SendOutcome};
use switchyard_actors::ports::{Clock, Look, MessageSender, Need, Operation, SendReport, SendRequest};
use tracing::info;
use zeroize::Zeroizing;

use crate::config::DiscordConfig;

use super::form::Form;
use super::gates::{Change, Gates};
use super::look::{self, Sought};
use super::probe::{self, DiscordProbe, ProbeError};
use super::rest::{Answer, CallError, Rest};
use super::{errors, limits};

/// Sends through one bot's token.
pub(super) struct DiscordSender {
    rest: Arc<Rest>,
    config: DiscordConfig,
    clock: Arc<dyn Clock>,
    /// The bot's own user id.
    own_id: i64,
    gates: Gates,
    /// For looks at channels.
    token: Zeroizing<String>,
    /// Set when the token is refused: from then on no call goes out, since refused calls add up to a ban of the address.
    dead: OnceLock<String>,
}

impl DiscordSender {
    pub(super) fn new(
        rest: Arc<Rest>,
        config: DiscordConfig,
        clock: Arc<dyn Clock>,
        own_id: i64,
        token: Zeroizing<String>,
    ) -> Self {
        Self { rest, config, clock, own_id, gates: Gates::default(), token, dead: OnceLock::new() }
    }

    async fn carry_out(&self, request: &SendRequest) -> SendReport {
        let Some(channel) = channel(request.target) else {
            return refused("the target is not a Discord channel");
        };
        match &request.operation {
            Operation::Send { body: PartBody::Markdown { content, .. }, reply_to } => {
                self.create(request, channel, content, *reply_to).await
            }
            Operation::Edit { message, body: PartBody::Markdown { content, .. } } => {
                self.edit(channel, *message, content).await
            }
            Operation::Delete { message } => self.delete(channel, *message).await,
            Operation::Send { .. } | Operation::Edit { .. } => refused(WRONG_FORMAT),
        }
    }

    async fn create(
        &self,
        request: &SendRequest,
        channel: ChannelId,
        content: &str,
        reply_to: Option<MessageId>,
    ) -> SendReport {
        let nonce = request.key.discord_nonce();
        if let Some(since_ms) = request.unclear_since.filter(|since| self.is_old(*since)) {
            let (author, known) = (self.own_id, request.known.as_slice());
            let sought = Sought { channel, author, content, nonce: &nonce, since_ms, known };
            match look::find(&self.rest, &self.config, &sought).await {
                Ok(None) => {}
                Ok(Some(message)) => {
                    info!(channel = channel.get(), "a message whose answer was lost is found at the target");
                    return report(SendOutcome::Delivered { message: Some(message) });
                }
                Err(outcome) => return report(outcome),
            }
        }
        let form = Form::new(content).once(&nonce);
        let mut answered = self.post(channel, &form.clone().answering(reply_to)).await;
        if reply_to.is_some() && answered.as_ref().is_ok_and(errors::refuses_reply) {
            // Nothing was written, so the nonce is still unused.
            answered = self.post(channel, &form).await;
        }
        match answered {
            Ok(answer) => SendReport {
                outcome: errors::outcome(&answer, &self.config),
                hint: limits::hint(&answer.headers),
            },
            Err(error) => report(errors::unanswered(error)),
        }
    }

    async fn post(&self, channel_id: ChannelId, form: &Form<'_>) -> Result<Answer, CallError> {
        let body = form.body().map_err(CallError::NotSent)?;
        let call = Request::new(Route::ChannelMessages { channel_id }, LightMethod::Post);
        self.rest.call(call.body(Some(body))).await
    }

    async fn edit(&self, channel_id: ChannelId, message: MessageId, content: &str) -> SendReport {
        let Some(route) = message_route(channel_id, message) else { return refused(NO_MESSAGE) };
        let Ok(body) = Form::new(content).body() else { return refused(WRONG_FORMAT) };
        let call = Request::new(route, LightMethod::Patch).body(Some(body));
        self.change(Change::Edit, channel_id, call, |answer| errors::edited(answer, &self.config, message))
            .await
    }

    async fn delete(&self, channel_id: ChannelId, message: MessageId) -> SendReport {
        let Some(route) = message_route(channel_id, message) else { return refused(NO_MESSAGE) };
        let call = Request::new(route, LightMethod::Delete);
        self.change(Change::Delete, channel_id, call, |answer| errors::deleted(answer, &self.config)).await
    }

    /// Changes a message that stands, unless the route is known to be used up. Its limits are no hint for new messages.
    async fn change(
        &self,
        change: Change,
        channel: ChannelId,
        call: Request<'_>,
        outcome: impl Fn(&Answer) -> SendOutcome,
    ) -> SendReport {
        let channel = i64::try_from(channel.get()).unwrap_or(i64::MAX);
        if let Some(outcome) = self.gates.closed(change, channel) {
            return report(outcome);
        }
        match self.rest.call(call).await {
            Ok(answer) => {
                self.gates.note(change, channel, limits::hint(&answer.headers).as_ref());
                report(outcome(&answer))
            }
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
        unless_dead(&self.dead, self.carry_out(&request)).await
    }

    async fn look(&self, place: Place, need: Need) -> Look {
        if self.dead.get().is_some() {
            return Look::Unknown("the bot's token is refused".to_owned());
        }
        let mut probe = match DiscordProbe::new(self.config.clone()) {
            Ok(probe) => probe,
            Err(error) => return Look::Unknown(error.to_string()),
        };
        let need = match need {
            Need::Read => probe::Need::Read,
            Need::Write => probe::Need::Write,
        };
        match probe.missing(self.own_id, &self.token, place, need).await {
            Ok(missing) if missing.is_empty() => Look::Allowed,
            Ok(missing) => Look::Refused(format!("the bot lacks {}", missing.join(", "))),
            // No access, or no such channel.
            Err(ProbeError::Refused { status: status @ (403 | 404), text }) => {
                Look::Refused(format!("the bot does not see the channel: {status} {text}"))
            }
            Err(error) => Look::Unknown(error.to_string()),
        }
    }
}

/// What is told of a body that is not Discord's.
pub(super) const WRONG_FORMAT: &str = "the text is not in Discord's format";
const NO_MESSAGE: &str = "the message to be changed is not one of Discord";

/// Sends, unless the credential was refused before; and notes when it is now.
pub(super) async fn unless_dead(
    dead: &OnceLock<String>,
    send: impl Future<Output = SendReport>,
) -> SendReport {
    if let Some(error) = dead.get() {
        return report(SendOutcome::SessionDead { error: error.clone() });
    }
    let report = send.await;
    if let SendOutcome::SessionDead { error } = &report.outcome {
        // A second refusal at the same moment changes nothing.
        let _ = dead.set(error.clone());
    }
    report
}

/// A thread is a channel of its own.
fn channel(target: Place) -> Option<ChannelId> {
    let id = target.thread.map_or(target.chat.get(), switchyard_actors::model::ThreadId::get);
    let id = u64::try_from(id).ok().filter(|_| target.platform == Platform::Discord)?;
    Some(id).filter(|id| *id != 0).map(ChannelId::new)
}

fn message_route(channel_id: ChannelId, message: MessageId) -> Option<Route<'static>> {
    let id = u64::try_from(message.get()).ok().filter(|id| *id != 0)?;
    Some(Route::ChannelMessage { channel_id, message_id: id.into() })
}

/// Never sent, for a reason of the request itself.
pub(super) fn refused(error: &str) -> SendReport {
    report(SendOutcome::Refused { error: error.to_owned() })
}

/// An outcome that says nothing of limits.
pub(super) const fn report(outcome: SendOutcome) -> SendReport {
    SendReport { outcome, hint: None }
}
