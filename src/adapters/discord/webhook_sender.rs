//! Sends through a webhook: under the name of the author, without a key, in the webhook's one channel.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use reqwest12::Method;
use serde::Deserialize;
use switchyard_actors::model::{Author, ChatId, MessageId, PartBody, Place, Platform, SendOutcome};
use switchyard_actors::ports::{MessageSender, Operation, SendReport, SendRequest};
use tracing::warn;

use crate::config::DiscordConfig;

use super::author_name::AuthorNames;
use super::form::Form;
use super::gates::{Change, Gates};
use super::rest::{Answer, CallError};
use super::sender::{WRONG_FORMAT, refused, report, unless_dead};
use super::webhook::Hook;
use super::{errors, limits};

/// Sends under one webhook's token.
pub(super) struct WebhookSender {
    hook: Hook,
    config: DiscordConfig,
    names: AuthorNames,
    /// The channel that the webhook writes in, as far as is known: its owner may move it.
    channel: AtomicI64,
    gates: Gates,
    /// Set when the webhook is gone: from then on no call goes out.
    dead: OnceLock<String>,
}

/// Where a written message stands.
#[derive(Deserialize)]
struct Written {
    channel_id: ChatId,
}

impl WebhookSender {
    /// A sender for a webhook that writes in this channel.
    pub(super) fn new(hook: Hook, config: DiscordConfig, channel: ChatId) -> Self {
        let (names, channel) =
            (AuthorNames::new(&config.author_names_refused), AtomicI64::new(channel.get()));
        Self { hook, config, names, channel, gates: Gates::default(), dead: OnceLock::new() }
    }

    async fn carry_out(&self, request: &SendRequest) -> SendReport {
        let target = request.target;
        let channel = self.channel.load(Ordering::Relaxed);
        if target.platform != Platform::Discord || target.chat.get() != channel {
            let error = format!("the webhook writes in channel {channel} and in no other");
            return report(SendOutcome::PausePair { error });
        }
        match &request.operation {
            // A webhook cannot answer a message.
            Operation::Send { body: PartBody::Markdown { content, author }, .. } => {
                self.create(target, content, author.as_ref()).await
            }
            Operation::Edit { message, body: PartBody::Markdown { content, .. } } => {
                self.edit(target, *message, content).await
            }
            Operation::Delete { message } => self.delete(target, *message).await,
            Operation::Send { .. } | Operation::Edit { .. } => refused(WRONG_FORMAT),
        }
    }

    async fn create(&self, target: Place, content: &str, author: Option<&Author>) -> SendReport {
        let form = Form::new(content);
        let mut answered = self.post(target, form.clone().named(self.names.shown(author))).await;
        if author.is_some() && answered.as_ref().is_ok_and(errors::refuses_name) {
            // Nothing was written: Discord refuses more names than it says.
            answered = self.post(target, form.named(AuthorNames::neutral(author))).await;
        }
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => return report(errors::unanswered(error)),
        };
        if answer.status.is_success() {
            self.notice_move(target, &answer);
        }
        SendReport { outcome: errors::outcome(&answer, &self.config), hint: limits::hint(&answer.headers) }
    }

    async fn post(&self, target: Place, form: Form<'_>) -> Result<Answer, CallError> {
        let body = form.body().map_err(CallError::NotSent)?;
        // Without `wait` the answer comes before the message is written, and names no id.
        let mut query = vec![("wait", "true".to_owned())];
        query.extend(thread(target));
        self.hook.call(Method::POST, None, &query, Some(body)).await
    }

    /// A webhook whose owner moved it writes elsewhere: what follows must not.
    fn notice_move(&self, target: Place, answer: &Answer) {
        let Ok(written) = serde_json::from_slice::<Written>(&answer.body) else { return };
        if target.thread.is_none() && written.channel_id != target.chat {
            let (meant, found) = (target.chat.get(), written.channel_id.get());
            warn!(
                webhook = self.hook.id,
                meant, found, "webhook was moved: a message stands in another channel"
            );
            self.channel.store(found, Ordering::Relaxed);
        }
    }

    async fn edit(&self, target: Place, message: MessageId, content: &str) -> SendReport {
        let Ok(body) = Form::new(content).body() else { return refused(WRONG_FORMAT) };
        let call = (Method::PATCH, Some(body));
        self.change(Change::Edit, target, message, call, |answer| {
            errors::edited(answer, &self.config, message)
        })
        .await
    }

    async fn delete(&self, target: Place, message: MessageId) -> SendReport {
        let call = (Method::DELETE, None);
        self.change(Change::Delete, target, message, call, |answer| errors::deleted(answer, &self.config))
            .await
    }

    /// Changes a message that stands, unless the route is known to be used up. Its limits are no hint for new messages.
    async fn change(
        &self,
        change: Change,
        target: Place,
        message: MessageId,
        (method, body): (Method, Option<Vec<u8>>),
        outcome: impl Fn(&Answer) -> SendOutcome,
    ) -> SendReport {
        let channel = target.chat.get();
        if let Some(outcome) = self.gates.closed(change, channel) {
            return report(outcome);
        }
        match self.hook.call(method, Some(message), thread(target).as_slice(), body).await {
            Ok(answer) => {
                self.gates.note(change, channel, limits::hint(&answer.headers).as_ref());
                report(outcome(&answer))
            }
            Err(error) => report(errors::unanswered(error)),
        }
    }
}

#[async_trait]
impl MessageSender for WebhookSender {
    async fn send(&self, request: SendRequest) -> SendReport {
        unless_dead(&self.dead, self.carry_out(&request)).await
    }

    fn knows_repeats(&self) -> bool {
        false
    }
}

/// The thread of the webhook's channel, where one is meant.
fn thread(target: Place) -> Option<(&'static str, String)> {
    target.thread.map(|thread| ("thread_id", thread.to_string()))
}
