//! Finds the source chats at the start of a connection: access hashes, names, protection, and where to begin reading.

use std::collections::{BTreeMap, BTreeSet};

use grammers_session::types::{PeerId, PeerInfo, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::ConnectionError;
use tracing::warn;

use crate::config::TelegramConfig;

use super::book::{self, Book, channel_of, chat_id, peer_id, peer_of};
use super::errors::Fault;
use super::link::{CallError, Link};
use super::session::StoredSession;

/// Dialogs in one page, the most that Telegram gives.
const DIALOGS_PAGE: i32 = 100;

/// Where the streams of the source chats stand now.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Position of each channel, by bare id.
    pub(crate) channels: BTreeMap<i64, i32>,
    /// The last message of each chat.
    pub(crate) last: BTreeMap<ChatId, i32>,
}

/// How a source chat is named in requests; `None` while its access hash is not known.
pub(crate) fn input_peer(session: &StoredSession, chat: ChatId) -> Option<tl::enums::InputPeer> {
    let peer = peer_of(chat)?;
    let id = peer.bare_id()?;
    Some(match (peer.kind(), session.known(peer)) {
        (PeerKind::Chat, _) => tl::types::InputPeerChat { chat_id: id }.into(),
        (_, Some(PeerInfo::User { is_self: Some(true), .. })) => tl::enums::InputPeer::PeerSelf,
        (_, Some(PeerInfo::User { auth: Some(auth), .. })) => {
            tl::types::InputPeerUser { user_id: id, access_hash: auth.hash() }.into()
        }
        (_, Some(PeerInfo::Channel { auth: Some(auth), .. })) => {
            tl::types::InputPeerChannel { channel_id: id, access_hash: auth.hash() }.into()
        }
        _ => return None,
    })
}

/// A channel as its own methods name it.
pub(crate) fn input_channel(session: &StoredSession, channel: i64) -> Option<tl::enums::InputChannel> {
    match session.known(PeerId::channel(channel)?)? {
        PeerInfo::Channel { auth: Some(auth), .. } => {
            Some(tl::types::InputChannel { channel_id: channel, access_hash: auth.hash() }.into())
        }
        _ => None,
    }
}

/// Looks up every source chat. One that cannot be read is left out with a warning; the others go on.
///
/// # Errors
/// [`ConnectionError`] when the account as a whole cannot go on.
pub(crate) async fn look_up(
    link: &Link,
    config: &TelegramConfig,
    book: &mut Book,
) -> Result<Standing, ConnectionError> {
    find_hashes(link, config, book).await?;
    let mut standing = Standing::default();
    let known: Vec<ChatId> =
        book.sources().filter(|chat| input_peer(link.session(), *chat).is_some()).collect();
    let mut rounds: Vec<Vec<ChatId>> =
        known.chunks(config.chats_per_request.get()).map(<[ChatId]>::to_vec).collect();
    while let Some(chats) = rounds.pop() {
        match peer_dialogs(link, &chats).await {
            Ok(answer) => learn_dialogs(link, book, &mut standing, answer).await?,
            Err(error) if !concerns_a_chat(&error) => return Err(error.into()),
            Err(error) => match chats.as_slice() {
                [] => {}
                [chat] => {
                    warn!(%chat, error = %ConnectionError::from(error), "source chat cannot be read");
                }
                several => {
                    let (front, back) = several.split_at(several.len() / 2);
                    rounds.extend([front.to_vec(), back.to_vec()]);
                }
            },
        }
    }
    protect_private_chats(link, book, &known).await?;
    seed_channels(link, book, &mut standing, &known).await?;
    Ok(standing)
}

/// Whether an error is about a chat in the request, not about the account or the connection.
fn concerns_a_chat(error: &CallError) -> bool {
    matches!(error.fault(), Fault::Chat | Fault::Repair | Fault::Refused)
}

/// Reads dialogs until the access hash of every source chat is known.
async fn find_hashes(link: &Link, config: &TelegramConfig, book: &mut Book) -> Result<(), ConnectionError> {
    let mut missing: BTreeSet<ChatId> =
        book.sources().filter(|chat| input_peer(link.session(), *chat).is_none()).collect();
    let mut offset = (0, 0, tl::enums::InputPeer::Empty);
    for _ in 0..config.dialog_pages_max {
        if missing.is_empty() {
            return Ok(());
        }
        let (offset_date, offset_id, offset_peer) = offset.clone();
        let request = tl::functions::messages::GetDialogs {
            exclude_pinned: false,
            folder_id: None,
            offset_date,
            offset_id,
            offset_peer,
            limit: DIALOGS_PAGE,
            hash: 0,
        };
        let (dialogs, messages, chats, users) = match link.call(&request).await? {
            tl::enums::messages::Dialogs::Dialogs(all) => (all.dialogs, all.messages, all.chats, all.users),
            tl::enums::messages::Dialogs::Slice(page) => {
                (page.dialogs, page.messages, page.chats, page.users)
            }
            tl::enums::messages::Dialogs::NotModified(_) => break,
        };
        book.learn(&users, &chats);
        link.session().remember(&book::peers(&users, &chats)).await?;
        missing.retain(|chat| input_peer(link.session(), *chat).is_none());
        let full = i32::try_from(dialogs.len()).is_ok_and(|count| count >= DIALOGS_PAGE);
        match next_offset(link.session(), &dialogs, &messages) {
            Some(next) if full && next != offset => offset = next,
            _ => break,
        }
    }
    for chat in missing {
        warn!(%chat, "source chat is not among the account's dialogs");
    }
    Ok(())
}

