//! What the gateway tells, as far as it matters to a reader.

use std::collections::HashSet;

use serde::Serialize;
use serenity::model::channel::GuildChannel;
use serenity::model::event::{Event, UnknownEvent};
use serenity::model::guild::Role;
use switchyard_actors::model::{ChatId, MessageId};
use tracing::warn;

use super::wire::RawMessage;

/// One event.
#[derive(Debug)]
pub(super) enum Told {
    /// A message was written.
    Written(Box<RawMessage>),
    /// A message was changed, or only shown differently: whole or in part.
    Changed(Box<RawMessage>),
    /// Messages were deleted.
    Deleted(ChatId, Vec<MessageId>),
    /// Names of channels and threads, and of roles.
    Named(Vec<(u64, String)>, Vec<(u64, String)>),
}

/// Which events a session is worth waking for: those of its source channels, and names of their guilds.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Interest {
    pub(in super::super) channels: HashSet<u64>,
    pub(in super::super) guilds: HashSet<u64>,
}

impl Interest {
    /// Whether an event is handed on.
    pub(in super::super) fn admits(&self, event: &Event) -> bool {
        let channel = |id: u64| self.channels.contains(&id);
        let guild = |id: u64| self.guilds.contains(&id);
        match event {
            Event::Ready(_) => true,
            Event::MessageCreate(new) => channel(new.message.channel_id.get()),
            Event::MessageUpdate(change) => channel(change.channel_id.get()),
            Event::MessageDelete(gone) => channel(gone.channel_id.get()),
            Event::MessageDeleteBulk(gone) => channel(gone.channel_id.get()),
            Event::GuildCreate(new) => guild(new.guild.id.get()),
            Event::ChannelCreate(new) => guild(new.channel.guild_id.get()),
            Event::ChannelUpdate(change) => guild(change.channel.guild_id.get()),
            Event::ThreadCreate(new) => guild(new.thread.guild_id.get()),
            Event::ThreadUpdate(change) => guild(change.thread.guild_id.get()),
            Event::GuildRoleCreate(new) => guild(new.role.guild_id.get()),
            Event::GuildRoleUpdate(change) => guild(change.role.guild_id.get()),
            Event::Unknown(unknown) => unread_channel(unknown).is_some_and(channel),
            _ => false,
        }
    }
}

/// Reads an event; `None` for what says nothing here.
pub(super) fn told(event: &Event) -> Option<Told> {
    match event {
        Event::MessageCreate(new) => Some(Told::Written(raw(new)?)),
        Event::MessageUpdate(change) => Some(Told::Changed(raw(change)?)),
        Event::MessageDelete(gone) => deleted(gone.channel_id.get(), [gone.message_id.get()]),
        Event::MessageDeleteBulk(gone) => deleted(gone.channel_id.get(), gone.ids.iter().map(|id| id.get())),
        Event::GuildCreate(new) => {
            let channels = new.guild.channels.values().chain(&new.guild.threads).map(channel_name);
            let roles = new.guild.roles.values().map(role_name);
            Some(Told::Named(channels.collect(), roles.collect()))
        }
        Event::ChannelCreate(new) => Some(Told::Named(vec![channel_name(&new.channel)], Vec::new())),
        Event::ChannelUpdate(new) => Some(Told::Named(vec![channel_name(&new.channel)], Vec::new())),
        Event::ThreadCreate(new) => Some(Told::Named(vec![channel_name(&new.thread)], Vec::new())),
        Event::ThreadUpdate(new) => Some(Told::Named(vec![channel_name(&new.thread)], Vec::new())),
        Event::GuildRoleCreate(new) => Some(Told::Named(Vec::new(), vec![role_name(&new.role)])),
        Event::GuildRoleUpdate(new) => Some(Told::Named(Vec::new(), vec![role_name(&new.role)])),
        // serenity hands on as unknown what it cannot read, new kinds of content among it.
        Event::Unknown(unknown) => match unknown.kind.as_str() {
            "MESSAGE_CREATE" => Some(Told::Written(raw(&unknown.value)?)),
            "MESSAGE_UPDATE" => Some(Told::Changed(raw(&unknown.value)?)),
            _ => None,
        },
        _ => None,
    }
}

fn unread_channel(unknown: &UnknownEvent) -> Option<u64> {
    unknown.value.get("channel_id")?.as_str()?.parse().ok()
}

fn raw<T: Serialize>(message: &T) -> Option<Box<RawMessage>> {
    match serde_json::to_value(message).and_then(serde_json::from_value) {
        Ok(raw) => Some(Box::new(raw)),
        Err(error) => {
            warn!(%error, "a message of a source channel cannot be read");
            None
        }
    }
}

fn deleted(channel: u64, ids: impl IntoIterator<Item = u64>) -> Option<Told> {
    let channel = ChatId::new(i64::try_from(channel).ok()?).ok()?;
    let ids = ids.into_iter().filter_map(|id| MessageId::new(i64::try_from(id).ok()?).ok());
    Some(Told::Deleted(channel, ids.collect()))
}

fn channel_name(channel: &GuildChannel) -> (u64, String) {
    (channel.id.get(), channel.name.clone())
}

fn role_name(role: &Role) -> (u64, String) {
    (role.id.get(), role.name.clone())
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
