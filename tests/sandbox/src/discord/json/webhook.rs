//! Webhooks as Discord shows them.

use serde_json::{Map, Value, json};

use super::user;
use crate::discord::world::{Webhook, World};

/// Incoming: written to under its token.
const INCOMING: u8 = 1;

/// A webhook with its token. Callers without a bot's token are not told who made it.
pub(crate) fn webhook(world: &World, known: &Webhook, to_a_bot: bool) -> Value {
    let guild = world.channels.get(&known.channel).map(|channel| channel.guild.to_string());
    let fields = json!({
        "id": known.id.to_string(),
        "type": INCOMING,
        "name": known.name,
        "avatar": null,
        "channel_id": known.channel.to_string(),
        "guild_id": guild,
        "application_id": known.creator.map(|id| id.to_string()),
        "token": known.token.0,
    });
    let mut fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
    if to_a_bot {
        let creator = known.creator.or_else(|| world.persons.first().copied());
        let creator = creator.and_then(|id| world.users.get(&id)).map(user);
        fields.insert("user".to_owned(), json!(creator));
    }
    Value::Object(fields)
}
