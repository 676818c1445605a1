//! Finds the source chats at the start of a connection: access hashes, names, protection, and where to begin reading.

use std::collections::{BTreeMap, BTreeSet};

use grammers_session::types::{PeerId, PeerInfo, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::{ChatId, Place};
use switchyard_actors::ports::ConnectionError;
use tracing::warn;

use crate::config::TelegramConfig;

use super::book::{self, Book, channel_of, chat_id, peer_id, peer_of};
use super::ledger::CursorLedger;
use super::link::{CallError, Link};
use super::resolve::{self, Described, concerns_a_chat};
use super::session::StoredSession;

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

/// Looks up every source chat, and the access hashes of the targets. A chat that cannot be read is left out with a
/// warning; the others go on.
///
/// # Errors
/// [`ConnectionError`] when the account as a whole cannot go on.
pub(crate) async fn look_up(
    link: &Link,
    config: &TelegramConfig,
    book: &mut Book,
    targets: &[Place],
    ledger: &CursorLedger,
) -> Result<Standing, ConnectionError> {
    let session = link.session();
    let bot = book.is_bot();
    let unknown = |chat: &ChatId| input_peer(session, *chat).is_none();
    // Bots have no dialogs that would tell names and protection of known sources on the way.
    let sources = book.sources().filter(|chat| bot || unknown(chat));
    let targets = targets.iter().map(|place| place.chat).filter(unknown);
    let wanted: BTreeSet<ChatId> = sources.chain(targets).collect();
    let mut learn = |(users, chats): &Described| book.learn(users, chats);
    let missing = resolve::find(link, config, bot, wanted, &mut learn).await?;
    for chat in missing {
        warn!(%chat, "the account cannot find a chat of its pairs");
    }
    let known: Vec<ChatId> = book.sources().filter(|chat| !unknown(chat)).collect();
    let mut standing = Standing::default();
    if !bot {
        read_dialogs(link, config, book, &mut standing, &known).await?;
    }
    protect_private_chats(link, book, &known).await?;
    // What dialogs do not place tells its position itself, to bots only where none is stored.
    let placed = |channel: &i64| {
        standing.channels.contains_key(channel) || (bot && ledger.channel(*channel).is_some())
    };
    let channels = known.iter().filter_map(|chat| channel_of(*chat));
    let unplaced: Vec<i64> = channels.filter(|channel| !placed(channel)).collect();
    seed_channels(link, book, &mut standing, &unplaced).await?;
    Ok(standing)
}

/// Reads where the chats stand from their dialogs.
async fn read_dialogs(
    link: &Link,
    config: &TelegramConfig,
    book: &mut Book,
    standing: &mut Standing,
    known: &[ChatId],
) -> Result<(), ConnectionError> {
    let mut rounds: Vec<Vec<ChatId>> =
        known.chunks(config.chats_per_request.get()).map(<[ChatId]>::to_vec).collect();
    while let Some(chats) = rounds.pop() {
        match peer_dialogs(link, &chats).await {
            Ok(answer) => learn_dialogs(link, book, standing, answer).await?,
            Err(error) if !concerns_a_chat(&error) => return Err(error.into()),
            Err(error) => match chats.as_slice() {
                [] => {}
                [chat] => warn!(%chat, %error, "source chat cannot be read"),
                several => {
                    let (front, back) = several.split_at(several.len() / 2);
                    rounds.extend([front.to_vec(), back.to_vec()]);
                }
            },
        }
    }
    Ok(())
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
                warn!(%chat, %error, "private chat counts as protected");
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
    channels: &[i64],
) -> Result<(), ConnectionError> {
    for channel in channels.iter().copied() {
        let Some(input) = input_channel(link.session(), channel) else { continue };
        match link.call(&tl::functions::channels::GetFullChannel { channel: input }).await {
            Ok(tl::enums::messages::ChatFull::Full(answer)) => {
                book.learn(&answer.users, &answer.chats);
                if let tl::enums::ChatFull::ChannelFull(full) = answer.full_chat {
                    standing.channels.insert(channel, full.pts);
                }
            }
            Err(error) if concerns_a_chat(&error) => {
                warn!(channel, %error, "source channel cannot be read");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
