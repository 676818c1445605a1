//! Which chats a Telegram account knows: a user's dialogs, and the chats that a bot has met in its updates.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use grammers_session::types::PeerId;
use grammers_tl_types as tl;
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{ChatDirectory, ChatKind, ConnectionError, KnownChat};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::TelegramConfig;

use super::book::{SERVICE_USER, chat_id, peer_id, user_name};
use super::link::{CallError, Link};
use super::resolve::{self, Described};

/// The list of one connection's chats, asked for at most once in a while.
pub(crate) struct TelegramChats {
    /// A connection that ended is not kept for a list.
    link: Weak<Link>,
    config: TelegramConfig,
    bot: bool,
    kept: Mutex<Option<(Instant, Arc<Vec<KnownChat>>)>>,
}

impl TelegramChats {
    pub(crate) fn new(link: &Arc<Link>, config: &TelegramConfig, bot: bool) -> Self {
        Self { link: Arc::downgrade(link), config: config.clone(), bot, kept: Mutex::default() }
    }

    fn age_max(&self) -> Duration {
        self.config.chats_age_max
    }
}

#[async_trait]
impl ChatDirectory for TelegramChats {
    async fn chats(&self) -> Result<Arc<Vec<KnownChat>>, ConnectionError> {
        // One question at a time: whoever comes second gets the first one's answer.
        let mut kept = self.kept.lock().await;
        if let Some((at, chats)) = kept.as_ref()
            && at.elapsed() < self.age_max()
        {
            return Ok(Arc::clone(chats));
        }
        let gone = || ConnectionError::Unreachable("the connection was closed".to_owned());
        let link = self.link.upgrade().ok_or_else(gone)?;
        let chats =
            if self.bot { met(&link, &self.config).await } else { dialogs(&link, &self.config).await };
        let chats = Arc::new(chats?);
        *kept = Some((Instant::now(), Arc::clone(&chats)));
        Ok(chats)
    }
}

/// A user's conversations, latest first.
async fn dialogs(link: &Link, config: &TelegramConfig) -> Result<Vec<KnownChat>, CallError> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    resolve::each_page(link, config, &mut |dialogs, described| {
        let described = by_peer(described, false);
        for dialog in dialogs {
            let tl::enums::Dialog::Dialog(dialog) = dialog else { continue };
            let Some(peer) = peer_id(&dialog.peer) else { continue };
            if let Some(chat) = described.get(&peer)
                && seen.insert(chat.chat)
            {
                found.push(chat.clone());
            }
        }
        true
    })
    .await?;
    Ok(found)
}

/// What a bot has met, in the order of names.
async fn met(link: &Link, config: &TelegramConfig) -> Result<Vec<KnownChat>, CallError> {
    let own = |peer: &grammers_session::types::PeerInfo| {
        matches!(peer, grammers_session::types::PeerInfo::User { is_self: Some(true), .. })
    };
    let peers = link.session().peers();
    let most = usize::try_from(config.dialog_pages_max).unwrap_or(usize::MAX).saturating_mul(100);
    let wanted = peers.iter().filter(|peer| !own(peer)).filter_map(|peer| chat_id(peer.id())).take(most);
    let wanted: BTreeSet<ChatId> = wanted.collect();
    let mut found: HashMap<PeerId, KnownChat> = HashMap::new();
    let mut learn = |described: &Described| found.extend(by_peer(described, true));
    resolve::find(link, config, true, wanted, &mut learn).await?;
    let mut found: Vec<KnownChat> = found.into_values().collect();
    found.sort_by(|a, b| (&a.title, a.chat).cmp(&(&b.title, b.chat)));
    Ok(found)
}

fn by_peer((users, chats): &Described, bot: bool) -> HashMap<PeerId, KnownChat> {
    let users = users.iter().filter_map(|user| match user {
        tl::enums::User::User(user) => Some((PeerId::user(user.id)?, person(user)?)),
        tl::enums::User::Empty(_) => None,
    });
    let chats = chats.iter().filter_map(|chat| group(chat, bot));
    users.chain(chats).collect()
}

/// A private chat. Of the service's own nothing is ever forwarded, so it is no choice.
fn person(user: &tl::types::User) -> Option<KnownChat> {
    if user.id == SERVICE_USER {
        return None;
    }
    Some(KnownChat {
        chat: chat_id(PeerId::user(user.id)?)?,
        title: user_name(user).text,
        group: None,
        kind: ChatKind::Private,
        can_read: true,
        can_write: !user.deleted,
    })
}

fn group(chat: &tl::enums::Chat, bot: bool) -> Option<(PeerId, KnownChat)> {
    use tl::enums::Chat;
    let (peer, title, kind, can_read, can_write) = match chat {
        Chat::Chat(chat) => {
            let inside = !chat.left && !chat.deactivated;
            let bound = bans_writing(chat.default_banned_rights.as_ref()) && !chat.creator;
            let may = inside && (!bound || chat.admin_rights.is_some());
            (PeerId::chat(chat.id)?, &chat.title, ChatKind::Group, inside, may)
        }
        Chat::Channel(channel) => {
            let kind = if channel.broadcast { ChatKind::Channel } else { ChatKind::Group };
            let inside = !channel.left;
            // Public channels can be read by users who are no members.
            let reads = inside || (!bot && channel.username.is_some());
            (PeerId::channel(channel.id)?, &channel.title, kind, reads, inside && may_post(channel))
        }
        Chat::Forbidden(chat) => (PeerId::chat(chat.id)?, &chat.title, ChatKind::Group, false, false),
        Chat::ChannelForbidden(channel) => {
            let kind = if channel.broadcast { ChatKind::Channel } else { ChatKind::Group };
            (PeerId::channel(channel.id)?, &channel.title, kind, false, false)
        }
        Chat::Empty(_) | Chat::Community(_) | Chat::CommunityForbidden(_) => return None,
    };
    let chat = chat_id(peer)?;
    Some((peer, KnownChat { chat, title: title.clone(), group: None, kind, can_read, can_write }))
}

fn may_post(channel: &tl::types::Channel) -> bool {
    if channel.creator {
        return true;
    }
    let rights = channel.admin_rights.as_ref();
    if channel.broadcast {
        return rights.is_some_and(|tl::enums::ChatAdminRights::Rights(rights)| rights.post_messages);
    }
    let banned = bans_writing(channel.banned_rights.as_ref());
    let bound = bans_writing(channel.default_banned_rights.as_ref()) && rights.is_none();
    !banned && !bound
}

fn bans_writing(rights: Option<&tl::enums::ChatBannedRights>) -> bool {
    rights
        .is_some_and(|tl::enums::ChatBannedRights::Rights(rights)| rights.send_messages || rights.send_plain)
}
