//! Guilds, channels, threads, members and roles as Discord shows them.

use serde_json::{Map, Value, json};

use super::{timestamp, user};
use crate::discord::snowflake;
use crate::discord::world::{Bot, Channel, Guild, Thread, User, World};

/// Permissions of Discord (discord.com/developers/docs/topics/permissions) that somebody may lack here.
const SEND_MESSAGES: u64 = 1 << 11;
pub(crate) const MANAGE_MESSAGES: u64 = 1 << 13;
pub(crate) const MANAGE_WEBHOOKS: u64 = 1 << 29;
pub(crate) const MANAGE_THREADS: u64 = 1 << 34;
/// What members may do where nothing forbids it: react, view, write, embed, attach, read history, mention everyone,
/// open public threads and write in them.
const EVERYONE: u64 = (1 << 6)
    | (1 << 10)
    | SEND_MESSAGES
    | (1 << 14)
    | (1 << 15)
    | (1 << 16)
    | (1 << 17)
    | (1 << 35)
    | (1 << 38);
const TEXT_CHANNEL: u8 = 0;
const PUBLIC_THREAD: u8 = 11;
/// When every seeded member joined.
const JOINED_AT: &str = "2025-01-01T00:00:00.000000+00:00";

pub(crate) fn channel(channel: &Channel) -> Value {
    if let Some(thread) = &channel.thread {
        return self::thread(channel, thread);
    }
    let overwrites = if channel.writable {
        json!([])
    } else {
        let deny = SEND_MESSAGES.to_string();
        json!([{"id": channel.guild.to_string(), "type": 0, "allow": "0", "deny": deny}])
    };
    json!({
        "id": channel.id.to_string(),
        "type": TEXT_CHANNEL,
        "guild_id": channel.guild.to_string(),
        "name": channel.name,
        "position": channel.position,
        "topic": null,
        "nsfw": false,
        "parent_id": null,
        "last_message_id": channel.messages.keys().next_back().map(ToString::to_string),
        "rate_limit_per_user": 0,
        "permission_overwrites": overwrites,
        "flags": 0,
    })
}

fn thread(channel: &Channel, thread: &Thread) -> Value {
    let made_at = snowflake::time(channel.id);
    json!({
        "id": channel.id.to_string(),
        "type": PUBLIC_THREAD,
        "guild_id": channel.guild.to_string(),
        "name": channel.name,
        "parent_id": thread.parent.to_string(),
        "owner_id": thread.owner.to_string(),
        "last_message_id": channel.messages.keys().next_back().map(ToString::to_string),
        "rate_limit_per_user": 0,
        "message_count": channel.messages.len(),
        "total_message_sent": channel.messages.len(),
        "member_count": 1,
        "thread_metadata": {
            "archived": thread.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": timestamp(thread.changed_at),
            "create_timestamp": made_at.map(timestamp),
            "locked": thread.locked,
        },
        "flags": 0,
    })
}

/// Threads of a guild that are not archived: what GUILD_CREATE and the list of active threads show.
pub(crate) fn active_threads(world: &World, guild: &Guild) -> Vec<Value> {
    let own = world.channels.values().filter(|channel| channel.guild == guild.id);
    own.filter(|channel| channel.thread.as_ref().is_some_and(|thread| !thread.archived))
        .map(channel)
        .collect()
}

pub(crate) fn channels(world: &World, guild: &Guild) -> Vec<Value> {
    guild.channels.iter().filter_map(|id| world.channels.get(id)).map(channel).collect()
}

pub(crate) fn member(world: &World, known: &User) -> Value {
    let mut fields = member_fields(world, known.id);
    fields.insert("user".to_owned(), user(known));
    Value::Object(fields)
}

/// A bot's own role carries its id, one further on: ids of the seed are far apart.
const fn role_id(bot: u64) -> u64 {
    bot.saturating_add(1)
}

