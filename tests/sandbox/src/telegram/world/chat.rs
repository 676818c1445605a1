//! Channels and mailboxes: messages in order, with the log of what happened to them.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use crate::messages::TextEntity;

use super::log::UpdateLog;
use super::op::{Kind, NewChannel, Role};

/// A message of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: i32,
    /// Who wrote it; in broadcast channels not shown.
    pub(crate) by: i64,
    /// Unix seconds.
    pub(crate) at: i64,
    pub(crate) text: String,
    pub(crate) entities: Vec<TextEntity>,
    /// Unix seconds of the last change.
    pub(crate) edited: Option<i64>,
    pub(crate) reply_to: Option<i32>,
    pub(crate) silent: bool,
    pub(crate) noforwards: bool,
    /// The writing client's own id for the send.
    pub(crate) random_id: Option<i64>,
    /// Whether it is the service message that opens a channel.
    pub(crate) service: bool,
}

/// One side's copy of a private message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) message: Message,
    /// The other side of the conversation.
    pub(crate) peer: i64,
    /// Whether the owner of the mailbox wrote it.
    pub(crate) out: bool,
    /// The id of the other side's copy, if there is one.
    pub(crate) twin: Option<i32>,
}

/// A channel or supergroup.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) username: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) noforwards: bool,
    pub(crate) at: i64,
    pub(crate) members: BTreeMap<i64, Member>,
    pub(crate) messages: BTreeMap<i32, Message>,
    pub(crate) log: UpdateLog,
    last_id: i32,
}

/// A member's place in a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) role: Role,
    /// Unix seconds of joining.
    pub(crate) since: i64,
    /// The last message read.
    pub(crate) read: i32,
}

/// All private messages of one user, over all conversations.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) letters: BTreeMap<i32, Letter>,
    /// Ids by conversation.
    pub(crate) conversations: BTreeMap<i64, Conversation>,
    pub(crate) log: UpdateLog,
    pub(crate) sent: RecentIds,
    last_id: i32,
}

/// One conversation of a mailbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conversation {
    pub(crate) ids: BTreeSet<i32>,
    /// The last message read by the owner.
    pub(crate) read: i32,
    /// The last of the owner's messages that the other side has read.
    pub(crate) read_by_peer: i32,
}

/// The latest ids with which clients sent, bounded.
#[derive(Debug, Clone)]
pub(crate) struct RecentIds {
    known: HashSet<i64>,
    order: VecDeque<i64>,
    capacity: usize,
}

impl RecentIds {
    const fn with_hasher(known: HashSet<i64>, capacity: usize) -> Self {
        Self { known, order: VecDeque::new(), capacity }
    }

    /// Whether an id was used lately.
    pub(crate) fn contains(&self, id: i64) -> bool {
        self.known.contains(&id)
    }

    /// Remembers an id, forgetting the oldest beyond the bound.
    pub(crate) fn insert(&mut self, id: i64) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > self.capacity {
            if let Some(old) = self.order.pop_front() {
                self.known.remove(&old);
            }
        }
    }
}

impl Channel {
    /// A channel with its opening service message.
    pub(crate) fn new(new: NewChannel, log: usize) -> Self {
        let mut channel = Self {
            id: new.id,
            title: new.title,
            username: new.username,
            kind: new.kind,
            noforwards: new.noforwards,
            at: new.at,
            members: BTreeMap::new(),
            messages: BTreeMap::new(),
            log: UpdateLog::new(log),
            last_id: 0,
        };
        let member = Member { role: Role::Creator, since: new.at, read: 1 };
        channel.members.insert(new.creator, member);
        let id = channel.next_id();
        let opening = Message {
            id,
            by: new.creator,
            at: new.at,
            text: String::new(),
            entities: Vec::new(),
            edited: None,
            reply_to: None,
            silent: false,
            noforwards: false,
            random_id: None,
            service: true,
        };
        channel.messages.insert(id, opening);
        channel
    }

    /// The next message id.
    pub(crate) const fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    /// Whether a user may read here at all.
    pub(crate) fn is_readable_by(&self, user: i64) -> bool {
        self.members.contains_key(&user) || self.username.is_some()
    }

    /// Whether a user may write here.
    pub(crate) fn is_writable_by(&self, user: i64) -> bool {
        self.members.get(&user).is_some_and(|member| match (self.kind, member.role) {
            (_, Role::Creator | Role::Admin) => true,
            (Kind::Megagroup, Role::Member) => true,
            (Kind::Broadcast, Role::Member) | (_, Role::Restricted) => false,
        })
    }

    /// Whether a user is an administrator.
    pub(crate) fn is_admin(&self, user: i64) -> bool {
        self.members.get(&user).is_some_and(|member| matches!(member.role, Role::Creator | Role::Admin))
    }
}

impl Mailbox {
    /// An empty mailbox.
    pub(crate) fn new(log: usize, sent: usize) -> Self {
        Self {
            letters: BTreeMap::new(),
            conversations: BTreeMap::new(),
            log: UpdateLog::new(log),
            sent: RecentIds::with_hasher(HashSet::new(), sent),
            last_id: 0,
        }
    }

    /// The next message id, over all conversations.
    pub(crate) const fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    /// Puts a letter in; beyond `capacity` letters the oldest goes.
    pub(crate) fn insert(&mut self, letter: Letter, capacity: usize) {
        let id = letter.message.id;
        self.conversations.entry(letter.peer).or_default().ids.insert(id);
        self.letters.insert(id, letter);
        while self.letters.len() > capacity {
            if let Some((id, letter)) = self.letters.pop_first() {
                self.forget(letter.peer, id);
            }
        }
    }

    /// Takes a letter out.
    pub(crate) fn remove(&mut self, id: i32) -> Option<Letter> {
        let letter = self.letters.remove(&id)?;
        self.forget(letter.peer, id);
        Some(letter)
    }

    fn forget(&mut self, peer: i64, id: i32) {
        if let Some(conversation) = self.conversations.get_mut(&peer) {
            conversation.ids.remove(&id);
        }
    }
}
