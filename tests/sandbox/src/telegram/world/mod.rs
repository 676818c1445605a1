//! The world of one data centre: users, channels, private conversations and the keys of clients, as a fold over
//! [`Op`]s. Applying the same operations in the same order always gives the same ids and pts.

mod chat;
mod keys;
mod log;
mod op;
mod seeded;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

pub(crate) use chat::{Channel, Letter, Mailbox, Message};
pub(crate) use keys::{Keys, Standing};
pub(crate) use log::{Entry, Happening};
pub(crate) use op::{Chat, Delete, Edit, Kind, NewChannel, Op, Post, Role, User};
pub(crate) use seeded::{SERVICE, operations};

use chat::Member;

/// How much the world remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Entries in the log of each event sequence.
    pub(crate) log: usize,
    /// Messages in each channel and each mailbox.
    pub(crate) history: usize,
    /// Ids of sends per user, against repeats.
    pub(crate) random_ids: usize,
}

/// A step of one event sequence, to be pushed to those who follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something happened in a channel.
    Channel(i64, Entry),
    /// Something happened in a user's private messages.
    Mailbox(i64, Entry),
}

/// The world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) users: BTreeMap<i64, User>,
    pub(crate) channels: BTreeMap<i64, Channel>,
    pub(crate) keys: Keys,
    mailboxes: BTreeMap<i64, Mailbox>,
    usernames: HashMap<String, Chat>,
    memory: Memory,
}