/// A membership without its user, as messages carry it.
pub(super) fn member_fields(world: &World, id: u64) -> Map<String, Value> {
    let roles: Vec<String> = world.bot(id).map(|bot| role_id(bot.id).to_string()).into_iter().collect();
    let fields = json!({
        "nick": null,
        "avatar": null,
        "banner": null,
        "roles": roles,
        "joined_at": JOINED_AT,
        "premium_since": null,
        "deaf": false,
        "mute": false,
        "flags": 0,
        "pending": false,
        "communication_disabled_until": null,
    });
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}

/// The roles of a guild: everyone's, and one for each bot with what it is allowed beyond that.
pub(crate) fn roles(world: &World, guild: &Guild) -> Vec<Value> {
    let everyone = role(guild.id, "@everyone", EVERYONE, Value::Null);
    let bots = guild.members.iter().filter_map(|id| world.bot(*id)).map(|bot| {
        let name = world.users.get(&bot.id).map(|user| user.name.as_str()).unwrap_or_default();
        role(role_id(bot.id), name, bot.rights.permissions, json!({"bot_id": bot.id.to_string()}))
    });
    std::iter::once(everyone).chain(bots).collect()
}

fn role(id: u64, name: &str, permissions: u64, tags: Value) -> Value {
    let mut role = json!({
        "id": id.to_string(),
        "name": name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
        "hoist": false,
        "icon": null,
        "unicode_emoji": null,
        "position": u8::from(tags.is_object()),
        "permissions": permissions.to_string(),
        "managed": tags.is_object(),
        "mentionable": false,
        "flags": 0,
    });
    if let (Value::Object(fields), true) = (&mut role, tags.is_object()) {
        fields.insert("tags".to_owned(), tags);
    }
    role
}

/// A guild as REST shows it.
pub(crate) fn guild(world: &World, guild: &Guild) -> Value {
    json!({
        "id": guild.id.to_string(),
        "name": guild.name,
        "icon": null,
        "splash": null,
        "discovery_splash": null,
        "owner_id": guild.owner.to_string(),
        "afk_channel_id": null,
        "afk_timeout": 300,
        "widget_enabled": false,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "roles": roles(world, guild),
        "emojis": [],
        "stickers": [],
        "features": [],
        "mfa_level": 0,
        "application_id": null,
        "system_channel_id": null,
        "system_channel_flags": 0,
        "rules_channel_id": null,
        "max_members": 500_000,
        "vanity_url_code": null,
        "description": null,
        "banner": null,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "public_updates_channel_id": null,
        "nsfw_level": 0,
        "premium_progress_bar_enabled": false,
        "safety_alerts_channel_id": null,
        "incidents_data": null,
    })
}

/// A guild as GUILD_CREATE shows it.
pub(crate) fn gateway_guild(world: &World, known: &Guild) -> Value {
    let mut value = guild(world, known);
    if let Value::Object(fields) = &mut value {
        let members: Vec<Value> = known
            .members
            .iter()
            .filter_map(|id| world.users.get(id))
            .map(|user| member(world, user))
            .collect();
        let extra = [
            ("joined_at", json!(JOINED_AT)),
            ("large", json!(false)),
            ("unavailable", json!(false)),
            ("member_count", json!(members.len())),
            ("members", json!(members)),
            ("channels", json!(channels(world, known))),
            ("voice_states", json!([])),
            ("threads", json!(active_threads(world, known))),
            ("presences", json!([])),
            ("stage_instances", json!([])),
            ("guild_scheduled_events", json!([])),
            ("soundboard_sounds", json!([])),
        ];
        fields.extend(extra.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

/// A guild as `GET /users/@me/guilds` shows it.
pub(crate) fn guild_info(guild: &Guild, bot: &Bot) -> Value {
    json!({
        "id": guild.id.to_string(),
        "name": guild.name,
        "icon": null,
        "banner": null,
        "owner": false,
        "permissions": (EVERYONE | bot.rights.permissions).to_string(),
        "features": [],
    })
}
