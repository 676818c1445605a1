//! The state of the Discord world: a fold of operations over what the seed made.

mod op;
mod seeded;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::snowflake::Snowflakes;
use crate::seed::Seed;
pub(super) use op::{Change, Message, NewThread, NewWebhook, Nonce, Op, Persona, Rights, WebhookToken};

/// Somebody who writes: a person or a bot.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) bot: bool,
}

/// A bot of the customer.
#[derive(Clone, Debug)]
pub(super) struct Bot {
    pub(super) id: u64,
    pub(super) account: Uuid,
    pub(super) guild: u64,
    pub(super) rights: Rights,
}

impl Bot {
    /// Whether its role adds a permission.
    pub(super) const fn may(&self, permission: u64) -> bool {
        self.rights.permissions & permission != 0
    }
}

/// An address under which anybody who knows it may write in one channel.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) id: u64,
    pub(super) channel: u64,
    pub(super) name: String,
    pub(super) token: WebhookToken,
    /// The bot that made it; seeded ones were made by a person.
    pub(super) creator: Option<u64>,
    /// The customer's account, where it was seeded.
    pub(super) account: Option<Uuid>,
}

/// What makes a channel a thread.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) parent: u64,
    pub(super) owner: u64,
    pub(super) archived: bool,
    pub(super) locked: bool,
    /// When it was last archived or opened.
    pub(super) changed_at: DateTime<Utc>,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: u64,
    pub(super) guild: u64,
    pub(super) name: String,
    pub(super) position: u16,
    /// Whether everyone may write, bots included.
    pub(super) writable: bool,
    pub(super) thread: Option<Thread>,
    pub(super) messages: BTreeMap<u64, Message>,
}

#[derive(Debug)]
pub(super) struct Guild {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) owner: u64,
    pub(super) members: Vec<u64>,
    /// Without threads.
    pub(super) channels: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) guilds: BTreeMap<u64, Guild>,
    /// Channels and threads.
    pub(super) channels: BTreeMap<u64, Channel>,
    pub(super) users: HashMap<u64, User>,
    /// Bots by token.
    bots: HashMap<String, Bot>,
    pub(super) webhooks: BTreeMap<u64, Webhook>,
    /// Persons in the seed's order: the first one writes when nobody is named.
    pub(super) persons: Vec<u64>,
    pub(super) ids: Snowflakes,
    nonces: HashMap<NonceKey, (u64, DateTime<Utc>)>,
    nonce_window: TimeDelta,
    /// Messages kept in each channel.
    history: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NonceKey {
    author: u64,
    channel: u64,
    nonce: Nonce,
}

impl World {
    /// The seeded world. Nonces are remembered for the window given, messages up to a number in each channel.
    pub(super) fn new(seed: &Seed, nonce_window: Duration, history: usize) -> Self {
        let mut world = Self {
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            users: HashMap::new(),
            bots: HashMap::new(),
            webhooks: BTreeMap::new(),
            persons: seed.discord.persons.iter().map(|person| person.id).collect(),
            ids: Snowflakes::default(),
            nonces: HashMap::new(),
            nonce_window: TimeDelta::from_std(nonce_window).unwrap_or(TimeDelta::MAX),
            history,
        };
        world.plant(&seed.discord);
        world
    }

    pub(super) fn bot_by_token(&self, token: &str) -> Option<&Bot> {
        self.bots.get(token)
    }

    pub(super) fn bot(&self, id: u64) -> Option<&Bot> {
        self.bots.values().find(|bot| bot.id == id)
    }

    pub(super) fn bot_by_account(&self, account: Uuid) -> Option<&Bot> {
        self.bots.values().find(|bot| bot.account == account)
    }

    /// A channel that a bot can see.
    pub(super) fn visible_channel(&self, bot: &Bot, id: u64) -> Option<&Channel> {
        self.channels.get(&id).filter(|channel| channel.guild == bot.guild)
    }

    /// Whether everyone may write in a channel; in a thread as in its parent.
    pub(super) fn is_writable(&self, channel: &Channel) -> bool {
        let parent = channel.thread.as_ref().and_then(|thread| self.channels.get(&thread.parent));
        parent.unwrap_or(channel).writable
    }

