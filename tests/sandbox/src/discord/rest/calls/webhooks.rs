//! Webhooks as bots manage them: made, listed and deleted with a permission.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;

use super::{Called, json_body, own_guild, require, visible};
use crate::discord::core::{Core, State};
use crate::discord::json::{self, MANAGE_WEBHOOKS};
use crate::discord::rest::Call;
use crate::discord::rest::error::ApiError;
use crate::discord::rest::form::WebhookForm;
use crate::discord::world::{Bot, Channel, NewWebhook, Op, Webhook, WebhookToken};

/// Webhooks that a channel can have.
const MAX_IN_CHANNEL: usize = 15;

fn list(state: &State, of: impl Fn(&Channel) -> bool) -> Called {
    let webhooks = state.world.webhooks_where(of);
    Ok(Some(webhooks.map(|webhook| json::webhook(&state.world, webhook, true)).collect()))
}

pub(super) fn of_guild(core: &Core, bot: &Bot, guild: u64) -> Called {
    let state = core.lock();
    own_guild(&state, bot, guild)?;
    require(bot, MANAGE_WEBHOOKS)?;
    list(&state, |channel| channel.guild == guild)
}

pub(super) fn of_channel(core: &Core, bot: &Bot, channel: u64) -> Called {
    let state = core.lock();
    visible(&state, bot, channel)?;
    require(bot, MANAGE_WEBHOOKS)?;
    list(&state, |known| known.id == channel)
}

pub(super) fn create(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64) -> Called {
    let mut state = core.lock();
    let state = &mut *state;
    if visible(state, bot, channel)?.thread.is_some() {
        return Err(ApiError::WrongChannelType);
    }
    require(bot, MANAGE_WEBHOOKS)?;
    let WebhookForm { name } = WebhookForm::parse(json_body(call)?)?;
    if state.world.webhooks_where(|known| known.id == channel).count() >= MAX_IN_CHANNEL {
        return Err(ApiError::TooManyWebhooks);
    }
    let id = state.world.ids.next(core.shared.clock.now_ms());
    let token = core.secret(&format!("discord webhook {id}"));
    state.commit(Op::WebhookMade(NewWebhook { id, channel, name, token, creator: bot.id }))?;
    let made: Option<Value> =
        state.world.webhooks.get(&id).map(|webhook| json::webhook(&state.world, webhook, true));
    Ok(made)
}

pub(super) fn get(core: &Core, bot: &Bot, id: u64) -> Called {
    let state = core.lock();
    let webhook = managed(&state, bot, id)?;
    Ok(Some(json::webhook(&state.world, webhook, true)))
}

pub(super) fn delete(core: &Core, bot: &Bot, id: u64) -> Called {
    let mut state = core.lock();
    let channel = managed(&state, bot, id)?.channel;
    state.commit(Op::WebhookGone { id, channel })?;
    Ok(None)
}

fn managed<'a>(state: &'a State, bot: &Bot, id: u64) -> Result<&'a Webhook, ApiError> {
    let webhook = state.world.webhooks.get(&id).ok_or(ApiError::UnknownWebhook)?;
    visible(state, bot, webhook.channel)?;
    require(bot, MANAGE_WEBHOOKS)?;
    Ok(webhook)
}

impl Core {
    /// A token of the form of a webhook's, 68 characters: the same for the same seed and label.
    fn secret(&self, label: &str) -> WebhookToken {
        let tag = hmac::sign(&self.secrets, label.as_bytes());
        let mut token = URL_SAFE_NO_PAD.encode(tag.as_ref());
        token.truncate(68);
        WebhookToken(token)
    }
}
