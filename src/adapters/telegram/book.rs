//! What a connection knows of people and chats: names, and whether a chat forbids forwarding.

use std::collections::{BTreeMap, HashMap};

use grammers_session::types::{ChannelKind, PeerAuth, PeerId, PeerInfo, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::{ChatId, Place, SenderKind, ThreadId};

/// The user from whom Telegram's own notices and sign-in codes come.
pub(crate) const SERVICE_USER: i64 = 777_000;

/// A person or chat under which a message may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As readers see it.
    pub(crate) text: String,
    /// What kind of author it is.
    pub(crate) kind: SenderKind,
}

/// A chat that pairs read.
#[derive(Clone, Debug)]
pub(crate) struct SourceChat {
    /// The threads that are read; `None` in the list is the whole chat.
    threads: Vec<Option<ThreadId>>,
    /// Whether it forbids forwarding and saving; not known counts as yes.
    protected: Option<bool>,
}

/// Names and source chats of one account.
#[derive(Debug)]
pub(crate) struct Book {
    names: HashMap<PeerId, Name>,
    names_max: usize,
    sources: BTreeMap<ChatId, SourceChat>,
    bot: bool,
}

impl Book {
    /// A book of these source chats, in which nobody has a name yet.
    pub(crate) fn new(sources: &[Place], names_max: usize) -> Self {
        let mut chats: BTreeMap<ChatId, SourceChat> = BTreeMap::new();
        for place in sources {
            let fresh = || SourceChat { threads: Vec::new(), protected: None };
            chats.entry(place.chat).or_insert_with(fresh).threads.push(place.thread);
        }
        Self { names: HashMap::new(), names_max, sources: chats, bot: false }
    }

    /// The same for a bot. Nobody but this system writes under a bot's name.
    pub(crate) fn of_bot(sources: &[Place], names_max: usize) -> Self {
        Self { bot: true, ..Self::new(sources, names_max) }
    }

    /// Whether the account is a bot.
    pub(crate) const fn is_bot(&self) -> bool {
        self.bot
    }

    /// The source chats.
    pub(crate) fn sources(&self) -> impl Iterator<Item = ChatId> {
        self.sources.keys().copied()
    }

    /// Whether pairs read this chat.
    pub(crate) fn is_source(&self, chat: ChatId) -> bool {
        self.sources.contains_key(&chat)
    }

    /// Whether pairs read what stands there.
    pub(crate) fn reads(&self, place: Place) -> bool {
        let Some(source) = self.sources.get(&place.chat) else { return false };
        source.threads.iter().any(|thread| thread.is_none() || *thread == place.thread)
    }

    /// Whether the chat forbids forwarding; so does one of which that is not known.
    pub(crate) fn is_protected(&self, chat: ChatId) -> bool {
        self.sources.get(&chat).and_then(|source| source.protected).unwrap_or(true)
    }

    /// Notes whether a source chat forbids forwarding.
    pub(crate) fn set_protected(&mut self, chat: ChatId, protected: bool) {
        if let Some(source) = self.sources.get_mut(&chat) {
            source.protected = Some(protected);
        }
    }

    /// The name of a person or chat, if an answer of this connection told it.
    pub(crate) fn name(&self, peer: PeerId) -> Option<&Name> {
        self.names.get(&peer)
    }

    /// Learns from the people and chats that come with an answer.
    pub(crate) fn learn(&mut self, users: &[tl::enums::User], chats: &[tl::enums::Chat]) {
        if self.names.len() > self.names_max {
            let sources = &self.sources;
            self.names.retain(|peer, _| chat_id(*peer).is_some_and(|chat| sources.contains_key(&chat)));
        }
        for user in users {
            if let tl::enums::User::User(user) = user
                && let Some(peer) = PeerId::user(user.id)
            {
                self.names.insert(peer, user_name(user));
            }
        }
        for chat in chats {
            let Some((peer, title, protected)) = chat_facts(chat) else { continue };
            self.names.insert(peer, Name { text: title.to_owned(), kind: SenderKind::Channel });
            if let (Some(protected), Some(id)) = (protected, chat_id(peer)) {
                self.set_protected(id, protected);
            }
        }
    }
}

