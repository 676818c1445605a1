//! Finds access hashes: users read their dialogs, bots ask for the chats themselves.

use std::collections::BTreeSet;

use grammers_session::types::{PeerId, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::ChatId;

use crate::config::TelegramConfig;

use super::book::{self, chat_id, peer_id, peer_of};
use super::errors::Fault;
use super::link::{CallError, Link};
use super::session::StoredSession;
use super::sources::input_peer;

/// Dialogs in one page, the most that Telegram gives.
const DIALOGS_PAGE: i32 = 100;

/// People and chats as an answer describes them.
pub(crate) type Described = (Vec<tl::enums::User>, Vec<tl::enums::Chat>);

/// Whether an error is about a chat in the request, not about the account or the connection.
pub(crate) fn concerns_a_chat(error: &CallError) -> bool {
    matches!(error.fault(), Fault::Chat | Fault::Repair | Fault::Refused)
}

/// Asks the server for chats and keeps what it says of them; answers those that it did not describe.
///
/// # Errors
/// [`CallError`] when the account as a whole cannot go on.
pub(crate) async fn find(
    link: &Link,
    config: &TelegramConfig,
    bot: bool,
    wanted: BTreeSet<ChatId>,
    learn: &mut (dyn FnMut(&Described) + Send),
) -> Result<BTreeSet<ChatId>, CallError> {
    if bot { ask(link, config, wanted, learn).await } else { read_dialogs(link, config, wanted, learn).await }
}

/// Keeps what an answer describes, and takes it off the list.
async fn note(
    link: &Link,
    described: &Described,
    missing: &mut BTreeSet<ChatId>,
    learn: &mut (dyn FnMut(&Described) + Send),
) -> Result<(), CallError> {
    learn(described);
    let peers = book::peers(&described.0, &described.1);
    link.session().remember(&peers).await?;
    for peer in &peers {
        if let Some(chat) = chat_id(peer.id())
            && input_peer(link.session(), chat).is_some()
        {
            missing.remove(&chat);
        }
    }
    Ok(())
}

/// Reads dialogs until every wanted chat was met.
async fn read_dialogs(
    link: &Link,
    config: &TelegramConfig,
    mut missing: BTreeSet<ChatId>,
    learn: &mut (dyn FnMut(&Described) + Send),
) -> Result<BTreeSet<ChatId>, CallError> {
    if missing.is_empty() {
        return Ok(missing);
    }
    let session = link.session();
    each_page(link, config, &mut |_dialogs, described| {
        learn(described);
        missing.retain(|chat| input_peer(session, *chat).is_none());
        !missing.is_empty()
    })
    .await?;
    Ok(missing)
}

/// Reads dialogs page by page, latest first, and keeps the peers that they describe, until `visit` has enough or there are
/// as many pages as may be read.
///
/// # Errors
/// [`CallError`].
pub(crate) async fn each_page(
    link: &Link,
    config: &TelegramConfig,
    visit: &mut (dyn FnMut(&[tl::enums::Dialog], &Described) -> bool + Send),
) -> Result<(), CallError> {
    let mut offset = (0, 0, tl::enums::InputPeer::Empty);
    for _ in 0..config.dialog_pages_max {
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
        let (dialogs, messages, described) = match link.call(&request).await? {
            tl::enums::messages::Dialogs::Dialogs(all) => (all.dialogs, all.messages, (all.users, all.chats)),
            tl::enums::messages::Dialogs::Slice(page) => {
                (page.dialogs, page.messages, (page.users, page.chats))
            }
            tl::enums::messages::Dialogs::NotModified(_) => break,
        };
        link.session().remember(&book::peers(&described.0, &described.1)).await?;
        let more = visit(&dialogs, &described);
        let full = i32::try_from(dialogs.len()).is_ok_and(|count| count >= DIALOGS_PAGE);
        match next_offset(link.session(), &dialogs, &messages) {
            Some(next) if more && full && next != offset => offset = next,
            _ => break,
        }
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

/// Bots have no dialogs, but may name whatever they can see without an access hash
/// (core.telegram.org/api/peers#access-hash). One chat that they cannot see fails a whole request, which is then
/// halved.
async fn ask(
    link: &Link,
    config: &TelegramConfig,
    mut missing: BTreeSet<ChatId>,
    learn: &mut (dyn FnMut(&Described) + Send),
) -> Result<BTreeSet<ChatId>, CallError> {
    let mut rounds: Vec<Vec<PeerId>> = Vec::new();
    for kind in [PeerKind::User, PeerKind::Chat, PeerKind::Channel] {
        let peers = missing.iter().filter_map(|chat| peer_of(*chat)).filter(|peer| peer.kind() == kind);
        let peers: Vec<_> = peers.collect();
        rounds.extend(peers.chunks(config.chats_per_request.get()).map(<[PeerId]>::to_vec));
    }
    while let Some(peers) = rounds.pop() {
        match describe(link, &peers).await {
            Ok(described) => note(link, &described, &mut missing, learn).await?,
            Err(error) if !concerns_a_chat(&error) => return Err(error),
            Err(_) if peers.len() <= 1 => {}
            Err(_) => {
                let (front, back) = peers.split_at(peers.len() / 2);
                rounds.extend([front.to_vec(), back.to_vec()]);
            }
        }
    }
    Ok(missing)
}

/// What the server says of peers that are all of one kind.
async fn describe(link: &Link, peers: &[PeerId]) -> Result<Described, CallError> {
    let ids = || peers.iter().filter_map(|peer| peer.bare_id());
    let chats = match peers.first().map(|peer| peer.kind()) {
        None => return Ok((Vec::new(), Vec::new())),
        Some(PeerKind::User) => {
            let id = ids().map(|user_id| tl::types::InputUser { user_id, access_hash: 0 }.into()).collect();
            let users = link.call(&tl::functions::users::GetUsers { id }).await?;
            return Ok((users, Vec::new()));
        }
        Some(PeerKind::Chat) => link.call(&tl::functions::messages::GetChats { id: ids().collect() }).await?,
        Some(PeerKind::Channel) => {
            let input = |channel_id| tl::types::InputChannel { channel_id, access_hash: 0 }.into();
            link.call(&tl::functions::channels::GetChannels { id: ids().map(input).collect() }).await?
        }
    };
    Ok(match chats {
        tl::enums::messages::Chats::Chats(all) => (Vec::new(), all.chats),
        tl::enums::messages::Chats::Slice(page) => (Vec::new(), page.chats),
    })
}
