//! The JSON in which Discord shows its objects (discord.com/developers/docs/resources).

mod guild;
mod message;
mod webhook;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::gateway::MESSAGE_CONTENT;
use super::world::{Bot, User, World};
pub(super) use guild::{
    MANAGE_MESSAGES, MANAGE_THREADS, MANAGE_WEBHOOKS, active_threads, channel, channels, gateway_guild,
    guild, guild_info, member, roles,
};
pub(super) use message::{Moment, embeds, gateway_message, message, partial_update, without_content};
pub(super) use webhook::webhook;

/// Application flag: in fewer than 100 guilds, and may ask for message content. In more it would be `1 << 18`.
const GATEWAY_MESSAGE_CONTENT_LIMITED: u64 = 1 << 19;

/// A timestamp in Discord's form: microseconds and a numeric offset.
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}

pub(super) fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "username": user.name,
        "discriminator": if user.bot { "0001" } else { "0" },
        "global_name": if user.bot { Value::Null } else { json!(user.name) },
        "avatar": null,
        "avatar_decoration_data": null,
        "bot": user.bot,
        "public_flags": 0,
    })
}

/// The bot as `GET /users/@me` and READY show it.
pub(super) fn current_user(known: &User) -> Value {
    let mut value = user(known);
    if let Value::Object(fields) = &mut value {
        for (name, extra) in [
            ("verified", json!(true)),
            ("mfa_enabled", json!(false)),
            ("flags", json!(0)),
            ("email", Value::Null),
        ] {
            fields.insert(name.to_owned(), extra);
        }
    }
    value
}

pub(super) fn application(world: &World, bot: &Bot) -> Value {
    let known = world.users.get(&bot.id);
    json!({
        "id": bot.id.to_string(),
        "name": known.map(|user| user.name.as_str()).unwrap_or_default(),
        "icon": null,
        "description": "",
        "bot_public": false,
        "bot_require_code_grant": false,
        "verify_key": "0".repeat(64),
        "flags": application_flags(bot),
        "owner": world.persons.first().and_then(|id| world.users.get(id)).map(user),
        "team": null,
        "bot": known.map(user),
        "approximate_guild_count": 1,
        "redirect_uris": [],
        "interactions_endpoint_url": null,
        "tags": [],
        "integration_types_config": {},
        "event_webhooks_status": 1,
    })
}

/// What an application may ask the gateway for (discord.com/developers/docs/resources/application).
pub(super) const fn application_flags(bot: &Bot) -> u64 {
    if bot.rights.intents & MESSAGE_CONTENT == 0 { 0 } else { GATEWAY_MESSAGE_CONTENT_LIMITED }
}