/// The place after the last dialog of a page.
fn next_offset(
    session: &StoredSession,
    dialogs: &[tl::enums::Dialog],
    messages: &[tl::enums::Message],
) -> Option<(i32, i32, tl::enums::InputPeer)> {
    let last = dialogs.iter().rev().find_map(|dialog| match dialog {
        tl::enums::Dialog::Dialog(dialog) => Some(dialog),
        _ => None,
    })?;
    let peer = input_peer(session, chat_id(peer_id(&last.peer)?)?)?;
    let date = messages.iter().find_map(|message| match message {
        tl::enums::Message::Message(message)
            if message.id == last.top_message && message.peer_id == last.peer =>
        {
            Some(message.date)
        }
        tl::enums::Message::Service(message)
            if message.id == last.top_message && message.peer_id == last.peer =>
        {
            Some(message.date)
        }
        _ => None,
    });
    Some((date.unwrap_or(0), last.top_message, peer))
}

async fn peer_dialogs(link: &Link, chats: &[ChatId]) -> Result<tl::types::messages::PeerDialogs, CallError> {
    let peers = chats.iter().filter_map(|chat| input_peer(link.session(), *chat));
    let peers = peers.map(|peer| tl::types::InputDialogPeer { peer }.into()).collect();
    let request = tl::functions::messages::GetPeerDialogs { peers };
    let tl::enums::messages::PeerDialogs::Dialogs(answer) = link.call(&request).await?;
    Ok(answer)
}

async fn learn_dialogs(
    link: &Link,
    book: &mut Book,
    standing: &mut Standing,
    answer: tl::types::messages::PeerDialogs,
) -> Result<(), ConnectionError> {
    book.learn(&answer.users, &answer.chats);
    link.session().remember(&book::peers(&answer.users, &answer.chats)).await?;
    for dialog in answer.dialogs {
        let tl::enums::Dialog::Dialog(dialog) = dialog else { continue };
        let Some(chat) = peer_id(&dialog.peer).and_then(chat_id) else { continue };
        standing.last.insert(chat, dialog.top_message);
        if let (Some(channel), Some(pts)) = (channel_of(chat), dialog.pts) {
            standing.channels.insert(channel, pts);
        }
    }
    Ok(())
}

/// Private chats say only in the other side's profile whether they forbid forwarding. Where it cannot be read, the
/// chat stays protected.
async fn protect_private_chats(
    link: &Link,
    book: &mut Book,
    chats: &[ChatId],
) -> Result<(), ConnectionError> {
    for chat in chats {
        let id = match input_peer(link.session(), *chat) {
            Some(tl::enums::InputPeer::User(user)) => {
                tl::types::InputUser { user_id: user.user_id, access_hash: user.access_hash }.into()
            }
            Some(tl::enums::InputPeer::PeerSelf) => {
                book.set_protected(*chat, false);
                continue;
            }
            _ => continue,
        };
        match link.call(&tl::functions::users::GetFullUser { id }).await {
            Ok(tl::enums::users::UserFull::Full(answer)) => {
                let tl::enums::UserFull::Full(full) = answer.full_user;
                book.set_protected(*chat, full.noforwards_my_enabled || full.noforwards_peer_enabled);
            }
            Err(error) if concerns_a_chat(&error) => {
                warn!(%chat, error = %ConnectionError::from(error), "private chat counts as protected");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A channel that is in no dialog (followed without being a member, or archived by the server) tells its position
/// itself.
async fn seed_channels(
    link: &Link,
    book: &mut Book,
    standing: &mut Standing,
    chats: &[ChatId],
) -> Result<(), ConnectionError> {
    for channel in chats.iter().filter_map(|chat| channel_of(*chat)) {
        if standing.channels.contains_key(&channel) {
            continue;
        }
        let Some(input) = input_channel(link.session(), channel) else { continue };
        match link.call(&tl::functions::channels::GetFullChannel { channel: input }).await {
            Ok(tl::enums::messages::ChatFull::Full(answer)) => {
                book.learn(&answer.users, &answer.chats);
                if let tl::enums::ChatFull::ChannelFull(full) = answer.full_chat {
                    standing.channels.insert(channel, full.pts);
                }
            }
            Err(error) if concerns_a_chat(&error) => {
                warn!(channel, error = %ConnectionError::from(error), "source channel cannot be read");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
