//! What is done under a webhook's own token.

use super::messages::change;
use super::threads;
use super::{Called, json_body};
use crate::discord::core::{Core, State};
use crate::discord::json::{self, Moment};
use crate::discord::mentions;
use crate::discord::rest::Call;
use crate::discord::rest::error::{ApiError, FormErrors};
use crate::discord::rest::form::{EditForm, ExecuteForm};
use crate::discord::rest::route::HookCall;
use crate::discord::snowflake;
use crate::discord::world::{Message, Op, Persona, Webhook};

/// Carries out a call under a webhook's token.
pub(crate) fn call(core: &Core, call: &Call<'_>, asked: HookCall, webhook: &Webhook) -> Called {
    let query = Query::parse(call.query)?;
    match asked {
        HookCall::Get => Ok(Some(json::webhook(&core.lock().world, webhook, false))),
        HookCall::Delete => {
            core.lock().commit(Op::WebhookGone { id: webhook.id, channel: webhook.channel })?;
            Ok(None)
        }
        HookCall::Execute => execute(core, call, query, webhook),
        HookCall::GetMessage(id) => {
            let state = core.lock();
            let message = own(&state, query, webhook, id)?;
            Ok(Some(json::message(&state.world, message, Moment::Later)))
        }
        HookCall::EditMessage(id) => edit(core, call, query, webhook, id),
        HookCall::DeleteMessage(id) => {
            let mut state = core.lock();
            let channel = own(&state, query, webhook, id)?.channel;
            state.commit(Op::Deleted { channel, id })?;
            Ok(None)
        }
    }
}

fn execute(core: &Core, call: &Call<'_>, query: Query, webhook: &Webhook) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let channel = channel(state, query, webhook)?;
    let form = ExecuteForm::parse(json_body(call)?)?;
    let (mentions, mention_everyone) = mentions::resolve(&state.world, &form.content, &form.mentions, None);
    threads::reopen(state, channel, at)?;
    let id = state.world.ids.next(core.shared.clock.now_ms());
    let persona = Persona {
        name: form.username.unwrap_or_else(|| webhook.name.clone()),
        avatar_url: form.avatar_url,
        application: webhook.creator,
    };
    state.commit(Op::Created(Message {
        id,
        channel,
        author: webhook.id,
        content: form.content,
        at,
        edited_at: None,
        nonce: None,
        reply_to: None,
        mentions,
        mention_everyone,
        flags: form.flags,
        persona: Some(persona),
    }))?;
    let written = state.world.message(channel, id).filter(|_| query.wait);
    Ok(written.map(|message| json::message(&state.world, message, Moment::Written)))
}

fn edit(core: &Core, call: &Call<'_>, query: Query, webhook: &Webhook, id: u64) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let message = own(state, query, webhook, id)?;
    let channel = message.channel;
    let change = change(state, message, EditForm::parse(json_body(call)?)?, at);
    threads::require_open(state, channel)?;
    state.commit(Op::Edited { channel, id, change })?;
    let message = state.world.message(channel, id);
    Ok(message.map(|message| json::message(&state.world, message, Moment::Later)))
}

/// The webhook's channel, or the thread in it that is asked for.
fn channel(state: &State, query: Query, webhook: &Webhook) -> Result<u64, ApiError> {
    let Some(id) = query.thread else { return Ok(webhook.channel) };
    let thread = state.world.channels.get(&id).and_then(|channel| channel.thread.as_ref());
    thread.filter(|thread| thread.parent == webhook.channel).map(|_| id).ok_or(ApiError::UnknownChannel)
}

/// A message that this webhook wrote; others' are unknown to it.
fn own<'a>(state: &'a State, query: Query, webhook: &Webhook, id: u64) -> Result<&'a Message, ApiError> {
    let message = state.world.message(channel(state, query, webhook)?, id);
    message.filter(|message| message.author == webhook.id).ok_or(ApiError::UnknownMessage)
}

/// What stands behind the question mark.
#[derive(Clone, Copy, Debug, Default)]
struct Query {
    /// Whether the message is wanted in the answer.
    wait: bool,
    thread: Option<u64>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong = |code, message: String| FormErrors::one(&[name], code, message);
            match (name, value) {
                ("wait", "true" | "True" | "1") => parsed.wait = true,
                ("wait", "false" | "False" | "0") => parsed.wait = false,
                ("wait", _) => {
                    let message = "Must be either true or false.".to_owned();
                    return Err(wrong("BOOLEAN_TYPE_CONVERT", message));
                }
                ("thread_id", _) => {
                    let message = || format!("Value \"{value}\" is not snowflake.");
                    let id = snowflake::parse(value);
                    parsed.thread = Some(id.ok_or_else(|| wrong("NUMBER_TYPE_COERCE", message()))?);
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}
