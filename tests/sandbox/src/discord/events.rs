//! Changes of the world as they happen: written, applied, and told to every session that may see them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::core::{State, fault_site};
use super::gateway::{Intents, Session};
use super::json::{self, Moment};
use super::world::Op;
use crate::faults::FaultKind;
use crate::journal::JournalError;

/// What sessions are told of a change.
enum News {
    Written { channel: u64, id: u64 },
    Edited { channel: u64, id: u64 },
    Deleted { channel: u64, id: u64 },
    BulkDeleted { channel: u64, ids: Vec<u64> },
    Webhooks { channel: u64 },
    Thread { name: &'static str, id: u64 },
    Nothing,
}

impl From<&Op> for News {
    fn from(op: &Op) -> Self {
        match op {
            Op::Created(message) => Self::Written { channel: message.channel, id: message.id },
            Op::Edited { channel, id, .. } => Self::Edited { channel: *channel, id: *id },
            Op::Deleted { channel, id } => Self::Deleted { channel: *channel, id: *id },
            Op::BulkDeleted { channel, ids } => Self::BulkDeleted { channel: *channel, ids: ids.clone() },
            Op::WebhookMade(made) => Self::Webhooks { channel: made.channel },
            Op::WebhookGone { channel, .. } => Self::Webhooks { channel: *channel },
            Op::ThreadMade(made) => Self::Thread { name: "THREAD_CREATE", id: made.id },
            Op::ThreadSet { id, .. } => Self::Thread { name: "THREAD_UPDATE", id: *id },
            Op::RightsSet { .. } | Op::WritableSet { .. } => Self::Nothing,
        }
    }
}

impl State {
    /// Makes an operation happen: written, applied, told to every session that may see it.
    pub(super) fn commit(&mut self, op: Op) -> Result<(), JournalError> {
        self.journal.append(&op)?;
        let news = News::from(&op);
        self.world.apply(op);
        self.tell(news);
        Ok(())
    }

    fn tell(&mut self, news: News) {
        match news {
            News::Written { channel, id } => {
                self.tell_message("MESSAGE_CREATE", channel, id, Moment::Written);
                self.tell_preview(channel, id);
            }
            News::Edited { channel, id } => self.tell_message("MESSAGE_UPDATE", channel, id, Moment::Later),
            News::Deleted { channel, id } => {
                let data = json!({"id": id.to_string()});
                self.tell_all("MESSAGE_DELETE", channel, Intents::guild_messages, data);
            }
            News::BulkDeleted { channel, ids } => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                self.tell_all("MESSAGE_DELETE_BULK", channel, Intents::guild_messages, json!({"ids": ids}));
            }
            News::Webhooks { channel } => {
                self.tell_all("WEBHOOKS_UPDATE", channel, Intents::guild_webhooks, json!({}));
            }
            News::Thread { name, id } => {
                let Some(thread) = self.world.channels.get(&id) else { return };
                let (guild, data) = (thread.guild, text(&json::channel(thread)));
                self.hub.broadcast(name, |session| {
                    (sees(session, guild) && session.intents.guilds()).then(|| Arc::clone(&data))
                });
            }
            News::Nothing => {}
        }
    }

    /// Discord looks behind the links of a message after it was written, and then reports an update that is no edit.
    fn tell_preview(&mut self, channel: u64, id: u64) {
        let Some(message) = self.world.message(channel, id) else { return };
        if json::embeds(message) == json!([]) {
            return;
        }
        if self.faults.take(fault_site(None), &[FaultKind::PartialUpdate]).is_none() {
            return self.tell_message("MESSAGE_UPDATE", channel, id, Moment::Later);
        }
        let whole = json::partial_update(&self.world, message);
        self.tell_whole_or_emptied("MESSAGE_UPDATE", channel, id, whole);
    }

    fn tell_message(&mut self, name: &'static str, channel: u64, id: u64, moment: Moment) {
        let Some(message) = self.world.message(channel, id) else { return };
        let whole = json::gateway_message(&self.world, message, moment);
        self.tell_whole_or_emptied(name, channel, id, whole);
    }

    /// Tells of a message: whole to those with the content intent, to its author and to those whom it names.
    fn tell_whole_or_emptied(&mut self, name: &'static str, channel: u64, id: u64, whole: Value) {
        let (Some(message), Some(guild)) = (self.world.message(channel, id), self.guild_of(channel)) else {
            return;
        };
        let (whole, emptied) = (text(&whole), text(&json::without_content(whole)));
        self.hub.broadcast(name, |session| {
            let own = message.author == session.bot.id || message.mentions.contains(&session.bot.id);
            let content = own || session.intents.message_content();
            (sees(session, guild) && session.intents.guild_messages())
                .then(|| Arc::clone(if content { &whole } else { &emptied }))
        });
    }

    /// Tells of something in a channel; the channel's and the guild's id are added.
    fn tell_all(
        &mut self,
        name: &'static str,
        channel: u64,
        intended: impl Fn(Intents) -> bool,
        mut data: Value,
    ) {
        let Some(guild) = self.guild_of(channel) else { return };
        if let Value::Object(fields) = &mut data {
            fields.insert("channel_id".to_owned(), json!(channel.to_string()));
            fields.insert("guild_id".to_owned(), json!(guild.to_string()));
        }
        let data = text(&data);
        self.hub.broadcast(name, |session| {
            (sees(session, guild) && intended(session.intents)).then(|| Arc::clone(&data))
        });
    }

    fn guild_of(&self, channel: u64) -> Option<u64> {
        self.world.channels.get(&channel).map(|channel| channel.guild)
    }
}

fn sees(session: &Session, guild: u64) -> bool {
    session.bot.guild == guild && session.shard.has(guild)
}

/// JSON as a session keeps it.
pub(super) fn text(value: &Value) -> Arc<str> {
    Arc::from(value.to_string())
}
