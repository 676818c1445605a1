//! The state of the Discord world: a fold of operations over what the seed made.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::snowflake::Snowflakes;
use crate::seed::Seed;

/// The nonce of a message, kept in the JSON type in which it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Nonce {
    Number(i64),
    Text(String),
}

/// A message in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) channel: u64,
    pub(super) author: u64,
    pub(super) content: String,
    pub(super) at: DateTime<Utc>,
    pub(super) edited_at: Option<DateTime<Utc>>,
    pub(super) nonce: Option<Nonce>,
    pub(super) reply_to: Option<u64>,
    /// Users whom the message pings.
    pub(super) mentions: Vec<u64>,
    pub(super) mention_everyone: bool,
    pub(super) flags: u64,
}

/// What changes in the world; one journal line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Op {
    Created(Message),
    Edited { channel: u64, id: u64, change: Change },
    Deleted { channel: u64, id: u64 },
}

/// What an edit changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) content: String,
    pub(super) mentions: Vec<u64>,
    pub(super) mention_everyone: bool,
    pub(super) flags: u64,
    pub(super) at: DateTime<Utc>,
}

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
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: u64,
    pub(super) guild: u64,
    pub(super) name: String,
    pub(super) position: u16,
    /// Whether everyone may write, bots included.
    pub(super) writable: bool,
    pub(super) messages: BTreeMap<u64, Message>,
}

#[derive(Debug)]
pub(super) struct Guild {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) owner: u64,
    pub(super) members: Vec<u64>,
    pub(super) channels: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) guilds: BTreeMap<u64, Guild>,
    pub(super) channels: BTreeMap<u64, Channel>,
    pub(super) users: HashMap<u64, User>,
    /// Bots by token.
    bots: HashMap<String, Bot>,
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
        let persons: Vec<u64> = seed.discord.persons.iter().map(|person| person.id).collect();
        let mut world = Self {
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            users: HashMap::new(),
            bots: HashMap::new(),
            ids: Snowflakes::default(),
            nonces: HashMap::new(),
            nonce_window: TimeDelta::from_std(nonce_window).unwrap_or(TimeDelta::MAX),
            history,
            persons,
        };
        for person in &seed.discord.persons {
            world.users.insert(person.id, User { id: person.id, name: person.name.clone(), bot: false });
        }
        for bot in &seed.discord.bots {
            world.users.insert(bot.id, User { id: bot.id, name: bot.name.clone(), bot: true });
            let known = Bot { id: bot.id, account: bot.account, guild: bot.guild };
            world.bots.insert(bot.token.reveal().to_owned(), known);
        }
        for guild in &seed.discord.guilds {
            let bots = seed.discord.bots.iter().filter(|bot| bot.guild == guild.id).map(|bot| bot.id);
            let members = world.persons.iter().copied().chain(bots).collect();
            let owner = world.persons.first().copied().unwrap_or_default();
            let channels = guild.channels.iter().map(|channel| channel.id).collect();
            let name = guild.name.clone();
            world.guilds.insert(guild.id, Guild { id: guild.id, name, owner, members, channels });
            for (channel, position) in guild.channels.iter().zip(0..) {
                let made = Channel {
                    id: channel.id,
                    guild: guild.id,
                    name: channel.name.clone(),
                    position,
                    writable: channel.writable,
                    messages: BTreeMap::new(),
                };
                world.channels.insert(channel.id, made);
            }
        }
        world
    }

    pub(super) fn bot_by_token(&self, token: &str) -> Option<&Bot> {
        self.bots.get(token)
    }

    /// A channel that a bot can see.
    pub(super) fn visible_channel(&self, bot: &Bot, id: u64) -> Option<&Channel> {
        self.channels.get(&id).filter(|channel| channel.guild == bot.guild)
    }

    pub(super) fn message(&self, channel: u64, id: u64) -> Option<&Message> {
        self.channels.get(&channel)?.messages.get(&id)
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
            Op::Edited { channel, id, change } => {
                let messages = self.channels.get_mut(&channel).map(|channel| &mut channel.messages);
                if let Some(message) = messages.and_then(|messages| messages.get_mut(&id)) {
                    message.content = change.content;
                    message.mentions = change.mentions;
                    message.mention_everyone = change.mention_everyone;
                    message.flags = change.flags;
                    message.edited_at = Some(change.at);
                }
            }
            Op::Deleted { channel, id } => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.messages.remove(&id);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SeedShape;

    fn message(world: &World, id: u64, nonce: Option<Nonce>, at: DateTime<Utc>) -> Message {
        Message {
            id,
            channel: *world.channels.keys().next().unwrap(),
            author: world.persons[0],
            content: "text".to_owned(),
            at,
            edited_at: None,
            nonce,
            reply_to: None,
            mentions: Vec::new(),
            mention_everyone: false,
            flags: 0,
        }
    }

    fn world() -> World {
        World::new(&Seed::new(1, SeedShape::default()).unwrap(), Duration::from_secs(180), 2_000)
    }

    #[test]
    fn a_nonce_finds_its_message_for_a_few_minutes() {
        let mut world = world();
        let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let nonce = Nonce::Text("7".to_owned());
        let first = message(&world, 5, Some(nonce.clone()), at);
        world.apply(Op::Created(first.clone()));
        let find = |author, channel, nonce, seconds| {
            world.by_nonce(author, channel, nonce, at + TimeDelta::seconds(seconds)).map(|found| found.id)
        };
        assert_eq!(find(first.author, first.channel, &nonce, 179), Some(5));
        assert_eq!(find(first.author, first.channel, &nonce, 180), None);
        assert_eq!(find(first.author, first.channel, &Nonce::Number(7), 0), None);
        assert_eq!(find(world.persons[1], first.channel, &nonce, 0), None);
        assert_eq!(find(first.author, first.channel + 1, &nonce, 0), None);
    }

    #[test]
    fn forgotten_nonces_and_old_messages_take_no_room() {
        let mut world = world();
        let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
        for number in 0..5000_i64 {
            let later = at + TimeDelta::seconds(number);
            let id = u64::try_from(number).unwrap() + 1;
            let next = message(&world, id, Some(Nonce::Number(number)), later);
            world.apply(Op::Created(next));
        }
        assert!(world.nonces.len() < 2048, "{}", world.nonces.len());
        let kept: Vec<_> = world.channels.values().next().unwrap().messages.keys().copied().collect();
        assert_eq!(kept, (3001..=5000).collect::<Vec<_>>(), "nor do the oldest messages");
    }
}
