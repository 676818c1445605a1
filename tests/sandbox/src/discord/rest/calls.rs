//! What each call does.

use serde_json::{Value, json};

use super::error::{ApiError, FormErrors};
use super::form::{CreateForm, EditForm};
use super::route::Route;
use super::{Call, Outcome};
use crate::discord::core::{Core, State};
use crate::discord::world::{Bot, Change, Channel, Message, Op};
use crate::discord::{json, mentions, snowflake};
use crate::journal::JournalError;

const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 50;

/// `Ok(None)`: done, without content.
type Called = Result<Option<Value>, ApiError>;

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "a change of the Discord world could not be written");
        Self::Internal
    }
}

/// Carries out a bot's call.
pub(super) fn call(core: &Core, call: &Call<'_>, route: Route, bot: &Bot) -> Called {
    match route {
        Route::Gateway | Route::GatewayBot => match gateway(core, route, &call.gateway_url, Some(bot)) {
            Outcome::Done(value) => Ok(value),
            _ => Err(ApiError::Internal),
        },
        Route::Me => {
            let state = core.lock();
            Ok(state.world.users.get(&bot.id).map(json::current_user))
        }
        Route::MyApplication => Ok(Some(json::application(&core.lock().world, bot))),
        Route::MyGuilds => {
            let state = core.lock();
            let guilds = state.world.guilds.get(&bot.guild).map(json::guild_info);
            Ok(Some(Value::from_iter(guilds)))
        }
        Route::Guild(id) => {
            let state = core.lock();
            let guild = state.world.guilds.get(&id).filter(|guild| guild.id == bot.guild);
            guild.map(|guild| Some(json::guild(guild))).ok_or(ApiError::UnknownGuild)
        }
        Route::GuildChannels(id) => {
            let state = core.lock();
            let guild = state.world.guilds.get(&id).filter(|guild| guild.id == bot.guild);
            let guild = guild.ok_or(ApiError::UnknownGuild)?;
            Ok(Some(Value::from_iter(json::channels(&state.world, guild))))
        }
        Route::Channel(id) => Ok(Some(json::channel(visible(&core.lock(), bot, id)?))),
        Route::ListMessages(channel) => list(core, call.query, bot, channel),
        Route::GetMessage(channel, id) => {
            let state = core.lock();
            let message = visible(&state, bot, channel)?.messages.get(&id);
            let message = message.ok_or(ApiError::UnknownMessage)?;
            Ok(Some(json::message(&state.world, message)))
        }
        Route::CreateMessage(channel) => create(core, call, bot, channel),
        Route::EditMessage(channel, id) => edit(core, call, bot, channel, id),
        Route::DeleteMessage(channel, id) => delete(core, bot, channel, id),
    }
}

/// `GET /gateway` and `GET /gateway/bot`.
pub(super) fn gateway(core: &Core, route: Route, url: &str, bot: Option<&Bot>) -> Outcome {
    let value = match (route, bot) {
        (Route::GatewayBot, Some(bot)) => {
            let budget = core.lock().identifies.state(bot.id, core.shared.clock.now());
            json!({
                "url": url,
                "shards": 1,
                "session_start_limit": {
                    "total": budget.total,
                    "remaining": budget.remaining,
                    "reset_after": budget.reset_after_ms,
                    "max_concurrency": 1,
                },
            })
        }
        _ => json!({"url": url}),
    };
    Outcome::Done(Some(value))
}

/// A channel that exists but not for this bot is "missing access", as it is with Discord.
fn visible<'a>(state: &'a State, bot: &Bot, id: u64) -> Result<&'a Channel, ApiError> {
    if !state.world.channels.contains_key(&id) {
        return Err(ApiError::UnknownChannel);
    }
    state.world.visible_channel(bot, id).ok_or(ApiError::MissingAccess)
}

fn writable(state: &State, bot: &Bot, id: u64) -> Result<(), ApiError> {
    if visible(state, bot, id)?.writable { Ok(()) } else { Err(ApiError::MissingPermissions) }
}

fn list(core: &Core, query: &str, bot: &Bot, channel: u64) -> Called {
    let page = Page::parse(query)?;
    let state = core.lock();
    let channel = visible(&state, bot, channel)?;
    let messages = page.select(channel);
    Ok(Some(messages.into_iter().map(|message| json::message(&state.world, message)).collect()))
}