impl World {
    /// A world with nobody in it.
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            keys: Keys::default(),
            mailboxes: BTreeMap::new(),
            usernames: HashMap::new(),
            memory,
        }
    }

    /// Lets something happen and tells which event sequences moved. What cannot happen (a message in a channel that
    /// does not exist, say) changes nothing: callers check before, and a journal holds only what could happen.
    pub(crate) fn apply(&mut self, op: Op) -> Vec<Change> {
        match op {
            Op::User(user) => self.put_user(user),
            Op::Channel(new) => self.put_channel(new),
            Op::Member { channel, user, role, at } => self.set_member(channel, user, role, at),
            Op::Key { key } => self.keys.register(&key),
            Op::Layer { key, layer } => self.keys.set_layer(key, layer),
            Op::SignIn { key, user } => self.keys.sign_in(key, user),
            Op::SignOut { key } => self.keys.sign_out(key),
            Op::Revoke { key } => self.keys.revoke(key),
            Op::Forget { key } => self.keys.forget(key),
            Op::Post(post) => return self.post(post),
            Op::Edit(edit) => return self.edit(edit),
            Op::Delete(delete) => return self.delete(delete),
            Op::Read { user, chat, max_id } => self.read(user, chat, max_id),
        }
        Vec::new()
    }

    /// A user's private messages, if there were any.
    pub(crate) fn mailbox(&self, user: i64) -> Option<&Mailbox> {
        self.mailboxes.get(&user)
    }

    /// Who or what has a public name; names are compared without regard to case.
    pub(crate) fn resolve(&self, username: &str) -> Option<Chat> {
        self.usernames.get(&username.to_lowercase()).copied()
    }

    /// The user with a telephone number (digits only).
    pub(crate) fn user_by_phone(&self, phone: &str) -> Option<&User> {
        self.users.values().find(|user| user.phone.as_deref() == Some(phone))
    }

    fn put_user(&mut self, user: User) {
        if let Some(name) = &user.username {
            self.usernames.insert(name.to_lowercase(), Chat::User(user.id));
        }
        self.users.insert(user.id, user);
    }

    fn put_channel(&mut self, new: NewChannel) {
        if let Some(name) = &new.username {
            self.usernames.insert(name.to_lowercase(), Chat::Channel(new.id));
        }
        self.channels.entry(new.id).or_insert_with(|| Channel::new(new, self.memory.log));
    }

    fn set_member(&mut self, channel: i64, user: i64, role: Option<Role>, at: i64) {
        let Some(channel) = self.channels.get_mut(&channel) else { return };
        match role {
            None => {
                channel.members.remove(&user);
            }
            Some(role) => {
                channel.members.entry(user).or_insert(Member { role, since: at, read: 0 }).role = role;
            }
        }
    }

    fn mailbox_mut(&mut self, user: i64) -> &mut Mailbox {
        let Memory { log, random_ids, .. } = self.memory;
        self.mailboxes.entry(user).or_insert_with(|| Mailbox::new(log, random_ids))
    }

    fn post(&mut self, post: Post) -> Vec<Change> {
        if let Some(random_id) = post.random_id {
            self.mailbox_mut(post.by).sent.insert(random_id);
        }
        match post.chat {
            Chat::Channel(channel) => self.post_in_channel(channel, post),
            Chat::User(peer) => self.post_to_user(peer, post),
        }
    }

    fn post_in_channel(&mut self, channel: i64, post: Post) -> Vec<Change> {
        let history = self.memory.history;
        let Some(channel) = self.channels.get_mut(&channel) else { return Vec::new() };
        let id = channel.next_id();
        channel.messages.insert(id, message(id, post.reply_to, &post));
        while channel.messages.len() > history {
            channel.messages.pop_first();
        }
        vec![Change::Channel(channel.id, channel.log.push(Happening::New(id)))]
    }

    fn post_to_user(&mut self, peer: i64, post: Post) -> Vec<Change> {
        let history = self.memory.history;
        let by = post.by;
        let writer = self.mailbox_mut(by);
        let id = writer.next_id();
        let answered = post.reply_to.and_then(|id| writer.letters.get(&id));
        let twin_reply = answered.and_then(|letter| letter.twin);
        let letter = message(id, post.reply_to, &post);
        if by == peer {
            // A note to oneself has one copy.
            writer.insert(Letter { message: letter, peer, out: true, twin: None }, history);
            return vec![Change::Mailbox(by, writer.log.push(Happening::New(id)))];
        }
        let reader = self.mailbox_mut(peer);
        let twin = reader.next_id();
        let copy = Message { random_id: None, ..message(twin, twin_reply, &post) };
        reader.insert(Letter { message: copy, peer: by, out: false, twin: Some(id) }, history);
        let received = Change::Mailbox(peer, reader.log.push(Happening::New(twin)));
        let writer = self.mailbox_mut(by);
        writer.insert(Letter { message: letter, peer, out: true, twin: Some(twin) }, history);
        vec![Change::Mailbox(by, writer.log.push(Happening::New(id))), received]
    }

    fn edit(&mut self, edit: Edit) -> Vec<Change> {
        if let Chat::Channel(channel) = edit.chat {
            let Some(channel) = self.channels.get_mut(&channel) else { return Vec::new() };
            let Some(message) = channel.messages.get_mut(&edit.id) else { return Vec::new() };
            change(message, &edit);
            return vec![Change::Channel(channel.id, channel.log.push(Happening::Edit(edit.id)))];
        }
        let Some((peer, twin)) =
            self.mailbox_mut(edit.by).letters.get(&edit.id).map(|letter| (letter.peer, letter.twin))
        else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        for (owner, id) in std::iter::once((edit.by, edit.id)).chain(twin.map(|twin| (peer, twin))) {
            let mailbox = self.mailbox_mut(owner);
            if let Some(letter) = mailbox.letters.get_mut(&id) {
                change(&mut letter.message, &edit);
                changes.push(Change::Mailbox(owner, mailbox.log.push(Happening::Edit(id))));
            }
        }
        changes
    }

    fn delete(&mut self, delete: Delete) -> Vec<Change> {
        if let Some(channel) = delete.channel {
            let Some(channel) = self.channels.get_mut(&channel) else { return Vec::new() };
            let gone: Vec<i32> =
                delete.ids.into_iter().filter(|id| channel.messages.remove(id).is_some()).collect();
            if gone.is_empty() {
                return Vec::new();
            }
            return vec![Change::Channel(channel.id, channel.log.push(Happening::Delete(gone)))];
        }
        let mut gone: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
        for id in delete.ids {
            let Some(letter) = self.mailbox_mut(delete.by).remove(id) else { continue };
            gone.entry(delete.by).or_default().push(id);
            if let Some(twin) = letter.twin.filter(|_| delete.revoke)
                && self.mailbox_mut(letter.peer).remove(twin).is_some()
            {
                gone.entry(letter.peer).or_default().push(twin);
            }
        }
        gone.into_iter()
            .map(|(owner, ids)| {
                Change::Mailbox(owner, self.mailbox_mut(owner).log.push(Happening::Delete(ids)))
            })
            .collect()
    }

    fn read(&mut self, user: i64, chat: Chat, max_id: i32) {
        match chat {
            Chat::Channel(channel) => {
                let member =
                    self.channels.get_mut(&channel).and_then(|channel| channel.members.get_mut(&user));
                if let Some(member) = member {
                    member.read = member.read.max(max_id);
                }
            }
            Chat::User(peer) => {
                let Some(conversation) = self.mailbox_mut(user).conversations.get_mut(&peer) else { return };
                conversation.read = conversation.read.max(max_id);
                let last = conversation.ids.range(..=max_id).next_back().copied();
                let twin = last
                    .and_then(|id| self.mailbox(user)?.letters.get(&id))
                    .and_then(|letter| letter.twin.filter(|_| !letter.out));
                if let Some((twin, theirs)) = twin.zip(self.mailbox_mut(peer).conversations.get_mut(&user)) {
                    theirs.read_by_peer = theirs.read_by_peer.max(twin);
                }
            }
        }
    }
}

fn message(id: i32, reply_to: Option<i32>, post: &Post) -> Message {
    Message {
        id,
        by: post.by,
        at: post.at,
        text: post.text.clone(),
        entities: post.entities.clone(),
        edited: None,
        reply_to,
        silent: post.silent,
        noforwards: post.noforwards,
        random_id: post.random_id,
        service: false,
    }
}

fn change(message: &mut Message, edit: &Edit) {
    message.text.clone_from(&edit.text);
    message.entities.clone_from(&edit.entities);
    message.edited = Some(edit.at);
}
