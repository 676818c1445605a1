//! What each call does.

mod hooks;
mod messages;
mod page;
mod threads;
mod webhooks;

use serde_json::{Value, json};

use super::Call;
use super::error::ApiError;
use super::route::Route;
use crate::discord::core::{Core, State};
use crate::discord::json;
use crate::discord::world::{Bot, Channel, Guild};
use crate::journal::JournalError;
pub(super) use hooks::call as hook;

/// `Ok(None)`: done, without content.
type Called = Result<Option<Value>, ApiError>;

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "a change of the Discord world could not be written");
        Self::Internal
    }
}

/// Carries out a bot's call.
pub(super) fn call(core: &Core, call: &Call<'_>, route: Route<'_>, bot: &Bot) -> Called {
    match route {
        Route::Gateway | Route::GatewayBot => Ok(Some(gateway(core, route, &call.gateway_url, Some(bot)))),
        Route::Me => {
            let state = core.lock();
            Ok(state.world.users.get(&bot.id).map(json::current_user))
        }
        Route::MyApplication => Ok(Some(json::application(&core.lock().world, bot))),
        Route::MyGuilds => {
            let state = core.lock();
            let guilds = state.world.guilds.get(&bot.guild).map(|guild| json::guild_info(guild, bot));
            Ok(Some(Value::from_iter(guilds)))
        }
        Route::Guild(id)
        | Route::GuildChannels(id)
        | Route::GuildRoles(id)
        | Route::GuildMember(id, _)
        | Route::ActiveThreads(id) => of_guild(&core.lock(), route, bot, id),
        Route::Channel(id) => Ok(Some(json::channel(visible(&core.lock(), bot, id)?))),
        Route::EditChannel(id) => threads::edit(core, call, bot, id),
        Route::CreateThread(id) => threads::create(core, call, bot, id),
        Route::ListMessages(channel) => messages::list(core, call.query, bot, channel),
        Route::GetMessage(channel, id) => messages::get(core, bot, channel, id),
        Route::CreateMessage(channel) => messages::create(core, call, bot, channel),
        Route::EditMessage(channel, id) => messages::edit(core, call, bot, channel, id),
        Route::DeleteMessage(channel, id) => messages::delete(core, bot, channel, id),
        Route::BulkDelete(channel) => messages::bulk_delete(core, call, bot, channel),
        Route::GuildWebhooks(guild) => webhooks::of_guild(core, bot, guild),
        Route::ListWebhooks(channel) => webhooks::of_channel(core, bot, channel),
        Route::CreateWebhook(channel) => webhooks::create(core, call, bot, channel),
        Route::GetWebhook(id) => webhooks::get(core, bot, id),
        Route::DeleteWebhook(id) => webhooks::delete(core, bot, id),
        // Decided under the webhook's token before any bot is looked for.
        Route::Hook(_) => Err(ApiError::UnknownRoute),
    }
}

/// `GET /gateway` and `GET /gateway/bot`.
pub(super) fn gateway(core: &Core, route: Route<'_>, url: &str, bot: Option<&Bot>) -> Value {
    match (route, bot) {
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
    }
}

/// What a guild's bot can read of it.
fn of_guild(state: &State, route: Route<'_>, bot: &Bot, id: u64) -> Called {
    let world = &state.world;
    let guild = own_guild(state, bot, id)?;
    Ok(Some(match route {
        Route::GuildChannels(_) => json::channels(world, guild).into(),
        Route::GuildRoles(_) => json::roles(world, guild).into(),
        Route::ActiveThreads(_) => json!({"threads": json::active_threads(world, guild), "members": []}),
        Route::GuildMember(_, user) => {
            let user = guild.members.contains(&user).then(|| world.users.get(&user)).flatten();
            json::member(world, user.ok_or(ApiError::UnknownMember)?)
        }
        _ => json::guild(world, guild),
    }))
}

fn own_guild<'a>(state: &'a State, bot: &Bot, id: u64) -> Result<&'a Guild, ApiError> {
    state.world.guilds.get(&id).filter(|guild| guild.id == bot.guild).ok_or(ApiError::UnknownGuild)
}

/// A channel that exists but not for this bot is "missing access", as it is with Discord.
fn visible<'a>(state: &'a State, bot: &Bot, id: u64) -> Result<&'a Channel, ApiError> {
    if !state.world.channels.contains_key(&id) {
        return Err(ApiError::UnknownChannel);
    }
    state.world.visible_channel(bot, id).ok_or(ApiError::MissingAccess)
}

/// A permission that not every member has.
const fn require(bot: &Bot, permission: u64) -> Result<(), ApiError> {
    if bot.may(permission) { Ok(()) } else { Err(ApiError::MissingPermissions) }
}

fn json_body<'a>(call: &Call<'a>) -> Result<&'a [u8], ApiError> {
    if call.is_json { Ok(call.body) } else { Err(ApiError::InvalidJson) }
}
