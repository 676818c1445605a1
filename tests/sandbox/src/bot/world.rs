//! The world of the Bot API: one bot, the chats that know it, their messages, and the updates that wait for it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::messages::TextEntity;

/// The first update's id: any large number, as core.telegram.org/bots/api#update says.
const FIRST_UPDATE: i64 = 100_000_001;

/// What kind of chat it is (core.telegram.org/bots/api#chat).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// With one person.
    Private,
    /// A basic group.
    Group,
    /// A supergroup.
    Supergroup,
    /// A channel.
    Channel,
}

impl ChatKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }
}

/// What the bot is in a chat (core.telegram.org/bots/api#chatmember).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BotRole {
    /// It may write in channels and read everything.
    Administrator,
    /// It is there.
    Member,
    /// It was there, or never was.
    Left,
    /// It was removed; in a private chat: blocked.
    Kicked,
}

impl BotRole {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Member => "member",
            Self::Left => "left",
            Self::Kicked => "kicked",
        }
    }
}

/// A message in a chat of the bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) id: i64,
    /// A person or the bot; none: the channel itself.
    pub(super) from: Option<i64>,
    pub(super) at: DateTime<Utc>,
    pub(super) edited_at: Option<DateTime<Utc>>,
    pub(super) text: String,
    pub(super) entities: Vec<TextEntity>,
    pub(super) reply_to: Option<i64>,
    /// The keyboard below it, as it was given.
    pub(super) markup: Option<Value>,
    pub(super) document: Option<Document>,
}

/// A file that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) size: usize,
    pub(super) id: String,
}

/// A chat that knows the bot, or that the bot may know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    pub(super) kind: ChatKind,
    pub(super) title: String,
    pub(super) username: Option<String>,
    pub(super) role: BotRole,
    /// The supergroup that this group became.
    pub(super) migrated_to: Option<i64>,
    /// People who administer it.
    pub(super) admins: BTreeSet<i64>,
    #[serde(default)]
    pub(super) letters: BTreeMap<i64, Letter>,
    #[serde(default)]
    pub(super) last: i64,
}

/// What changes in the world: one line of the journal each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Op {
    /// A chat is there, or is otherwise than before; its letters stay.
    ChatSet(Box<Chat>),
    /// So many private chats with people who started the bot, without an update.
    Started {
        first: i64,
        count: i64,
    },
    RoleSet {
        chat: i64,
        role: BotRole,
    },
    Migrated {
        chat: i64,
        to: i64,
    },
    Written {
        chat: i64,
        letter: Letter,
    },
    Edited {
        chat: i64,
        letter: Letter,
    },
    Deleted {
        chat: i64,
        ids: Vec<i64>,
    },
    /// An update waits for the bot.
    Updated {
        kind: String,
        body: Value,
    },
    /// Updates below were confirmed.
    Confirmed {
        below: i64,
    },
    /// Which kinds of updates the bot wants; none: the usual ones.
    Allowed(Option<BTreeSet<String>>),
    /// Where updates are to be sent; empty: nowhere.
    Webhook(String),
}

/// An update that waits.
#[derive(Clone, Debug)]
pub(super) struct Update {
    pub(super) kind: String,
    pub(super) body: Value,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) chats: BTreeMap<i64, Chat>,
    pub(super) updates: BTreeMap<i64, Update>,
    pub(super) allowed: Option<BTreeSet<String>>,
    pub(super) webhook: String,
    next_update: i64,
    /// Messages kept in each chat.
    history: usize,
    /// Updates kept.
    updates_max: usize,
}

impl World {
    pub(super) fn new(history: usize, updates_max: usize) -> Self {
        Self {
            chats: BTreeMap::new(),
            updates: BTreeMap::new(),
            allowed: None,
            webhook: String::new(),
            next_update: FIRST_UPDATE,
            history,
            updates_max,
        }
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::ChatSet(chat) => self.set_chat(*chat),
            Op::Started { first, count } => {
                for id in first..first.saturating_add(count) {
                    self.chats.entry(id).or_insert_with(|| private(id));
                }
            }
            Op::RoleSet { chat, role } => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.role = role;
                }
            }
            Op::Migrated { chat, to } => {
                let Some(old) = self.chats.get_mut(&chat) else { return };
                old.migrated_to = Some(to);
                let (kind, letters) = (ChatKind::Supergroup, BTreeMap::new());
                let new = Chat { id: to, kind, migrated_to: None, letters, last: 0, ..old.clone() };
                self.chats.insert(to, new);
            }
            Op::Written { chat, letter } => {
                let Some(chat) = self.chats.get_mut(&chat) else { return };
                chat.last = chat.last.max(letter.id);
                chat.letters.insert(letter.id, letter);
                while chat.letters.len() > self.history {
                    chat.letters.pop_first();
                }
            }
            Op::Edited { chat, letter } => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.letters.insert(letter.id, letter);
                }
            }
            Op::Deleted { chat, ids } => {
                if let Some(chat) = self.chats.get_mut(&chat) {
                    chat.letters.retain(|id, _| !ids.contains(id));
                }
            }
            Op::Updated { kind, body } => {
                self.updates.insert(self.next_update, Update { kind, body });
                self.next_update += 1;
                while self.updates.len() > self.updates_max {
                    self.updates.pop_first();
                }
            }
            Op::Confirmed { below } => self.updates = self.updates.split_off(&below),
            Op::Allowed(kinds) => self.allowed = kinds,
            Op::Webhook(url) => self.webhook = url,
        }
    }

    fn set_chat(&mut self, chat: Chat) {
        match self.chats.get_mut(&chat.id) {
            Some(known) => {
                *known = Chat { letters: std::mem::take(&mut known.letters), last: known.last, ..chat };
            }
            None => {
                self.chats.insert(chat.id, chat);
            }
        }
    }

    /// A chat by its id or its `@name`.
    pub(super) fn find(&self, name: &str) -> Option<&Chat> {
        match name.strip_prefix('@') {
            Some(name) => self.chats.values().find(|chat| chat.username.as_deref() == Some(name)),
            None => self.chats.get(&name.parse().ok()?),
        }
    }

    /// Whether the bot asked for this kind of update; some are told only to those who name them.
    pub(super) fn wants(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(kinds) => kinds.contains(kind),
            None => !matches!(kind, "chat_member" | "message_reaction" | "message_reaction_count"),
        }
    }
}

/// The chat with a person who wrote to the bot.
pub(super) fn private(id: i64) -> Chat {
    Chat {
        id,
        kind: ChatKind::Private,
        title: format!("Person {id}"),
        username: None,
        role: BotRole::Member,
        migrated_to: None,
        admins: BTreeSet::new(),
        letters: BTreeMap::new(),
        last: 0,
    }
}