/// Title of a chat, and whether it forbids forwarding where that is told.
fn chat_facts(chat: &tl::enums::Chat) -> Option<(PeerId, &str, Option<bool>)> {
    use tl::enums::Chat;
    Some(match chat {
        Chat::Chat(chat) => (PeerId::chat(chat.id)?, &chat.title, Some(chat.noforwards)),
        Chat::Forbidden(chat) => (PeerId::chat(chat.id)?, &chat.title, None),
        Chat::Channel(channel) => (PeerId::channel(channel.id)?, &channel.title, Some(channel.noforwards)),
        Chat::ChannelForbidden(channel) => (PeerId::channel(channel.id)?, &channel.title, None),
        Chat::Empty(_) | Chat::Community(_) | Chat::CommunityForbidden(_) => return None,
    })
}

/// The name of a user as readers see it.
pub(crate) fn user_name(user: &tl::types::User) -> Name {
    let parts = [user.first_name.as_deref(), user.last_name.as_deref()];
    let mut text = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text = user.username.clone().unwrap_or_else(|| format!("User {}", user.id));
    }
    let kind = if user.id == SERVICE_USER {
        SenderKind::Service
    } else if user.bot {
        SenderKind::Bot
    } else {
        SenderKind::Person
    };
    Name { text, kind }
}

/// Peers with which the account may speak, from what comes with an answer. `min` objects carry hashes that are good
/// for little (core.telegram.org/api/min) and are left out.
pub(crate) fn peers(users: &[tl::enums::User], chats: &[tl::enums::Chat]) -> Vec<PeerInfo> {
    let users = users.iter().filter_map(|user| match user {
        tl::enums::User::User(user) if !user.min => Some(PeerInfo::User {
            id: PeerId::user(user.id)?.bare_id()?,
            auth: user.access_hash.map(PeerAuth::from_hash),
            bot: Some(user.bot),
            is_self: user.is_self.then_some(true),
        }),
        _ => None,
    });
    let chats = chats.iter().filter_map(|chat| match chat {
        tl::enums::Chat::Chat(chat) => Some(PeerInfo::Chat { id: PeerId::chat(chat.id)?.bare_id()? }),
        tl::enums::Chat::Channel(channel) if !channel.min => Some(PeerInfo::Channel {
            id: PeerId::channel(channel.id)?.bare_id()?,
            auth: channel.access_hash.map(PeerAuth::from_hash),
            kind: channel_kind(channel),
        }),
        _ => None,
    });
    users.chain(chats).collect()
}

const fn channel_kind(channel: &tl::types::Channel) -> Option<ChannelKind> {
    if channel.gigagroup {
        Some(ChannelKind::Gigagroup)
    } else if channel.megagroup {
        Some(ChannelKind::Megagroup)
    } else if channel.broadcast {
        Some(ChannelKind::Broadcast)
    } else {
        None
    }
}

/// The chat in the Bot API's form (core.telegram.org/api/bots/ids); `None` for ids outside the documented ranges.
pub(crate) fn peer_id(peer: &tl::enums::Peer) -> Option<PeerId> {
    match peer {
        tl::enums::Peer::User(user) => PeerId::user(user.user_id),
        tl::enums::Peer::Chat(chat) => PeerId::chat(chat.chat_id),
        tl::enums::Peer::Channel(channel) => PeerId::channel(channel.channel_id),
    }
}

/// The model's id of a chat.
pub(crate) fn chat_id(peer: PeerId) -> Option<ChatId> {
    ChatId::new(peer.bot_api_dialog_id()?).ok()
}

/// The peer behind the model's id of a chat.
pub(crate) fn peer_of(chat: ChatId) -> Option<PeerId> {
    PeerId::from_bot_api_dialog_id(chat.get())
}

/// The bare id of a channel or supergroup; `None` for other chats.
pub(crate) fn channel_of(chat: ChatId) -> Option<i64> {
    let peer = peer_of(chat)?;
    if peer.kind() == PeerKind::Channel { peer.bare_id() } else { None }
}
