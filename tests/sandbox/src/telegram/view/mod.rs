//! The world as one account sees it, in objects of the schema.

mod blanks;
pub(crate) mod entities;
mod hashes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use grammers_tl_types::{enums, types};

pub(crate) use blanks::Blanks;
pub(crate) use hashes::AccessHashes;

use super::salts::unix_i32;
use super::world::{Channel, Chat, Kind, Letter, Message, Role, SERVICE, World};
use crate::messages::TextEntity;

/// Unread messages are counted up to this number.
const MAX_UNREAD: usize = 10_000;

/// The world through the eyes of one account.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) world: &'a World,
    pub(crate) blanks: &'a Blanks,
    pub(crate) hashes: &'a AccessHashes,
    /// Who looks.
    pub(crate) me: i64,
}

/// Users and channels that an answer mentions and must therefore describe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentioned {
    users: BTreeSet<i64>,
    channels: BTreeSet<i64>,
}

impl Mentioned {
    /// A peer itself.
    pub(crate) fn chat(&mut self, chat: Chat) {
        match chat {
            Chat::Channel(id) => self.channels.insert(id),
            Chat::User(id) => self.users.insert(id),
        };
    }

    /// Everybody in a message of a channel.
    pub(crate) fn channel_message(&mut self, channel: &Channel, message: &Message) {
        self.channels.insert(channel.id);
        if channel.kind == Kind::Megagroup {
            self.users.insert(message.by);
        }
        self.text(&message.entities);
    }

    /// Everybody in a private message.
    pub(crate) fn letter(&mut self, owner: i64, letter: &Letter) {
        self.users.extend([owner, letter.peer]);
        self.text(&letter.message.entities);
    }

    fn text(&mut self, entities: &[TextEntity]) {
        self.users.extend(entities.iter().filter_map(|entity| entity.user.map(|user| user.id)));
    }
}

/// A peer of the schema.
pub(crate) const fn peer(chat: Chat) -> enums::Peer {
    match chat {
        Chat::Channel(channel_id) => enums::Peer::Channel(types::PeerChannel { channel_id }),
        Chat::User(user_id) => enums::Peer::User(types::PeerUser { user_id }),
    }
}

