//! Messages as Discord shows them: in history, in answers to a send, and in events.

use ring::digest;
use serde_json::{Value, json};

use super::guild::member_fields;
use super::{timestamp, user};
use crate::discord::links;
use crate::discord::world::{Message, Persona, World};

const REPLY: u8 = 19;

/// What a view of a message has that others lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Just written: with its nonce, and before anybody looked behind its links.
    Written,
    /// Later: without the nonce, with a preview of its links.
    Later,
}

/// A message as REST shows it, with the message that it answers.
pub(crate) fn message(world: &World, known: &Message, moment: Moment) -> Value {
    let mut value = plain_message(world, known, moment);
    if let (Some(reply_to), Value::Object(fields)) = (known.reply_to, &mut value) {
        let referenced = world.message(known.channel, reply_to);
        let referenced =
            referenced.map_or(Value::Null, |message| plain_message(world, message, Moment::Later));
        fields.insert("referenced_message".to_owned(), referenced);
    }
    value
}

/// The preview of a message's links.
pub(crate) fn embeds(known: &Message) -> Value {
    links::shown(&known.content, known.flags)
        .map(|url| {
            let host = url.split('/').nth(2).unwrap_or_default();
            json!({"type": "link", "url": url, "title": host, "content_scan_version": 0})
        })
        .collect()
}

fn author(world: &World, known: &Message) -> Value {
    match &known.persona {
        None => world.users.get(&known.author).map_or(Value::Null, user),
        Some(persona) => json!({
            "id": known.author.to_string(),
            "username": persona.name,
            "discriminator": "0000",
            "global_name": null,
            "avatar": avatar(persona),
            "bot": true,
            "flags": 0,
            "public_flags": 0,
        }),
    }
}

/// Discord keeps pictures under a hash of their content; here the address stands for it.
fn avatar(persona: &Persona) -> Option<String> {
    let hash = digest::digest(&digest::SHA256, persona.avatar_url.as_ref()?.as_bytes());
    Some(hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
}

fn plain_message(world: &World, known: &Message, moment: Moment) -> Value {
    let users =
        |ids: &[u64]| -> Vec<Value> { ids.iter().filter_map(|id| world.users.get(id)).map(user).collect() };
    let mut value = json!({
        "id": known.id.to_string(),
        "type": if known.reply_to.is_some() { REPLY } else { 0 },
        "channel_id": known.channel.to_string(),
        "author": author(world, known),
        "content": known.content,
        "timestamp": timestamp(known.at),
        "edited_timestamp": known.edited_at.map(timestamp),
        "tts": false,
        "mention_everyone": known.mention_everyone,
        "mentions": users(&known.mentions),
        "mention_roles": [],
        "attachments": [],
        "embeds": if moment == Moment::Later { embeds(known) } else { json!([]) },
        "components": [],
        "pinned": false,
        "flags": known.flags,
    });
    if let Value::Object(fields) = &mut value {
        if let Some(nonce) = known.nonce.as_ref().filter(|_| moment == Moment::Written) {
            fields.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(persona) = &known.persona {
            fields.insert("webhook_id".to_owned(), json!(known.author.to_string()));
            let application = persona.application.map(|id| id.to_string());
            fields.insert("application_id".to_owned(), json!(application));
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
pub(crate) fn gateway_message(world: &World, known: &Message, moment: Moment) -> Value {
    let mut value = message(world, known, moment);
    if let (Value::Object(fields), Some(channel)) = (&mut value, world.channels.get(&known.channel)) {
        fields.insert("guild_id".to_owned(), json!(channel.guild.to_string()));
        if known.persona.is_none() {
            fields.insert("member".to_owned(), Value::Object(member_fields(world, known.author)));
        }
    }
    value
}

/// What MESSAGE_UPDATE once was when only the preview changed, and what clients must still bear: no author, no text.
pub(crate) fn partial_update(world: &World, known: &Message) -> Value {
    let guild = world.channels.get(&known.channel).map(|channel| channel.guild.to_string());
    json!({
        "id": known.id.to_string(),
        "channel_id": known.channel.to_string(),
        "guild_id": guild,
        "embeds": embeds(known),
    })
}

/// Empties what the MESSAGE_CONTENT intent is needed for.
pub(crate) fn without_content(mut message: Value) -> Value {
    if let Value::Object(fields) = &mut message {
        for (name, empty) in [
            ("content", json!("")),
            ("embeds", json!([])),
            ("attachments", json!([])),
            ("components", json!([])),
        ] {
            if fields.contains_key(name) {
                fields.insert(name.to_owned(), empty);
            }
        }
        if let Some(referenced) = fields.remove("referenced_message") {
            fields.insert("referenced_message".to_owned(), without_content(referenced));
        }
    }
    message
}
