//! The JSON in which Discord shows its objects (discord.com/developers/docs/resources).

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::world::{Bot, Channel, Guild, Message, User, World};

/// What members may do where nothing forbids it: react, view, write, embed, attach, read history, mention everyone.
const EVERYONE: u64 = (1 << 6) | (1 << 10) | (1 << 11) | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 17);
const SEND_MESSAGES: u64 = 1 << 11;
const TEXT_CHANNEL: u8 = 0;
const REPLY: u8 = 19;
/// When every seeded member joined.
const JOINED_AT: &str = "2025-01-01T00:00:00.000000+00:00";
/// Application flag: may ask for message content.
pub(super) const GATEWAY_MESSAGE_CONTENT: u64 = 1 << 18;

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
        "flags": GATEWAY_MESSAGE_CONTENT,
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

pub(super) fn channel(channel: &Channel) -> Value {
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

pub(super) fn channels(world: &World, guild: &Guild) -> Vec<Value> {
    guild.channels.iter().filter_map(|id| world.channels.get(id)).map(channel).collect()
}

pub(super) fn member(known: &User) -> Value {
    let mut fields = member_fields();
    fields.insert("user".to_owned(), user(known));
    Value::Object(fields)
}

fn member_fields() -> Map<String, Value> {
    let fields = json!({
        "nick": null,
        "avatar": null,
        "banner": null,
        "roles": [],
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

/// A guild as REST shows it.
pub(super) fn guild(guild: &Guild) -> Value {
    let everyone = json!({
        "id": guild.id.to_string(),
        "name": "@everyone",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
        "hoist": false,
        "icon": null,
        "unicode_emoji": null,
        "position": 0,
        "permissions": EVERYONE.to_string(),
        "managed": false,
        "mentionable": false,
        "flags": 0,
    });
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
        "roles": [everyone],
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
pub(super) fn gateway_guild(world: &World, known: &Guild) -> Value {
    let mut value = guild(known);
    if let Value::Object(fields) = &mut value {
        let members: Vec<Value> =
            known.members.iter().filter_map(|id| world.users.get(id)).map(member).collect();
        let extra = [
            ("joined_at", json!(JOINED_AT)),
            ("large", json!(false)),
            ("unavailable", json!(false)),
            ("member_count", json!(members.len())),
            ("members", json!(members)),
            ("channels", json!(channels(world, known))),
            ("voice_states", json!([])),
            ("threads", json!([])),
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
pub(super) fn guild_info(guild: &Guild) -> Value {
    json!({
        "id": guild.id.to_string(),
        "name": guild.name,
        "icon": null,
        "banner": null,
        "owner": false,
        "permissions": EVERYONE.to_string(),
        "features": [],
    })
}

/// A message as REST shows it, with the message that it answers.
pub(super) fn message(world: &World, known: &Message) -> Value {
    let mut value = plain_message(world, known);
    if let (Some(reply_to), Value::Object(fields)) = (known.reply_to, &mut value) {
        let referenced = world.message(known.channel, reply_to);
        let referenced = referenced.map_or(Value::Null, |message| plain_message(world, message));
        fields.insert("referenced_message".to_owned(), referenced);
    }
    value
}

fn plain_message(world: &World, known: &Message) -> Value {
    let users =
        |ids: &[u64]| -> Vec<Value> { ids.iter().filter_map(|id| world.users.get(id)).map(user).collect() };
    let mut value = json!({
        "id": known.id.to_string(),
        "type": if known.reply_to.is_some() { REPLY } else { 0 },
        "channel_id": known.channel.to_string(),
        "author": world.users.get(&known.author).map(user),
        "content": known.content,
        "timestamp": timestamp(known.at),
        "edited_timestamp": known.edited_at.map(timestamp),
        "tts": false,
        "mention_everyone": known.mention_everyone,
        "mentions": users(&known.mentions),
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": false,
        "flags": known.flags,
    });
    if let Value::Object(fields) = &mut value {
        if let Some(nonce) = &known.nonce {
            fields.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(reply_to) = known.reply_to {
            let guild = world.channels.get(&known.channel).map(|channel| channel.guild.to_string());
            let reference = json!({
                "type": 0,
                "message_id": reply_to.to_string(),
                "channel_id": known.channel.to_string(),
                "guild_id": guild,
            });
            fields.insert("message_reference".to_owned(), reference);
        }
    }
    value
}

/// A message as MESSAGE_CREATE and MESSAGE_UPDATE show it: with its guild and its author's membership.
pub(super) fn gateway_message(world: &World, known: &Message) -> Value {
    let mut value = message(world, known);
    if let (Value::Object(fields), Some(channel)) = (&mut value, world.channels.get(&known.channel)) {
        fields.insert("guild_id".to_owned(), json!(channel.guild.to_string()));
        fields.insert("member".to_owned(), Value::Object(member_fields()));
    }
    value
}

/// Empties what the MESSAGE_CONTENT intent is needed for.
pub(super) fn without_content(mut message: Value) -> Value {
    if let Value::Object(fields) = &mut message {
        for (name, empty) in [
            ("content", json!("")),
            ("embeds", json!([])),
            ("attachments", json!([])),
            ("components", json!([])),
        ] {
            fields.insert(name.to_owned(), empty);
        }
        if let Some(referenced) = fields.remove("referenced_message") {
            fields.insert("referenced_message".to_owned(), without_content(referenced));
        }
    }
    message
}