fn create(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64) -> Called {
    let now = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    writable(state, bot, channel)?;
    if !call.is_json {
        return Err(ApiError::InvalidJson);
    }
    let form = CreateForm::parse(call.body)?;
    if let Some(nonce) = form.nonce.as_ref().filter(|_| form.enforce_nonce)
        && let Some(original) = state.world.by_nonce(bot.id, channel, nonce, now)
    {
        return Ok(Some(json::message(&state.world, original)));
    }
    let referenced = form.reference.and_then(|reference| state.world.message(channel, reference.message));
    if referenced.is_none() && form.reference.is_some_and(|reference| reference.fail_if_not_exists) {
        let code = "REPLIES_UNKNOWN_MESSAGE";
        return Err(FormErrors::one(&["message_reference"], code, "Unknown message"));
    }
    let replied_to = referenced.map(|message| message.author);
    let reply_to = referenced.map(|message| message.id);
    let (mentions, mention_everyone) =
        mentions::resolve(&state.world, &form.content, &form.mentions, replied_to);
    let id = state.world.ids.next(core.shared.clock.now_ms());
    let message = Message {
        id,
        channel,
        author: bot.id,
        content: form.content,
        at: now,
        edited_at: None,
        nonce: form.nonce,
        reply_to,
        mentions,
        mention_everyone,
        flags: form.flags,
    };
    state.commit(Op::Created(message))?;
    Ok(state.world.message(channel, id).map(|message| json::message(&state.world, message)))
}

fn edit(core: &Core, call: &Call<'_>, bot: &Bot, channel: u64, id: u64) -> Called {
    let at = core.shared.clock.now();
    let mut state = core.lock();
    let state = &mut *state;
    let message = visible(state, bot, channel)?.messages.get(&id).ok_or(ApiError::UnknownMessage)?;
    if message.author != bot.id {
        return Err(ApiError::NotTheAuthor);
    }
    if !call.is_json {
        return Err(ApiError::InvalidJson);
    }
    let form = EditForm::parse(call.body)?;
    let content = form.content.unwrap_or_else(|| message.content.clone());
    let flags = form.flags.unwrap_or(message.flags);
    let replied_to = message.reply_to.and_then(|id| state.world.message(channel, id));
    let replied_to = replied_to.map(|message| message.author);
    let (mentions, mention_everyone) = mentions::resolve(&state.world, &content, &form.mentions, replied_to);
    state.commit(Op::Edited {
        channel,
        id,
        change: Change { content, mentions, mention_everyone, flags, at },
    })?;
    Ok(state.world.message(channel, id).map(|message| json::message(&state.world, message)))
}

/// Bots delete their own messages; another's would need a permission that they do not have.
fn delete(core: &Core, bot: &Bot, channel: u64, id: u64) -> Called {
    let mut state = core.lock();
    let message = visible(&state, bot, channel)?.messages.get(&id).ok_or(ApiError::UnknownMessage)?;
    if message.author != bot.id {
        return Err(ApiError::MissingPermissions);
    }
    state.commit(Op::Deleted { channel, id })?;
    Ok(None)
}

/// Which messages of a channel are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    anchor: Anchor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Newest,
    Around(u64),
    Before(u64),
    After(u64),
}

impl Page {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let mut page = Self { limit: DEFAULT_PAGE, anchor: Anchor::Newest };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong = |code, message: String| FormErrors::one(&[name], code, message);
            if name == "limit" {
                let limit = value.parse::<usize>().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
                let message = || format!("int value should be between 1 and {MAX_PAGE}.");
                page.limit = limit.ok_or_else(|| wrong("NUMBER_TYPE_MAX", message()))?;
                continue;
            }
            let anchor = match name {
                "around" => Anchor::Around,
                "before" => Anchor::Before,
                "after" => Anchor::After,
                _ => continue,
            };
            let id = snowflake::parse(value)
                .ok_or_else(|| wrong("NUMBER_TYPE_COERCE", format!("Value \"{value}\" is not snowflake.")))?;
            if page.anchor != Anchor::Newest {
                let message = "Only one of around, before and after may be given.".to_owned();
                return Err(wrong("BASE_TYPE_CHOICES", message));
            }
            page.anchor = anchor(id);
        }
        Ok(page)
    }

    /// Newest first, as Discord lists them.
    fn select(self, channel: &Channel) -> Vec<&Message> {
        let messages = &channel.messages;
        let before = |id, limit| messages.range(..id).rev().take(limit).map(|(_, message)| message);
        let from = |id, limit| {
            let mut later: Vec<_> = messages.range(id..).take(limit).map(|(_, message)| message).collect();
            later.reverse();
            later
        };
        match self.anchor {
            Anchor::Newest => messages.values().rev().take(self.limit).collect(),
            Anchor::Before(id) => before(id, self.limit).collect(),
            Anchor::After(id) => from(id.saturating_add(1), self.limit),
            Anchor::Around(id) => {
                let older = self.limit / 2;
                let mut page = from(id, self.limit.saturating_sub(older));
                page.extend(before(id, older));
                page
            }
        }
    }
}