    pub(super) fn message(&self, channel: u64, id: u64) -> Option<&Message> {
        self.channels.get(&channel)?.messages.get(&id)
    }

    /// Webhooks of the channels for which the answer is yes, in the order of their ids.
    pub(super) fn webhooks_where(&self, of: impl Fn(&Channel) -> bool) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values().filter(move |webhook| self.channels.get(&webhook.channel).is_some_and(&of))
    }

    /// The message that an author wrote with a nonce, while nonces of its age still count.
    pub(super) fn by_nonce(
        &self,
        author: u64,
        channel: u64,
        nonce: &Nonce,
        now: DateTime<Utc>,
    ) -> Option<&Message> {
        let key = NonceKey { author, channel, nonce: nonce.clone() };
        let (id, at) = self.nonces.get(&key)?;
        (now - *at < self.nonce_window).then(|| self.message(channel, *id)).flatten()
    }

    /// Applies an operation that was checked when it was made; one that names what is gone changes nothing.
    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Created(message) => self.create(message),
            Op::Edited { channel, id, change } => self.edit(channel, id, change),
            Op::Deleted { channel, id } => self.delete(channel, &[id]),
            Op::BulkDeleted { channel, ids } => self.delete(channel, &ids),
            Op::WebhookMade(made) => self.make_webhook(made),
            Op::WebhookGone { id, .. } => {
                self.webhooks.remove(&id);
            }
            Op::RightsSet { bot, rights } => {
                if let Some(bot) = self.bots.values_mut().find(|known| known.id == bot) {
                    bot.rights = rights;
                }
            }
            Op::WritableSet { channel, writable } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.writable = writable;
                }
            }
            Op::ThreadMade(made) => self.make_thread(made),
            Op::ThreadSet { id, archived, locked, at } => {
                let thread = self.channels.get_mut(&id).and_then(|channel| channel.thread.as_mut());
                if let Some(thread) = thread {
                    *thread = Thread { archived, locked, changed_at: at, ..thread.clone() };
                }
            }
        }
    }

    fn create(&mut self, message: Message) {
        self.ids.seen(message.id);
        if let Some(nonce) = message.nonce.clone() {
            let (window, at) = (self.nonce_window, message.at);
            if self.nonces.len() >= 1024 && self.nonces.len().is_power_of_two() {
                self.nonces.retain(|_, (_, made)| at - *made < window);
            }
            let key = NonceKey { author: message.author, channel: message.channel, nonce };
            self.nonces.insert(key, (message.id, at));
        }
        if let Some(channel) = self.channels.get_mut(&message.channel) {
            channel.messages.insert(message.id, message);
            while channel.messages.len() > self.history {
                channel.messages.pop_first();
            }
        }
    }

    fn edit(&mut self, channel: u64, id: u64, change: Change) {
        let messages = self.channels.get_mut(&channel).map(|channel| &mut channel.messages);
        if let Some(message) = messages.and_then(|messages| messages.get_mut(&id)) {
            message.content = change.content;
            message.mentions = change.mentions;
            message.mention_everyone = change.mention_everyone;
            message.flags = change.flags;
            message.edited_at = Some(change.at);
        }
    }

    fn delete(&mut self, channel: u64, ids: &[u64]) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            for id in ids {
                channel.messages.remove(id);
            }
        }
    }

    fn make_webhook(&mut self, made: NewWebhook) {
        let NewWebhook { id, channel, name, token, creator } = made;
        self.ids.seen(id);
        let webhook = Webhook { id, channel, name, token, creator: Some(creator), account: None };
        self.webhooks.insert(id, webhook);
    }

    fn make_thread(&mut self, made: NewThread) {
        let NewThread { id, parent, name, owner, at } = made;
        self.ids.seen(id);
        let Some((guild, position)) =
            self.channels.get(&parent).map(|parent| (parent.guild, parent.position))
        else {
            return;
        };
        let thread = Thread { parent, owner, archived: false, locked: false, changed_at: at };
        let messages = BTreeMap::new();
        let channel = Channel { id, guild, name, position, writable: true, thread: Some(thread), messages };
        self.channels.insert(id, channel);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