impl View<'_> {
    /// Descriptions of everybody mentioned.
    pub(crate) fn describe(&self, mentioned: &Mentioned) -> (Vec<enums::User>, Vec<enums::Chat>) {
        let users = mentioned.users.iter().filter_map(|id| self.user(*id));
        let chats = mentioned.channels.iter().filter_map(|id| self.channel(*id));
        (users.collect(), chats.collect())
    }

    /// A user.
    pub(crate) fn user(&self, id: i64) -> Option<enums::User> {
        let user = self.world.users.get(&id)?;
        let is_self = id == self.me;
        Some(enums::User::User(types::User {
            is_self,
            verified: id == SERVICE,
            support: id == SERVICE,
            id,
            access_hash: Some(self.hashes.hash(self.me, Chat::User(id))),
            first_name: Some(user.first_name.clone()),
            last_name: user.last_name.clone(),
            username: user.username.clone(),
            phone: user.phone.clone().filter(|_| is_self || id == SERVICE),
            bot: user.bot,
            // Privacy mode is off: bots see every message of their groups.
            bot_chat_history: user.bot,
            bot_info_version: user.bot.then_some(1),
            ..self.blanks.user.clone()
        }))
    }

    /// A user at length.
    pub(crate) fn user_full(&self, id: i64) -> enums::UserFull {
        enums::UserFull::Full(types::UserFull { id, ..self.blanks.user_full.clone() })
    }

    /// A channel; to those who may not read it, that it exists.
    pub(crate) fn channel(&self, id: i64) -> Option<enums::Chat> {
        let channel = self.world.channels.get(&id)?;
        let access_hash = self.hashes.hash(self.me, Chat::Channel(id));
        let (broadcast, megagroup) = (channel.kind == Kind::Broadcast, channel.kind == Kind::Megagroup);
        let title = channel.title.clone();
        if !channel.is_readable_by(self.me) {
            return Some(enums::Chat::ChannelForbidden(types::ChannelForbidden {
                broadcast,
                megagroup,
                monoforum: false,
                id,
                access_hash,
                title,
                until_date: None,
            }));
        }
        let member = channel.members.get(&self.me);
        let role = member.map(|member| member.role);
        let rights = types::ChatAdminRights {
            post_messages: broadcast,
            edit_messages: broadcast,
            delete_messages: true,
            ..self.blanks.admin.clone()
        };
        let banned = types::ChatBannedRights {
            send_messages: true,
            send_plain: true,
            until_date: i32::MAX,
            ..self.blanks.banned.clone()
        };
        let is_admin = channel.is_admin(self.me);
        Some(enums::Chat::Channel(types::Channel {
            creator: role == Some(Role::Creator),
            left: member.is_none(),
            broadcast,
            megagroup,
            noforwards: channel.noforwards,
            id,
            access_hash: Some(access_hash),
            title,
            username: channel.username.clone(),
            date: unix_i32(member.map_or(channel.at, |member| member.since)),
            admin_rights: is_admin.then_some(enums::ChatAdminRights::Rights(rights)),
            banned_rights: (role == Some(Role::Restricted))
                .then_some(enums::ChatBannedRights::Rights(banned)),
            default_banned_rights: megagroup
                .then(|| enums::ChatBannedRights::Rights(self.blanks.banned.clone())),
            participants_count: Some(count(channel.members.len())),
            ..self.blanks.channel.clone()
        }))
    }

    /// A channel at length.
    pub(crate) fn channel_full(&self, channel: &Channel) -> enums::ChatFull {
        let read = channel.members.get(&self.me).map_or(0, |member| member.read);
        enums::ChatFull::ChannelFull(types::ChannelFull {
            can_view_participants: channel.kind == Kind::Megagroup,
            id: channel.id,
            participants_count: Some(count(channel.members.len())),
            read_inbox_max_id: read,
            unread_count: unread(channel, self.me, read),
            pts: channel.log.pts(),
            ..self.blanks.channel_full.clone()
        })
    }

    /// A message of a channel.
    pub(crate) fn channel_message(&self, channel: &Channel, message: &Message) -> enums::Message {
        let broadcast = channel.kind == Kind::Broadcast;
        let peer_id = peer(Chat::Channel(channel.id));
        if message.service {
            let action = types::MessageActionChannelCreate { title: channel.title.clone() };
            return enums::Message::Service(types::MessageService {
                out: message.by == self.me,
                post: broadcast,
                id: message.id,
                peer_id,
                date: unix_i32(message.at),
                action: enums::MessageAction::ChannelCreate(action),
                ..self.blanks.service.clone()
            });
        }
        enums::Message::Message(types::Message {
            out: message.by == self.me,
            post: broadcast,
            from_id: (!broadcast).then_some(peer(Chat::User(message.by))),
            peer_id,
            noforwards: message.noforwards,
            views: broadcast.then_some(1),
            forwards: broadcast.then_some(0),
            ..self.plain(message)
        })
    }

    /// A private message of the viewer.
    pub(crate) fn letter(&self, letter: &Letter) -> enums::Message {
        enums::Message::Message(types::Message {
            out: letter.out,
            peer_id: peer(Chat::User(letter.peer)),
            noforwards: letter.message.noforwards,
            ..self.plain(&letter.message)
        })
    }

    /// What channel and private messages have in common.
    fn plain(&self, message: &Message) -> types::Message {
        let entities: Vec<_> = message.entities.iter().filter_map(entities::to_schema).collect();
        types::Message {
            silent: message.silent,
            id: message.id,
            reply_to: message.reply_to.map(|id| self.reply(id)),
            date: unix_i32(message.at),
            message: message.text.clone(),
            entities: (!entities.is_empty()).then_some(entities),
            edit_date: message.edited.map(unix_i32),
            ..self.blanks.message.clone()
        }
    }

    fn reply(&self, id: i32) -> enums::MessageReplyHeader {
        let header = types::MessageReplyHeader { reply_to_msg_id: Some(id), ..self.blanks.reply.clone() };
        enums::MessageReplyHeader::Header(header)
    }

    /// The dialog of a channel that the viewer is a member of, and its last message.
    pub(crate) fn channel_dialog(&self, channel: &Channel) -> (enums::Dialog, Option<enums::Message>) {
        let last = channel.messages.values().next_back();
        let read = channel.members.get(&self.me).map_or(0, |member| member.read);
        let dialog = types::Dialog {
            peer: peer(Chat::Channel(channel.id)),
            top_message: last.map_or(0, |message| message.id),
            read_inbox_max_id: read,
            unread_count: unread(channel, self.me, read),
            pts: Some(channel.log.pts()),
            ..self.blanks.dialog.clone()
        };
        (enums::Dialog::Dialog(dialog), last.map(|message| self.channel_message(channel, message)))
    }

    /// The dialog of a private conversation, and its last message.
    pub(crate) fn private_dialog(&self, with: i64) -> (enums::Dialog, Option<enums::Message>) {
        let mailbox = self.world.mailbox(self.me);
        let conversation = mailbox.and_then(|mailbox| mailbox.conversations.get(&with));
        let last = conversation.and_then(|conversation| conversation.ids.last().copied());
        let read = conversation.map_or(0, |conversation| conversation.read);
        let unread = conversation.map_or(0, |conversation| {
            let unread = conversation.ids.range(read.saturating_add(1)..).filter(|id| {
                mailbox.and_then(|mailbox| mailbox.letters.get(id)).is_some_and(|letter| !letter.out)
            });
            count(unread.take(MAX_UNREAD).count())
        });
        let dialog = types::Dialog {
            peer: peer(Chat::User(with)),
            top_message: last.unwrap_or(0),
            read_inbox_max_id: read,
            read_outbox_max_id: conversation.map_or(0, |conversation| conversation.read_by_peer),
            unread_count: unread,
            ..self.blanks.dialog.clone()
        };
        let message = last.and_then(|id| mailbox?.letters.get(&id)).map(|letter| self.letter(letter));
        (enums::Dialog::Dialog(dialog), message)
    }
}

/// Messages of others after the last one read.
fn unread(channel: &Channel, me: i64, read: i32) -> i32 {
    let after = channel.messages.range(read.saturating_add(1)..);
    count(after.filter(|(_, message)| message.by != me && !message.service).take(MAX_UNREAD).count())
}

/// A number of things as the schema's `int`.
pub(crate) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
